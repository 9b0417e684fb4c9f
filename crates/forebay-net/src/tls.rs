//! Secured connections (RFC 8446, RFC 5246): who we are, whom we believe.

mod certificate;
mod client;
mod der;
mod error;
mod handshake;
mod hello;
mod resolve;
mod server;

pub use certificate::{Certificate, CertificateInfo};
pub use client::{Client, ClientSettings, LoadTest, Offer};
pub use error::{Failure, TlsError};
pub use handshake::{Alpn, ClientCertificate, Handshake, Version};
pub use server::{ClientAuth, Server, ServerSettings, UnknownName};

pub(crate) use error::is_unknown_name;
pub(crate) use resolve::listening;

/// Gathers the randomness that handshakes of this thread begin with. It takes tens of milliseconds, which the first one
/// takes longer otherwise.
pub fn warm_up() {
    // Where there is none, handshakes say so.
    let _ = aws_lc_rs::rand::fill(&mut [0; 32]);
}
