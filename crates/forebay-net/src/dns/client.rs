//! Asks name servers one question, over UDP, and over TCP if the answer is too long for it.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::DnsError;
use super::message::{self, Kind, Reply, Unusable, code};
use super::name::Name;

/// How often each server is asked when packets may have been lost.
const ROUNDS: u32 = 2;
/// Room for a packet: more than is asked for, as some servers send more all the same.
const PACKET_MAX: usize = 4_096;

/// Name servers in the order in which they are asked.
#[derive(Debug)]
pub(super) struct Client<'r> {
    pub(super) servers: Vec<SocketAddr>,
    /// For one server, and each way of asking it.
    pub(super) timeout: Duration,
    /// One for each question on its way.
    pub(super) permits: &'r Semaphore,
}

impl Client<'_> {
    /// The answer of the first server that has one.
    pub(super) async fn ask(&self, name: &Name, kind: Kind) -> Result<Reply, DnsError> {
        let mut failed = DnsError::NoSuchName { ttl: None };
        for round in 0..ROUNDS {
            let mut lost = false;
            for &server in &self.servers {
                // Some networks lose packets for being of a newer kind.
                match self.ask_one(server, name, kind, round == 0).await {
                    Ok(reply) => return Ok(reply),
                    Err(error) => {
                        lost |= matches!(error, DnsError::Timeout(_));
                        failed = error;
                    }
                }
            }
            // Who has answered, however badly, would answer the same again.
            if !lost {
                break;
            }
        }
        Err(failed)
    }

    async fn ask_one(
        &self,
        server: SocketAddr,
        name: &Name,
        kind: Kind,
        extended: bool,
    ) -> Result<Reply, DnsError> {
        // Closed never; were it, there would be no bound and still an answer.
        let _permit = self.permits.acquire().await;
        let mut result = self.over_udp(server, name, kind, extended).await;
        if extended && matches!(result, Ok(Err(Unusable::Code(code::FORMAT | code::NOT_IMPLEMENTED)))) {
            result = self.over_udp(server, name, kind, false).await;
        }
        if matches!(result, Ok(Err(Unusable::Truncated))) {
            result = self.over_tcp(server, name, kind).await;
        }
        let unusable = match result {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(unusable)) => unusable,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(DnsError::Timeout(server)),
            Err(error) => return Err(DnsError::Unreachable(server, error.to_string().into())),
        };
        Err(match unusable {
            Unusable::Code(code::FAILURE) => DnsError::ServerFailure(server),
            Unusable::Code(code::REFUSED) | Unusable::Lame => DnsError::Refused(server),
            Unusable::Code(code) => DnsError::Odd(server, code),
            Unusable::NotOurs | Unusable::Truncated | Unusable::Malformed => DnsError::Malformed(server),
        })
    }

    async fn over_udp(
        &self,
        server: SocketAddr,
        name: &Name,
        kind: Kind,
        extended: bool,
    ) -> io::Result<Result<Reply, Unusable>> {
        let exchange = async {
            // A port of its own for each question: together with the number, hard to guess.
            let any = match server {
                SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            let socket = UdpSocket::bind(any).await?;
            // From then on, nobody else's packets come in.
            socket.connect(server).await?;
            let id = random_id();
            socket.send(&message::question(id, name, kind, extended)).await?;
            let mut buffer = [0; PACKET_MAX];
            loop {
                let length = socket.recv(&mut buffer).await?;
                match message::answer(&buffer[..length], id, name, kind) {
                    // Somebody is guessing, or an answer comes late: ours is still to come.
                    Err(Unusable::NotOurs) => {}
                    answer => return Ok(answer),
                }
            }
        };
        in_time(self.timeout, exchange).await
    }

    async fn over_tcp(
        &self,
        server: SocketAddr,
        name: &Name,
        kind: Kind,
    ) -> io::Result<Result<Reply, Unusable>> {
        let exchange = async {
            let mut stream = TcpStream::connect(server).await?;
            let id = random_id();
            let question = message::question(id, name, kind, true);
            let length = u16::try_from(question.len()).expect("a name has at most 255 bytes");
            stream.write_all(&[&length.to_be_bytes(), &*question].concat()).await?;
            let length = stream.read_u16().await?;
            // Grows as bytes come, not as they are promised; at most 64 KiB.
            let mut answer = Vec::new();
            (&mut stream).take(length.into()).read_to_end(&mut answer).await?;
            if answer.len() < usize::from(length) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(message::answer(&answer, id, name, kind))
        };
        in_time(self.timeout, exchange).await
    }
}

async fn in_time<T>(wait: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    // Boxed: it holds a packet's room, and lies within many other futures.
    timeout(wait, Box::pin(work)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A number that strangers cannot foresee: the standard library's hash keys are random, and its hash does not
/// betray them.
fn random_id() -> u16 {
    let bytes = RandomState::new().hash_one(()).to_be_bytes();
    u16::from_be_bytes([bytes[0], bytes[1]])
}
