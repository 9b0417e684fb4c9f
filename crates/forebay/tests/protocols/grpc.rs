//! gRPC: a client and a server by tonic, through the gateway in all four ways to call, with statuses, metadata,
//! deadlines and cancellation.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::settings::top;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};

use echo::{Client, Server};

mod beyond;
mod echo;
mod load;

/// A gateway that speaks HTTP/2 with what is at `endpoint`.
fn in_front_of(endpoint: SocketAddr) -> Gateway {
    gateway!(
        "{}services:\n  app: {{ endpoints: [\"{endpoint}\"], protocol: h2c }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        top()
    )
}

/// Runs the test with a server, the gateway before it, and a client of the gateway.
fn check(test: impl AsyncFnOnce(Client, &Server, &Gateway)) {
    let server = Server::start();
    let gateway = in_front_of(server.address);
    block_on(async {
        let client = connect(&gateway).await;
        test(client, &server, &gateway).await;
    });
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the machine has descriptors left").block_on(async {
        let in_time = tokio::time::timeout(forebay_testkit::DEADLINE, test).await;
        in_time.expect("the calls end in time");
    });
}

async fn connect(gateway: &Gateway) -> Client {
    connect_to(gateway.addr()).await
}

async fn connect_to(address: SocketAddr) -> Client {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("it is a URI");
    Client::new(endpoint.connect().await.expect("somebody accepts"))
}

/// A stream of these messages.
fn messages(all: &[&str]) -> impl tokio_stream::Stream<Item = Vec<u8>> + Send + 'static + use<> {
    let all: Vec<Vec<u8>> = all.iter().map(|text| text.as_bytes().to_vec()).collect();
    tokio_stream::iter(all)
}

#[test]
fn one_message_is_answered_by_one() {
    // First without the gateway: what all else takes for granted.
    let server = Server::start();
    block_on(async {
        let answer = connect_to(server.address).await.unary(Request::new(b"hello".to_vec())).await;
        assert_eq!(answer.expect("it is answered").into_inner(), b"hello");
    });
    check(async |mut client, _server, _gateway| {
        for message in [Vec::new(), b"hello".to_vec(), vec![b'x'; 3 << 20]] {
            let answer = client.unary(Request::new(message.clone())).await.expect("it is answered");
            assert!(answer.into_inner() == message);
        }
    });
}

#[test]
fn many_calls_at_once_share_connections() {
    check(async |client, _server, gateway| {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..200_u32 {
            let mut client = client.clone();
            calls.spawn(async move {
                let message = number.to_string().into_bytes();
                client.unary(Request::new(message.clone())).await.expect("answered").into_inner() == message
            });
        }
        assert!(calls.join_all().await.into_iter().all(|same| same));
        assert_eq!(gateway.metric("forebay_requests_total{class=\"2xx\"}"), 200.0);
    });
}

#[test]
fn one_message_is_answered_by_many() {
    check(async |mut client, _server, _gateway| {
        let answer = client.server_streaming(Request::new(b"1000".to_vec())).await.expect("it begins");
        let all: Vec<Vec<u8>> = answer.into_inner().map(|item| item.expect("no error")).collect().await;
        let expected: Vec<Vec<u8>> = (0..1000_u32).map(|number| number.to_string().into_bytes()).collect();
        assert!(all == expected, "{} messages", all.len());
    });
}

#[test]
fn many_messages_are_answered_by_one() {
    check(async |mut client, _server, _gateway| {
        let answer = client.client_streaming(Request::new(messages(&["a", "b", "", "c"]))).await;
        assert_eq!(answer.expect("it is answered").into_inner(), b"4: abc");
        let answer = client.client_streaming(Request::new(messages(&[]))).await;
        assert_eq!(answer.expect("it is answered").into_inner(), b"0: ");
    });
}

#[test]
fn both_sides_stream_and_each_message_arrives_when_it_is_sent() {
    check(async |mut client, _server, _gateway| {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let answer = client.streaming(Request::new(ReceiverStream::new(receiver))).await.expect("it begins");
        let mut back = answer.into_inner();
        // Each is sent only when the last one is back: whoever kept one would stop everything.
        for number in 0..100_u32 {
            let message = number.to_string().into_bytes();
            sender.send(message.clone()).await.expect("the call goes on");
            assert_eq!(back.next().await.expect("the call goes on").expect("no error"), message);
        }
        drop(sender);
        assert!(back.next().await.is_none());
        assert!(back.trailers().await.expect("no error").is_some());
    });
}

#[test]
fn statuses_with_their_details_arrive_from_trailers_and_without_a_body() {
    check(async |mut client, _server, _gateway| {
        for code in [Code::NotFound, Code::Aborted, Code::Unauthenticated, Code::DataLoss] {
            let mut request = Request::new(b"x".to_vec());
            request.metadata_mut().insert("want-status", (code as i32).into());
            let status = client.unary(request).await.expect_err("it was asked for");
            assert_eq!((status.code(), status.message()), (code, "as you like: ü %"));
            assert_eq!(status.details(), b"\x00details\xff");
            assert_eq!(status.metadata().get("x-more").map(|value| value.as_bytes()), Some(&b"yes"[..]));
        }
        let mut request = Request::new(b"3".to_vec());
        request.metadata_mut().insert("want-status", (Code::OutOfRange as i32).into());
        let mut answer = client.server_streaming(request).await.expect("it begins").into_inner();
        for number in [&b"0"[..], b"1", b"2"] {
            assert_eq!(answer.next().await.expect("three come").expect("before the end"), number);
        }
        let status = answer.next().await.expect("an end").expect_err("it was asked for");
        assert_eq!((status.code(), status.details()), (Code::OutOfRange, &b"\x00details\xff"[..]));
    });
}

#[test]
fn metadata_goes_both_ways_also_in_bytes() {
    check(async |mut client, _server, _gateway| {
        let mut request = Request::new(b"x".to_vec());
        request.metadata_mut().insert("x-text", MetadataValue::from_static("some text"));
        request.metadata_mut().insert_bin("x-data-bin", MetadataValue::from_bytes(b"\x00\xff\x80"));
        let answer = client.unary(request).await.expect("it is answered");
        let metadata = answer.metadata();
        assert_eq!(metadata.get("x-text").map(|value| value.as_bytes()), Some(&b"some text"[..]));
        let data = metadata.get_bin("x-data-bin").map(|value| value.to_bytes().expect("base64"));
        assert_eq!(data.as_deref(), Some(&b"\x00\xff\x80"[..]));
        // The server says so in its head, and where it ends.
        assert_eq!(metadata.get("x-end").map(|value| value.as_bytes()), Some(&b"of the stream"[..]));
    });
}

#[test]
fn a_call_that_is_given_up_ends_at_the_server() {
    check(async |mut client, server, _gateway| {
        let call = client.server_streaming(Request::new(b"1000000000".to_vec())).await;
        let mut back = call.expect("it begins").into_inner();
        assert_eq!(back.next().await.expect("more than anybody waits for").expect("no error"), b"0");
        assert_eq!(server.ended.load(Ordering::SeqCst), 0);
        drop(back);
        // The client's connection goes on only while its tasks may run.
        while server.ended.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        client.unary(Request::new(b"y".to_vec())).await.expect("the connection is still good");
    });
}

#[test]
fn a_server_that_stops_under_a_call_is_a_status() {
    let server = Server::start();
    let gateway = in_front_of(server.address);
    block_on(async {
        let mut client = connect(&gateway).await;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let call = client.streaming(Request::new(ReceiverStream::new(receiver))).await.expect("it begins");
        sender.send(b"x".to_vec()).await.expect("the call goes on");
        let mut back = call.into_inner();
        assert!(back.next().await.is_some());
        drop(server);
        let status = back.next().await.expect("an end").expect_err("it did not end well");
        assert!(matches!(status.code(), Code::Unavailable | Code::Internal | Code::Cancelled), "{status:?}");
    });
}
