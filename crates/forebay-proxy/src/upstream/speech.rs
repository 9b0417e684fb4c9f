//! What is spoken with the endpoints of a service, and how it is secured.

use std::rc::Rc;
use std::sync::Arc;

use forebay_base::time::Instant;
use forebay_net::link::{Link, LinkError, TlsFailure};
use forebay_net::proxy_protocol::{self, Tlvs};
use forebay_net::tls::{self, Alpn, Failure};
use forebay_net::wheel::Alarm;

use super::{ConnectError, Endpoint};
use crate::client::Client;
use crate::plan::{Protocol, ProxyProtocol, Service};

/// See the module. Connections made by one are of no use to another.
#[derive(Debug, PartialEq)]
pub(crate) struct Speech {
    protocol: Protocol,
    pub(super) tls: Option<Arc<tls::Client>>,
    proxy_protocol: Option<ProxyProtocol>,
}

impl Speech {
    pub(super) fn of(service: &Service) -> Rc<Self> {
        let Service { protocol, tls, proxy_protocol, .. } = service;
        Rc::new(Self { protocol: *protocol, tls: tls.clone(), proxy_protocol: *proxy_protocol })
    }

    /// Whether a connection carries the requests of one client only, so that nobody else can use it.
    #[inline]
    pub(crate) fn introduces(&self) -> bool {
        self.proxy_protocol.is_some()
    }

    /// Tells the endpoint who the client is, before anything else is sent.
    pub(super) async fn introduce(
        &self,
        link: &Link,
        asking: &Client,
        alarm: &Alarm,
        deadline: Instant,
    ) -> Result<(), ConnectError> {
        let Some(version) = self.proxy_protocol else { return Ok(()) };
        let client = asking.local().map(|local| (asking.who.peer, local));
        let mut header = Vec::new();
        match version {
            ProxyProtocol::V1 => proxy_protocol::write_v1(&mut header, client),
            ProxyProtocol::V2 => proxy_protocol::write_v2(&mut header, client, &Tlvs::default()),
        }
        link.write_all([&header], alarm, || deadline).await.map_err(|error| match error {
            LinkError::TimedOut => ConnectError::TimedOut,
            LinkError::Io(_) => ConnectError::Failed,
        })
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
