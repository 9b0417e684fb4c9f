//! Bytes in, bytes out: the HTTP/1 codec, links, buffers, timers and the like. Knows no route.

pub mod buffer;
pub mod cidr;
pub mod dns;
pub mod forwarded;
pub mod h1;
pub mod host;
pub mod link;
pub mod listen;
pub mod uri;
pub mod wheel;
