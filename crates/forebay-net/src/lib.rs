//! Bytes in, bytes out: the HTTP/1 codec, links, buffers, timers and the like. Knows no route.

pub mod h1;
pub mod cidr;
