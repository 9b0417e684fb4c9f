//! What is spoken with the endpoints of a service, and how it is secured.

use std::rc::Rc;
use std::sync::Arc;

use forebay_base::time::Instant;
use forebay_net::link::{Link, TlsFailure};
use forebay_net::tls::{self, Alpn, Failure};
use forebay_net::wheel::Alarm;

use super::{ConnectError, Endpoint};
use crate::plan::{Protocol, ProxyProtocol, Service};

/// See the module. Connections made by one are of no use to another.
#[derive(Debug, PartialEq)]
pub(crate) struct Speech {
    protocol: Protocol,
    pub(super) tls: Option<Arc<tls::Client>>,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
}

impl Speech {
    pub(super) fn of(service: &Service) -> Rc<Self> {
        let Service { protocol, tls, proxy_protocol, .. } = service;
        Rc::new(Self { protocol: *protocol, tls: tls.clone(), proxy_protocol: *proxy_protocol })
    }

    /// Whether a connection may carry several requests.
    #[inline]
    pub(crate) fn may_multiplex(&self) -> bool {
        self.protocol != Protocol::Http1
    }

    /// Secures a new connection as the settings have it. Returns also whether it carries several requests.
    pub(super) async fn secure(
        &self,
        endpoint: &Endpoint,
        link: Link,
        alarm: &Alarm,
        deadline: Instant,
    ) -> Result<(Link, bool), ConnectError> {
        let Some(client) = &self.tls else { return Ok((link, self.protocol == Protocol::H2c)) };
        let agreed = link.connect_tls(client, endpoint.shared.host(), alarm, deadline).await;
        let (link, handshake) = agreed.map_err(|TlsFailure { why, .. }| match why {
            Failure::TimedOut => ConnectError::TimedOut,
            why => ConnectError::Tls(why.word()),
        })?;
        let multiplexed = handshake.alpn == Alpn::H2;
        // Who was promised HTTP/2 shall not find out by its first request that it is not spoken.
        if self.protocol == Protocol::H2 && !multiplexed {
            return Err(ConnectError::Tls(Failure::Protocol.word()));
        }
        Ok((link, multiplexed))
    }
}
