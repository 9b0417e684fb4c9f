//! The protocols people speak, by clients and servers that others wrote: curl, nghttp, h2load, Python's websockets, a
//! browser, tonic.

mod browser;
mod certificates;
mod curl;
mod grpc;
mod heads;
mod load;
mod nghttp;
mod programs;
mod telling;
mod tls;
mod websocket;
