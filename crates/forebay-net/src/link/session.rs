//! One side of TLS without any I/O: records in, plaintext and records out.

use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

/// The server's side or the client's.
pub(super) enum Session {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// How far the records given went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record's plaintext was handed out; there may be more.
    Data,
    /// Something was done; there may be more.
    Again,
    /// All complete records are used.
    Idle,
    /// The other side has said that it sends nothing more.
    PeerClosed,
}

/// What to send once that is possible.
pub(super) enum Send<'a> {
    Data(&'a [u8]),
    CloseNotify,
}

/// Something to send, and where its records go.
pub(super) struct Sending<'a> {
    pub(super) what: Send<'a>,
    /// Must have room for the riders and the records.
    pub(super) out: &'a mut [u8],
    /// How many bytes of `out` were filled; 0: nothing could be sent.
    pub(super) filled: usize,
}

impl Session {
    pub(super) fn state(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }

    /// Looks at `records` until something is to be told; returns how many bytes of them are used up as well.
    /// Plaintext goes to `plain`, records that are due to `riders`. With `sending`, that is sent at `Idle`, the
    /// riders before it.
    pub(super) fn step(
        &mut self,
        records: &mut [u8],
        riders: &mut Vec<u8>,
        sending: Option<&mut Sending<'_>>,
        plain: impl FnMut(&[u8]),
    ) -> (usize, Result<Step, rustls::Error>) {
        match self {
            Self::Server(connection) => {
                answer(connection.process_tls_records(records), riders, sending, plain)
            }
            Self::Client(connection) => {
                answer(connection.process_tls_records(records), riders, sending, plain)
            }
        }
    }
}

fn answer<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    riders: &mut Vec<u8>,
    sending: Option<&mut Sending<'_>>,
    mut plain: impl FnMut(&[u8]),
) -> (usize, Result<Step, rustls::Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plain(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Step::Data),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut due)) => {
            append(riders, |space| match due.encode(space) {
                Ok(n) => Ok(n),
                Err(EncodeError::InsufficientSize(error)) => Err(error.required_size),
                Err(EncodeError::AlreadyEncoded) => Ok(0),
            });
            Ok(Step::Again)
        }
        Ok(ConnectionState::TransmitTlsData(due)) => {
            // They are safe among the riders.
            due.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match sending {
            None => Ok(Step::Idle),
            Some(sending) => {
                let ahead = riders.len();
                let Some((front, space)) = sending.out.split_at_mut_checked(ahead) else {
                    return (discard, Err(rustls::Error::General("no room for records".into())));
                };
                front.copy_from_slice(riders);
                let sent = match sending.what {
                    Send::Data(bytes) => traffic.encrypt(bytes, space),
                    Send::CloseNotify => traffic.queue_close_notify(space),
                };
                sent.map_err(too_much).map(|n| {
                    *riders = Vec::new();
                    sending.filled = ahead + n;
                    Step::Idle
                })
            }
        },
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::Idle),
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::PeerClosed),
        Ok(_) => Err(rustls::Error::General("data before the end of the handshake".into())),
        Err(error) => Err(error),
    };
    (discard, step)
}

fn too_much(error: EncryptError) -> rustls::Error {
    match error {
        EncryptError::EncryptExhausted => rustls::Error::EncryptError,
        EncryptError::InsufficientSize(_) => rustls::Error::General("no room for records".into()),
    }
}

/// Appends what `write` writes into a space, which it may say must be larger.
fn append(to: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, usize>) {
    let start = to.len();
    let mut room = 0;
    // The second time there is the room it asked for.
    for _ in 0..2 {
        to.resize(start + room, 0);
        match write(&mut to[start..]) {
            Ok(n) => {
                to.truncate(start + n);
                return;
            }
            Err(required) => room = required,
        }
    }
    to.truncate(start);
}
