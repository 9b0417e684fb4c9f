//! Secured connections (RFC 8446) to servers whose certificate does not matter: for checks, idle connections, handshakes.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned,
};

/// A connection that is set up.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Nothing is resumed, and everybody is asked for the same: TLS 1.3, X25519, AES-128-GCM.
pub(crate) fn settings() -> Result<Arc<ClientConfig>> {
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut settings = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    settings.resumption = Resumption::disabled();
    Ok(Arc::new(settings))
}

/// Connects and shakes hands, in full.
pub(crate) fn connect(address: SocketAddr, settings: &Arc<ClientConfig>) -> Result<Stream> {
    let mut tcp = super::connect(address)?;
    let name = ServerName::try_from("bench.test").context("it is a name")?;
    let mut connection = ClientConnection::new(Arc::clone(settings), name)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).context("no handshake")?;
    }
    if connection.handshake_kind() != Some(HandshakeKind::Full) {
        bail!("the handshake was not a full one: {:?}", connection.handshake_kind());
    }
    Ok(StreamOwned::new(connection, tcp))
}

/// Believes anybody: only who pays for the handshake matters.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 was offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
