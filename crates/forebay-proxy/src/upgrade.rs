//! Requests that ask for another protocol on their connection (RFC 9110 §7.8, RFC 8441).

use forebay_net::h1::{Field, Framing, Name, ResponseHead, Version};

use forebay_net::websocket;

use crate::pipeline::Turn;
use crate::plan::Route;
use crate::refusal::Refusal;

/// Offered by clients that would rather speak HTTP/2, and never granted: those who know that we do begin with it.
const H2C: &str = "h2c";

/// A protocol that a request is about to turn its connection into.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    /// Its name, in lower case.
    pub(crate) protocol: Box<str>,
    /// The key of a WebSocket whose client has none because its protocol needs none (RFC 8441 §5).
    pub(crate) websocket_key: Option<[u8; 24]>,
    /// What a client with a key of its own has to be told, should the service not have seen it because its protocol
    /// needs none.
    pub(crate) websocket_accept: Option<[u8; 28]>,
}

impl Upgrade {
    pub(crate) fn is_websocket(&self) -> bool {
        &*self.protocol == WEBSOCKET
    }
}

/// The name of WebSocket (RFC 6455 §11.2).
const WEBSOCKET: &str = "websocket";

/// The protocol that the client asks for and may have; `None`: it asks for none, so that the request is one like others.
///
/// # Errors
/// It asks for one that it may not have, and cannot go on without it.
pub(crate) fn wanted(turn: &Turn<'_>, route: &Route) -> Result<Option<Upgrade>, Refusal> {
    let request = &turn.scratch.request;
    if !request.connection_upgrade && turn.scratch.protocol.is_none() {
        return Ok(None);
    }
    let head = &turn.input.filled()[..turn.head_len];
    let allowed =
        |name: &[u8]| route.upgrade.allowed.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    if let Some(protocol) = turn.scratch.protocol {
        let protocol = allowed(protocol.of_head(head)).cloned().ok_or(Refusal::UpgradeUnsupported)?;
        let worker = turn.record.worker;
        let random = u128::from(worker.random()) << 64 | u128::from(worker.random());
        let websocket_key = (&*protocol == WEBSOCKET).then(|| websocket::key(random));
        return Ok(Some(Upgrade { protocol, websocket_key, websocket_accept: None }));
    }
    let fields = request.fields.iter().filter(|field| field.known == Name::Upgrade);
    let names = fields
        .flat_map(|field| field.value.of_head(head).split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    let mut names =
        names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(H2C.as_bytes())).peekable();
    if request.version != Version::Http11 || names.peek().is_none() {
        return Ok(None);
    }
    // Nothing says where the other protocol begins while a body is on its way.
    if !matches!(request.framing, Framing::None | Framing::Length(0)) {
        return Err(Refusal::UpgradeUnsupported);
    }
    let protocol = names.find_map(allowed).cloned().ok_or(Refusal::UpgradeUnsupported)?;
    let is_key = |field: &&Field| field.name.of_head(head).eq_ignore_ascii_case(b"sec-websocket-key");
    let key = request.fields.iter().find(is_key).filter(|_| &*protocol == WEBSOCKET);
    let websocket_accept = key.map(|key| websocket::accept(key.value.of_head(head)));
    Ok(Some(Upgrade { protocol, websocket_key: None, websocket_accept }))
}

/// Whether the service has turned to that protocol, and to nothing else.
pub(crate) fn is_granted(response: &ResponseHead, head: &[u8], upgrade: &Upgrade) -> bool {
    if let Some(key) = upgrade.websocket_key {
        let mut fields = response.fields.iter();
        let accept =
            fields.find(|field| field.name.of_head(head).eq_ignore_ascii_case(b"sec-websocket-accept"));
        if accept.is_none_or(|field| field.value.of_head(head) != websocket::accept(&key)) {
            return false;
        }
    }
    let mut fields = response.fields.iter().filter(|field| field.known == Name::Upgrade);
    let granted = fields
        .next()
        .is_some_and(|field| field.value.of_head(head).eq_ignore_ascii_case(upgrade.protocol.as_bytes()));
    granted && fields.next().is_none()
}
