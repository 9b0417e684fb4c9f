//! A gRPC service and its client, written by hand: messages are bytes, so no compiler of interfaces is needed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

/// The server, until it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Calls of `ServerStreaming` whose client went before the end.
    pub(super) ended: Arc<AtomicUsize>,
    /// Dropped: the server ends, and every connection with it.
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub(super) fn start() -> Self {
        let ended = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&ended);
        let (stop, stopped) = oneshot::channel::<()>();
        let (say, address) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("the machine has descriptors left").block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                say.send(listener.local_addr().expect("it is bound")).expect("the test waits");
                let service = tower::service_fn(move |request| {
                    let ended = Arc::clone(&counter);
                    async move { Ok::<_, Infallible>(answer(request, ended).await) }
                });
                let incoming = TcpListenerStream::new(listener);
                let serving = tonic::transport::Server::builder().serve_with_incoming(service, incoming);
                tokio::select! {
                    served = serving => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        Self { address: address.recv().expect("the thread says so"), ended, _stop: stop }
    }
}

/// One client; clones share its connection.
#[derive(Clone)]
pub(super) struct Client {
    channel: Channel,
}

impl Client {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// Of servers that take messages as large as tests send them.
    async fn ready(&self) -> tonic::client::Grpc<Channel> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.expect("the connection is good");
        grpc
    }

    pub(super) async fn unary(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
        self.ready().await.unary(request, path("/test.Echo/Unary"), Raw).await
    }

    pub(super) async fn server_streaming(
        &mut self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Streaming<Vec<u8>>>, Status> {
        self.ready().await.server_streaming(request, path("/test.Echo/ServerStreaming"), Raw).await
    }

    pub(super) async fn client_streaming(
        &mut self,
        request: Request<impl Stream<Item = Vec<u8>> + Send + 'static>,
    ) -> Result<Response<Vec<u8>>, Status> {
        self.ready().await.client_streaming(request, path("/test.Echo/ClientStreaming"), Raw).await
    }

    pub(super) async fn streaming(
        &mut self,
        request: Request<impl Stream<Item = Vec<u8>> + Send + 'static>,
    ) -> Result<Response<Streaming<Vec<u8>>>, Status> {
        self.ready().await.streaming(request, path("/test.Echo/Streaming"), Raw).await
    }
}

fn path(text: &'static str) -> PathAndQuery {
    PathAndQuery::from_static(text)
}

async fn answer(request: http::Request<Body>, ended: Arc<AtomicUsize>) -> http::Response<Body> {
    let mut grpc = tonic::server::Grpc::new(Raw);
    match request.uri().path() {
        "/test.Echo/Unary" => grpc.unary(tower::service_fn(unary), request).await,
        "/test.Echo/ServerStreaming" => {
            let service = tower::service_fn(move |request| server_streaming(request, Arc::clone(&ended)));
            grpc.server_streaming(service, request).await
        }
        "/test.Echo/ClientStreaming" => {
            grpc.client_streaming(tower::service_fn(client_streaming), request).await
        }
        "/grpc.health.v1.Health/Check" => grpc.unary(tower::service_fn(health), request).await,
        "/test.Echo/Streaming" => grpc.streaming(tower::service_fn(streaming), request).await,
        _ => Status::unimplemented("no such method").into_http(),
    }
}

/// Gives back the message and the metadata, or the status that was asked for.
async fn unary(request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
    if let Some(status) = wanted(request.metadata()) {
        return Err(status);
    }
    let mut metadata = MetadataMap::new();
    for name in ["x-text"] {
        if let Some(value) = request.metadata().get(name) {
            metadata.insert(name, value.clone());
        }
    }
    if let Some(value) = request.metadata().get_bin("x-data-bin") {
        metadata.insert_bin("x-data-bin", value.clone());
    }
    metadata.insert("x-end", MetadataValue::from_static("of the stream"));
    let mut response = Response::new(request.into_inner());
    *response.metadata_mut() = metadata;
    Ok(response)
}

type Messages = ReceiverStream<Result<Vec<u8>, Status>>;

/// What the gRPC health protocol asks for: `test.Echo` is serving, and nothing else is there.
async fn health(request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
    match &request.into_inner()[..] {
        b"\x0a\x09test.Echo" => Ok(Response::new(b"\x08\x01".to_vec())),
        _ => Err(Status::not_found("no such service")),
    }
}

/// Numbers, as many as the message says; then the status that was asked for.
async fn server_streaming(
    request: Request<Vec<u8>>,
    ended: Arc<AtomicUsize>,
) -> Result<Response<Messages>, Status> {
    let status = wanted(request.metadata());
    let count: u32 = String::from_utf8_lossy(&request.into_inner())
        .parse()
        .map_err(|_| Status::invalid_argument("not a number"))?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        for number in 0..count {
            if sender.send(Ok(number.to_string().into_bytes())).await.is_err() {
                ended.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
        if let Some(status) = status {
            // The client may be gone.
            let _ = sender.send(Err(status)).await;
        }
    });
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// How many messages there were, and all of them in a row.
async fn client_streaming(request: Request<Streaming<Vec<u8>>>) -> Result<Response<Vec<u8>>, Status> {
    if let Some(status) = wanted(request.metadata()) {
        return Err(status);
    }
    let mut messages = request.into_inner();
    let (mut count, mut all) = (0, Vec::new());
    while let Some(message) = messages.message().await? {
        count += 1;
        all.extend(message);
    }
    Ok(Response::new([format!("{count}: ").into_bytes(), all].concat()))
}

/// Gives back each message at once; or the status that was asked for, before any has come.
async fn streaming(request: Request<Streaming<Vec<u8>>>) -> Result<Response<Messages>, Status> {
    if let Some(status) = wanted(request.metadata()) {
        return Err(status);
    }
    let mut messages = request.into_inner();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(message)) = messages.message().await {
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(receiver)))
}

/// The status that the metadata ask for.
fn wanted(metadata: &MetadataMap) -> Option<Status> {
    let code = metadata.get("want-status")?.to_str().ok()?.parse::<i32>().ok()?;
    let mut more = MetadataMap::new();
    more.insert("x-more", MetadataValue::from_static("yes"));
    let details = bytes::Bytes::from_static(b"\x00details\xff");
    Some(Status::with_details_and_metadata(Code::from(code), "as you like: ü %", details, more))
}

/// Messages as they are.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
