//! Clients: `h3`'s, and one that sends whatever bytes a test wants.

use std::cell::RefCell;

use bytes::{Buf, Bytes};
use h3_quinn::OpenStreams;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use quinn::{ConnectionError, ReadError, ReadToEndError, RecvStream, SendStream, WriteError};

use super::super::frame::{Head, kind, push_frame, varint};
use super::super::qpack;

/// A client that keeps to the rules.
pub(super) struct Client(h3::client::SendRequest<OpenStreams, Bytes>);

impl Client {
    pub(super) async fn new(quic: quinn::Connection) -> Self {
        let (mut driver, requests) = h3::client::new(h3_quinn::Connection::new(quic)).await.unwrap();
        tokio::task::spawn_local(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        Self(requests)
    }

    /// For more requests on the same connection.
    pub(super) fn another(&self) -> Self {
        Self(self.0.clone())
    }

    pub(super) async fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        let request = Request::get(format!("https://localhost{path}")).body(()).unwrap();
        let mut stream = self.0.send_request(request).await.unwrap();
        stream.finish().await.unwrap();
        let response = stream.recv_response().await.unwrap();
        assert_eq!(response.headers().get("connection"), None);
        assert_eq!(response.headers()["server"], "test");
        let mut body = Vec::new();
        while let Some(mut data) = stream.recv_data().await.unwrap() {
            body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        (response.status().as_u16(), body)
    }

    /// Sends and receives at the same time; trailers too.
    pub(super) async fn post(
        &mut self,
        path: &str,
        body: &[u8],
        trailers: &[(&str, &str)],
    ) -> (u16, Vec<u8>, Vec<(String, String)>) {
        let request = Request::post(format!("https://localhost{path}")).body(()).unwrap();
        let (mut send, mut recv) = self.0.send_request(request).await.unwrap().split();
        let upload = async {
            for piece in body.chunks(50_000) {
                send.send_data(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            if !trailers.is_empty() {
                let fields = trailers.iter().map(|(name, value)| {
                    (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
                });
                send.send_trailers(fields.collect::<HeaderMap>()).await.unwrap();
            }
            send.finish().await.unwrap();
        };
        let download = async {
            let status = recv.recv_response().await.unwrap().status().as_u16();
            let mut got = Vec::new();
            while let Some(mut data) = recv.recv_data().await.unwrap() {
                got.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            let trailers = recv.recv_trailers().await.unwrap().unwrap_or_default();
            let text = |(name, value): (&HeaderName, &HeaderValue)| {
                (name.to_string(), value.to_str().unwrap().to_owned())
            };
            (status, got, trailers.iter().map(text).collect())
        };
        tokio::join!(upload, download).1
    }
}

/// A client that sends what it is told.
pub(super) struct Raw {
    quic: quinn::Connection,
    control: RefCell<Option<SendStream>>,
}

impl Raw {
    /// One that has sent its settings.
    pub(super) async fn new(quic: quinn::Connection) -> Self {
        let raw = Self::bare(quic);
        let control = raw.one_way(&[0, 4, 0]).await;
        raw.control.replace(Some(control));
        raw
    }

    pub(super) fn bare(quic: quinn::Connection) -> Self {
        Self { quic, control: RefCell::default() }
    }

    pub(super) fn quic(&self) -> &quinn::Connection {
        &self.quic
    }

    /// Opens a stream that goes one way, and does not end it.
    pub(super) async fn one_way(&self, bytes: &[u8]) -> SendStream {
        let mut stream = self.quic.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Opens a request's stream, and does not end it.
    pub(super) async fn open(&self, frames: &[Vec<u8>]) -> (SendStream, RecvStream) {
        self.try_open(frames).await.unwrap()
    }

    pub(super) async fn try_open(&self, frames: &[Vec<u8>]) -> Result<(SendStream, RecvStream), WriteError> {
        let (mut send, recv) = self.quic.open_bi().await?;
        send.write_all(&frames.concat()).await?;
        Ok((send, recv))
    }

    /// Sends a whole stream; the status of its response, or the code it is reset with.
    pub(super) async fn status(&mut self, frames: &[Vec<u8>]) -> Result<String, u32> {
        let (mut send, recv) = self.quic.open_bi().await.map_err(|_| 0u32)?;
        // It may be stopped meanwhile.
        let _ = send.write_all(&frames.concat()).await;
        let _ = send.finish();
        status_of(recv).await
    }

    /// The code that the connection is closed with.
    pub(super) async fn closed(&self) -> Option<u32> {
        match self.quic.closed().await {
            ConnectionError::ApplicationClosed(close) => u32::try_from(close.error_code.into_inner()).ok(),
            _ => None,
        }
    }

    /// What the server's control stream says after its settings: two GOAWAYs.
    pub(super) async fn goaways(&mut self) -> Vec<u64> {
        let mut stream = self.quic.accept_uni().await.unwrap();
        let mut bytes = Vec::new();
        let mut ids = Vec::new();
        while ids.len() < 2 {
            let chunk = stream.read_chunk(1000, true).await.unwrap().unwrap();
            bytes.extend_from_slice(&chunk.bytes);
            ids.clear();
            let mut rest = &bytes[1..];
            while let Some(Head { kind, len, size }) = Head::parse(rest) {
                let Some(payload) = rest.get(size..size + len as usize) else { break };
                if kind == kind::GOAWAY {
                    ids.push(varint(payload).unwrap().0);
                }
                rest = &rest[size + len as usize..];
            }
        }
        ids
    }
}

/// The status of a response, or the code it is reset with.
pub(super) async fn status_of(mut recv: RecvStream) -> Result<String, u32> {
    let bytes = match recv.read_to_end(1 << 20).await {
        Ok(bytes) => bytes,
        Err(ReadToEndError::Read(ReadError::Reset(code))) => return Err(code.into_inner() as u32),
        Err(_) => return Err(0),
    };
    let Some(Head { kind: kind::HEADERS, len, size }) = Head::parse(&bytes) else { return Err(1) };
    let mut status = String::new();
    let block = &bytes[size..size + len as usize];
    qpack::decode(block, &mut Vec::new(), |name, value| {
        if name == b":status" {
            status = String::from_utf8_lossy(value).into_owned();
        }
    })
    .unwrap();
    Ok(status)
}

pub(super) fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_frame(kind, payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

pub(super) fn body(data: &[u8]) -> Vec<u8> {
    frame(kind::DATA, data)
}

/// A HEADERS frame.
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    qpack::begin(&mut block);
    for (name, value) in fields {
        qpack::encode(name.as_bytes(), value.as_bytes(), &mut block);
    }
    frame(kind::HEADERS, &block)
}

/// The head of a GET.
pub(super) fn head(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let line = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    fields(&[&line[..], more].concat())
}
