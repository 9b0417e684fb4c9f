//! What is no TLS, or not at this place, ends a connection and no more.

use std::io::{Read, Write};

use forebay_testkit::chance::Chance;
use rustls::version::TLS13;

use super::*;

/// Alters a few bytes, and cuts off the rest somewhere.
fn mangle(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = chance.number() as u8;
        }
    }
    if chance.below(2) == 0 {
        bytes.truncate(chance.below(bytes.len() + 1));
    }
}

/// The first thing a client of ours says.
async fn hello(stage: &Stage) -> Vec<u8> {
    let (ours, theirs) = pair().await;
    let connected =
        theirs.connect_tls(&stage.client(), "shop.test", &stage.wheel.alarm(), Instant::now()).await;
    assert_eq!(word(&connected), "timeout");
    let mut buffer = Buffer::new(8192);
    ours.fill(&mut buffer, &stage.wheel.alarm(), soon).await.unwrap();
    buffer.filled().to_vec()
}

#[test]
fn a_hello_that_makes_no_sense_is_refused_and_no_more() {
    run(async |stage| {
        let (server, hello) = (stage.server(), hello(&stage).await);
        for seed in Chance::seeds(&[1, 2, 3]) {
            let mut chance = Chance::new(seed);
            for _ in 0..100 {
                let mut bytes = hello.clone();
                mangle(&mut chance, &mut bytes);
                let (ours, theirs) = pair().await;
                stage.write(&theirs, &bytes).await;
                drop(theirs);
                assert!(stage.accept(ours, &server).await.is_err(), "seed {seed}: nobody finished it");
            }
        }
    });
}

#[test]
fn an_answer_that_makes_no_sense_is_refused_and_no_more() {
    run(async |stage| {
        let (server, client) = (stage.server(), stage.client());
        for seed in Chance::seeds(&[1, 2]) {
            let mut chance = Chance::new(seed);
            for _ in 0..50 {
                let (ours, theirs) = sockets().await;
                let mut session = rustls::ServerConnection::new(Arc::clone(server.config(true))).unwrap();
                let mut choices = chance.clone();
                chance.number();
                let theirs = theirs.into_std().unwrap();
                theirs.set_nonblocking(false).unwrap();
                let other = beside(move || answer(theirs, &mut session, &mut choices));
                // What was altered may not matter: a byte can be what it was before.
                let (shaken, ()) = tokio::join!(stage.connect(Link::new(ours), &client, "shop.test"), other);
                if let Ok((link, _)) = shaken {
                    while stage.read(&link, 1).await.is_ok_and(|read| !read.is_empty()) {}
                }
            }
        }
    });
}

/// Reads a hello, answers it with something altered, and goes.
fn answer(mut socket: std::net::TcpStream, session: &mut rustls::ServerConnection, chance: &mut Chance) {
    while session.is_handshaking() && !session.wants_write() {
        session.read_tls(&mut socket).unwrap();
        session.process_new_packets().unwrap();
    }
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    mangle(chance, &mut bytes);
    let _ = socket.write_all(&bytes);
}

#[test]
fn records_that_make_no_sense_end_a_connection_and_no_more() {
    run(async |stage| {
        let (server, config) = (stage.server(), stage.config(&[&TLS13], |_| ()));
        for seed in Chance::seeds(&[1, 2]) {
            let mut chance = Chance::new(seed);
            for _ in 0..50 {
                let (ours, theirs) = sockets().await;
                let mut client = plain(theirs, &config);
                let mut choices = chance.clone();
                chance.number();
                let other = beside(move || records(&mut client, &mut choices).map(|()| client));
                let accept = async {
                    let link = stage.accept(Link::new(ours), &server).await.unwrap().0;
                    let mut buffer = Buffer::new(100);
                    while link.fill(&mut buffer, &stage.wheel.alarm(), soon).await.is_ok_and(|n| n > 0) {
                        let n = buffer.len();
                        assert!(
                            buffer.filled().iter().all(|byte| *byte == b'x'),
                            "seed {seed}: it was altered"
                        );
                        buffer.consume(n);
                        let _ = link.write_all([b"answer"], &stage.wheel.alarm(), soon).await;
                    }
                };
                let ((), client) = tokio::join!(accept, other);
                let _ = client.unwrap().sock.read(&mut [0]);
            }
        }
    });
}

/// Sends all kinds of records, and then altered ones.
fn records(client: &mut Plain, chance: &mut Chance) -> io::Result<()> {
    client.write_all(b"x")?;
    let mut bytes = Vec::new();
    for round in 0..4 {
        for _ in 0..chance.below(5) {
            match chance.below(4) {
                0 => client.conn.refresh_traffic_keys().unwrap(),
                1 => client.conn.writer().write_all(&[b'x'; 20_000]).unwrap(),
                _ => client.conn.writer().write_all(b"xxx").unwrap(),
            }
            while client.conn.wants_write() {
                client.conn.write_tls(&mut bytes)?;
            }
        }
        if round > 1 {
            mangle(chance, &mut bytes);
        }
        // In pieces, so that it is cut everywhere.
        let cut = chance.below(bytes.len() + 1);
        let sent = client.sock.write_all(&bytes[..cut]).and_then(|()| client.sock.write_all(&bytes[cut..]));
        if sent.is_err() {
            break;
        }
        bytes.clear();
    }
    // The other side may have gone before.
    let _ = client.sock.shutdown(std::net::Shutdown::Write);
    Ok(())
}
