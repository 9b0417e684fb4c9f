//! Ends of secured connections: said, cut off, reset.

use std::io::Write;
use std::task::Waker;

use rustls::version::{TLS12, TLS13};

use super::*;

impl Stage {
    /// A server's link, and rustls's client on the other side of it.
    async fn against(&self, version: &'static SupportedProtocolVersion) -> (Link, Plain) {
        let (server, (ours, theirs)) = (self.server(), sockets().await);
        let mut client = plain(theirs, &self.config(&[version], |_| ()));
        let other = beside(move || client.write_all(b"x").map(|()| client));
        let (server, client) = tokio::join!(self.accept(Link::new(ours), &server), other);
        let link = server.unwrap().0;
        assert_eq!(self.read(&link, 1).await.unwrap(), b"x");
        (link, client.unwrap())
    }
}

async fn ended(link: &Link) -> Ended {
    std::future::poll_fn(|cx| link.poll_ended(cx)).await
}

/// Whether waiting for the end is all there is to do.
fn waits(link: &Link) -> bool {
    link.poll_ended(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[test]
fn an_end_that_was_said_is_an_end_and_a_cut_is_an_error() {
    run(async |stage| {
        let (server, client) = stage.secured().await;
        server.shutdown().await.unwrap();
        assert_eq!(ended(&client).await, Ended::Closed);
        assert_eq!(stage.read(&client, 1).await.unwrap(), b"");
        // The other direction is still open.
        stage.write(&client, b"bye").await;
        assert_eq!(stage.read(&server, 3).await.unwrap(), b"bye");

        let (server, client) = stage.secured().await;
        drop(server);
        assert_eq!(stage.read(&client, 1).await.unwrap(), b"", "whoever just goes says so");

        for version in [&TLS12, &TLS13] {
            let (link, client) = stage.against(version).await;
            drop(client);
            assert_eq!(ended(&link).await, Ended::Closed);
            for _ in 0..2 {
                let error = stage.read(&link, 1).await.unwrap_err();
                assert!(
                    matches!(error, LinkError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof)
                );
            }
        }
    });
}

#[test]
fn a_reset_is_seen_and_says_nothing_of_an_end() {
    run(async |stage| {
        let (server, client) = stage.secured().await;
        server.reset_on_close();
        drop(server);
        assert_eq!(ended(&client).await, Ended::Reset);
        assert!(stage.read(&client, 1).await.is_err());
    });
}

#[test]
fn what_breaks_the_rules_later_ends_it() {
    run(async |stage| {
        let (link, mut client) = stage.against(&TLS13).await;
        client.sock.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(ended(&link).await, Ended::Reset);
        let error = stage.read(&link, 1).await.unwrap_err();
        assert!(matches!(error, LinkError::Io(error) if error.kind() == io::ErrorKind::InvalidData));
    });
}

#[test]
fn an_altered_record_is_an_error_and_not_data() {
    run(async |stage| {
        let (link, mut client) = stage.against(&TLS13).await;
        client.conn.writer().write_all(b"secret").unwrap();
        let mut record = Vec::new();
        client.conn.write_tls(&mut record).unwrap();
        *record.last_mut().unwrap() ^= 1;
        client.sock.write_all(&record).unwrap();
        assert!(stage.read(&link, 1).await.is_err());
        assert!(link.poll_write(&mut Context::from_waker(Waker::noop()), b"x").is_ready());
    });
}

#[test]
fn records_that_hold_no_data_leave_it_quiet() {
    run(async |stage| {
        // The server's ticket comes with its first data, so that the client is asked after another.
        let (link, mut client) = stage.against(&TLS13).await;
        assert!(link.is_quiet() && waits(&link));
        client.conn.refresh_traffic_keys().unwrap();
        client.conn.write_tls(&mut client.sock).unwrap();
        std::future::poll_fn(|cx| link.poll_readable(cx)).await.unwrap();
        assert!(link.is_quiet() && waits(&link));
        client.write_all(b"later").unwrap();
        std::future::poll_fn(|cx| link.poll_readable(cx)).await.unwrap();
        assert!(!link.is_quiet());
        // Nothing is lost by asking.
        assert_eq!(ended(&link).await, Ended::Sending);
        assert_eq!(stage.read(&link, 5).await.unwrap(), b"later");
        assert!(link.is_quiet() && waits(&link));
        stage.write(&link, b"with new keys").await;
        let answer = beside(move || {
            let mut answer = [0; 13];
            io::Read::read_exact(&mut client, &mut answer).unwrap();
            answer
        });
        assert_eq!(&answer.await, b"with new keys");
    });
}

#[test]
fn a_client_is_quiet_when_a_ticket_comes() {
    run(async |stage| {
        let (server, client) = stage.secured().await;
        stage.write(&server, b"y").await;
        assert_eq!(stage.read(&client, 1).await.unwrap(), b"y");
        assert!(client.is_quiet() && server.is_quiet());
        server.shutdown().await.unwrap();
        std::future::poll_fn(|cx| client.poll_readable(cx)).await.unwrap();
        assert!(!client.is_quiet());
    });
}

#[test]
fn plaintext_that_waits_makes_it_readable() {
    run(async |stage| {
        let (server, client) = stage.secured().await;
        stage.write(&client, b"one and two").await;
        assert_eq!(stage.read(&server, 3).await.unwrap(), b"one");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(server.poll_readable(&mut cx).is_ready() && !server.is_quiet());
        assert_eq!(server.poll_ended(&mut cx), Poll::Ready(Ended::Sending));
        assert_eq!(stage.read(&server, 8).await.unwrap(), b" and two");
        assert!(server.poll_readable(&mut cx).is_pending() && server.is_quiet());
    });
}
