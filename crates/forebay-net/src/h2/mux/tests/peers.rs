//! Against another implementation of HTTP/2, as client and as server.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};

use super::*;

/// Answers as the other implementation's server does: what it got comes back, with a trailer.
async fn serve_there(socket: TcpStream) {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(40_000)
        .max_concurrent_streams(50)
        .handshake::<_, Bytes>(socket)
        .await
        .unwrap();
    while let Some(accepted) = connection.accept().await {
        let Ok((request, mut respond)) = accepted else { return };
        tokio::task::spawn_local(async move {
            let path = request.uri().path().to_owned();
            let method = request.method().clone();
            let body = read_there(request.into_body()).await;
            let Ok((body, trailers)) = body else { return };
            match path.as_str() {
                "/refuse" => return respond.send_reset(h2::Reason::REFUSED_STREAM),
                "/fail" => return respond.send_reset(h2::Reason::INTERNAL_ERROR),
                "/empty" => {
                    let response = Response::builder().status(204).body(()).unwrap();
                    respond.send_response(response, true).unwrap();
                    return;
                }
                _ => {}
            }
            let response = Response::builder().header("x-method", method.as_str()).body(()).unwrap();
            let mut send = respond.send_response(response, false).unwrap();
            send_there(&mut send, body).await;
            let mut fields = trailers.unwrap_or_default();
            fields.insert("x-end", "there".parse().unwrap());
            send.send_trailers(fields).unwrap();
        });
    }
}

async fn read_there(mut body: h2::RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, body.trailers().await?))
}

async fn send_there(send: &mut h2::SendStream<Bytes>, body: Vec<u8>) {
    let mut rest = Bytes::from(body);
    while !rest.is_empty() {
        send.reserve_capacity(rest.len());
        let Some(Ok(n)) = poll_fn(|cx| send.poll_capacity(cx)).await else { return };
        let part = rest.split_to(n.min(rest.len()));
        if send.send_data(part, false).is_err() {
            return;
        }
    }
}

#[test]
fn our_client_and_their_server_understand_each_other() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        tokio::task::spawn_local(serve_there(theirs));
        let (client, drive) = Client::new(Link::new(ours), Limits::default(), false, &wheel, &buffers());
        tokio::task::spawn_local(drive);
        let mut tasks = Vec::new();
        for len in [0, 1, 39_999, 40_000, 40_001, 65_536, 1 << 20] {
            let client = client.clone();
            tasks.push(tokio::task::spawn_local(async move {
                let stream = client.open().unwrap();
                let text = b"POST /echo HTTP/1.1\r\nHost: a.test\r\nX-Field: with a value\r\n\r\n";
                stream.send_head(text, false).unwrap();
                let body = pattern(len);
                send(&*stream, &body, false).await.unwrap();
                stream.send_trailers(b"x-sum: 7\r\n").unwrap();
                let (status, fields) = head(&*stream).await.unwrap();
                assert_eq!((status, &fields[..]), (200, &b"x-methodPOST"[..]));
                assert!(read(&*stream).await.unwrap() == body, "{len}");
                let trailers = String::from_utf8(stream.take_trailers()).unwrap();
                assert!(trailers.contains("x-sum: 7") && trailers.contains("x-end: there"), "{trailers}");
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        for (path, expected) in [
            ("/refuse", Err(StreamError::Refused)),
            ("/fail", Err(StreamError::Reset(2))),
            ("/empty", Ok(204)),
        ] {
            let stream = client.open().unwrap();
            let text = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
            stream.send_head(text.as_bytes(), true).unwrap();
            assert_eq!(head(&*stream).await.map(|head| head.0), expected, "{path}");
        }
        assert_eq!(client.counters().glitches, 0);
    });
}

#[test]
fn our_server_and_their_client_understand_each_other() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        tokio::task::spawn_local(serve(theirs, Limits::default(), wheel.clone(), echo));
        let (client, connection) =
            h2::client::Builder::new().initial_window_size(30_000).handshake::<_, Bytes>(ours).await.unwrap();
        tokio::task::spawn_local(connection);
        let mut tasks = Vec::new();
        for len in [0, 1, 16_384, 29_999, 30_001, 65_535, 65_537, 1 << 20] {
            let mut client = client.clone();
            tasks.push(tokio::task::spawn_local(async move {
                let request =
                    Request::builder().method(Method::POST).uri("http://a.test/echo").body(()).unwrap();
                let (response, mut send) = client.send_request(request, false).unwrap();
                let body = pattern(len);
                send_there(&mut send, body.clone()).await;
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", "7".parse().unwrap());
                send.send_trailers(trailers).unwrap();
                let response = response.await.unwrap();
                assert_eq!(response.headers()["content-length"], body.len().to_string());
                let (got, trailers) = read_there(response.into_body()).await.unwrap();
                assert!(got == body, "{len}");
                assert_eq!(trailers.unwrap()["x-sum"], "7");
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_thousand_requests_sixteen_at_a_time() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        let (counts, counted) = tokio::sync::oneshot::channel();
        let turning = wheel.clone();
        tokio::task::spawn_local(async move {
            let mut server = Server::new(Link::new(theirs), Limits::default(), &turning, &buffers(), &[]);
            while let Some(incoming) = server.accept(Duration::from_secs(60), || false).await {
                tokio::task::spawn_local(echo(incoming));
            }
            counts.send(server.counters()).unwrap();
        });
        let (client, connection) = h2::client::handshake(ours).await.unwrap();
        let driven = tokio::task::spawn_local(connection);
        let mut tasks = Vec::new();
        for _ in 0..16 {
            let mut client = client.clone();
            tasks.push(tokio::task::spawn_local(async move {
                for _ in 0..64 {
                    let request = Request::builder().uri("http://a.test/").body(()).unwrap();
                    let (response, _) = client.send_request(request, true).unwrap();
                    let response = response.await.unwrap();
                    assert_eq!(read_there(response.into_body()).await.unwrap().0.len(), 0);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        drop(client);
        driven.await.unwrap().unwrap();
        let counters = counted.await.unwrap();
        assert_eq!((counters.served, counters.glitches), (1_024, 0));
    });
}

#[test]
fn their_client_hears_of_a_drain_and_its_request_is_answered() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        let draining = Rc::new(std::cell::Cell::new(false));
        let asked = Rc::clone(&draining);
        let turning = wheel.clone();
        let served = tokio::task::spawn_local(async move {
            let mut server = Server::new(Link::new(theirs), Limits::default(), &turning, &buffers(), &[]);
            while let Some(incoming) = server.accept(Duration::from_secs(60), || asked.get()).await {
                asked.set(true);
                tokio::task::spawn_local(echo(incoming));
            }
        });
        let (client, connection) = h2::client::handshake(ours).await.unwrap();
        let driven = tokio::task::spawn_local(connection);
        let mut ready = client.ready().await.unwrap();
        let request = Request::builder().uri("http://a.test/").body(()).unwrap();
        let (response, _) = ready.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        served.await.unwrap();
        driven.await.unwrap().unwrap();
    });
}
