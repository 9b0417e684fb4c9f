//! Whatever is sent comes out the same, in whatever pieces.

use std::io::{Read, Write};

use forebay_testkit::chance::Chance;
use rustls::version::{TLS12, TLS13};

use super::*;

/// Bytes that tell where they belong.
fn bytes(seed: u64, n: usize) -> Vec<u8> {
    let mut chance = Chance::new(seed);
    std::iter::repeat_with(|| chance.number().to_le_bytes()).flatten().take(n).collect()
}

/// Makes the kernel hold as little as it can.
fn narrow(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(16_384).unwrap();
    socket.set_recv_buffer_size(16_384).unwrap();
}

/// Sends all of `data` in pieces as `chance` has it, in one or three slices.
async fn send(stage: &Stage, link: &Link, mut data: &[u8], mut chance: Chance, piece_max: usize) {
    while !data.is_empty() {
        let (piece, rest) = data.split_at(data.len().min(1 + chance.below(piece_max)));
        let (first, second) = piece.split_at(chance.below(piece.len() + 1));
        let more = chance.below(2) == 0;
        link.write([first, b"", second], more, &stage.wheel.alarm(), soon).await.unwrap();
        data = rest;
    }
    link.push();
}

/// Receives `n` bytes by buffers of all sizes.
async fn receive(stage: &Stage, link: &Link, n: usize, mut chance: Chance) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < n {
        let mut buffer = Buffer::new(1 + chance.below(40_000));
        if chance.below(2) == 0 {
            link.readable(&stage.wheel.alarm(), soon).await.unwrap();
        }
        assert!(link.fill(&mut buffer, &stage.wheel.alarm(), soon).await.unwrap() > 0);
        got.extend_from_slice(buffer.filled());
    }
    got
}

#[test]
fn bytes_arrive_as_they_were_sent_whatever_their_pieces() {
    for seed in Chance::seeds(&[1, 2, 3, 4]) {
        for (version, piece_max) in [(&TLS13, 100), (&TLS13, 100_000), (&TLS12, 20_000)] {
            run(async |stage| exchange(&stage, seed, version, piece_max).await);
        }
    }
}

/// Both directions at once, against rustls's own client.
async fn exchange(stage: &Stage, seed: u64, version: &'static SupportedProtocolVersion, piece_max: usize) {
    let (server, (ours, theirs)) = (stage.server(), sockets().await);
    if seed.is_multiple_of(2) {
        narrow(&ours);
    }
    let n = piece_max.clamp(20_000, 1_000_000) * 3;
    let (to_them, to_us) = (bytes(seed, n), bytes(seed + 100, n));
    let expected = to_them.clone();
    let mut client = plain(
        theirs,
        &stage.config(&[version], |config| config.max_fragment_size = (seed == 3).then_some(512)),
    );
    let upload = to_us.clone();
    let other = beside(move || {
        let mut chance = Chance::new(seed + 1);
        let (mut sent, mut got) = (0, Vec::new());
        // By turns: one thread must not wait for room while the other side waits for it as well.
        while sent < n || got.len() < n {
            let piece = (1 + chance.below(piece_max)).min(n - sent);
            client.write_all(&upload[sent..sent + piece]).unwrap();
            sent += piece;
            let mut part = vec![0; (1 + chance.below(piece_max)).min(n - got.len())];
            client.read_exact(&mut part).unwrap();
            got.extend_from_slice(&part);
        }
        got
    });
    let ours = async {
        let link = stage.accept(Link::new(ours), &server).await.unwrap().0;
        let (_, got) = tokio::join!(
            send(stage, &link, &to_them, Chance::new(seed + 2), piece_max),
            receive(stage, &link, n, Chance::new(seed + 3))
        );
        got
    };
    let (got, theirs) = tokio::join!(ours, other);
    assert!(got == to_us && theirs == expected, "seed {seed}");
}

#[test]
fn ten_megabytes_go_through_the_narrowest_sockets() {
    run(async |stage| {
        let (server, client, (ours, theirs)) = (stage.server(), stage.client(), sockets().await);
        narrow(&ours);
        narrow(&theirs);
        let accept = stage.accept(Link::new(ours), &server);
        let connect = async {
            let (link, _) = stage.connect(Link::new(theirs), &client, "shop.test").await.unwrap();
            stage.write(&link, b"x").await;
            link
        };
        let (server, client) = tokio::join!(accept, connect);
        let server = server.unwrap().0;
        stage.read(&server, 1).await.unwrap();
        let data = bytes(1, 10 << 20);
        let sending = async {
            stage.write(&server, &data).await;
            server.shutdown().await.unwrap();
        };
        let (got, ()) = tokio::join!(receive(&stage, &client, data.len(), Chance::new(2)), sending);
        assert!(got == data);
        assert_eq!(stage.read(&client, 1).await.unwrap(), b"", "the end was said after the last byte");
    });
}

#[test]
fn whoever_does_not_read_costs_a_bounded_amount_and_is_late_in_the_end() {
    run(async |stage| {
        let (server, _client) = stage.secured().await;
        let data = vec![7; 64 << 20];
        let wrote = server.write_all([&data], &stage.wheel.alarm(), Instant::now).await;
        assert!(matches!(wrote, Err(LinkError::TimedOut)));
        let Wire::Tls(secured) = &*server.wire.borrow() else { unreachable!("it is secured") };
        assert!(secured.bytes_held() < 40_000, "{}", secured.bytes_held());
    });
}

#[test]
fn a_quiet_connection_holds_no_buffer() {
    run(async |stage| {
        let (server, client) = stage.secured().await;
        for n in [1, 1000, 100_000] {
            let data = bytes(1, n);
            let sending = stage.write(&client, &data);
            let (_, got) = tokio::join!(sending, receive(&stage, &server, n, Chance::new(2)));
            assert!(got == data);
            stage.write(&server, b"y").await;
            stage.read(&client, 1).await.unwrap();
        }
        for link in [&server, &client] {
            let Wire::Tls(secured) = &*link.wire.borrow() else { unreachable!("it is secured") };
            assert_eq!(secured.bytes_held(), 0);
        }
    });
}
