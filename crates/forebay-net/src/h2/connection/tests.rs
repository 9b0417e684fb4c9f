//! Rules of RFC 9113 as tables of raw frames and what comes of them; floods; random traffic.

mod client;
mod floods;
mod heads;
mod properties;
mod script;
mod server;
mod windows;
