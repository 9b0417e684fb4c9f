//! Secured connections (RFC 8446, RFC 5246): who we are, whom we believe.

/// The server's side: its certificates, and what it asks of clients.
#[derive(Debug)]
pub struct Server {}

/// The client's side: whom it believes, and who it is. Two are equal if connections made by one may serve the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {}
