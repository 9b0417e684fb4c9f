//! Bytes in, bytes out: HTTP codecs, TLS, links, buffers, timers and the like. Knows no route.

pub mod address;
pub mod buffer;
pub mod cidr;
pub mod dns;
pub mod forwarded;
pub mod h1;
pub mod h2;
pub mod h3;
pub mod host;
pub mod link;
pub mod listen;
pub mod proxy_protocol;
pub mod socket;
pub mod stream;
pub mod tls;
pub mod uri;
pub mod websocket;
pub mod wheel;
