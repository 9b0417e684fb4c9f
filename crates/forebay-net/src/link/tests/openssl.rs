//! The same with OpenSSL on the other side.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use forebay_testkit::scratch::Scratch;

use super::*;

/// OpenSSL with these arguments; `None`: it is not installed.
fn openssl(arguments: &[&str]) -> Option<std::process::Child> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().ok()
}

#[test]
fn openssl_is_served() {
    for version in ["-tls1_2", "-tls1_3"] {
        run(async |stage| {
            let server = stage.server();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let arguments = ["s_client", "-connect", &address, "-servername", "shop.test", version, "-quiet"];
            let Some(mut client) = openssl(&arguments) else { return };
            let data: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
            let (mut input, mut output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
            let upload = data.clone();
            let sending = std::thread::spawn(move || input.write_all(&upload).map(|()| input));
            let echo = async {
                let link = Link::new(listener.accept().await.unwrap().0);
                let (link, handshake) = stage.accept(link, &server).await.unwrap();
                let got = stage.read(&link, 800_000).await.unwrap();
                stage.write(&link, &got).await;
                link.shutdown().await.unwrap();
                (handshake, link)
            };
            let size = data.len();
            let reading = beside(move || {
                let mut got = vec![0; size];
                output.read_exact(&mut got).map(|()| got)
            });
            let ((handshake, _link), got) = tokio::join!(echo, reading);
            assert!(got.unwrap() == data);
            assert_eq!(handshake.sni.as_deref(), Some("shop.test"));
            drop(sending.join().unwrap());
            let _ = client.kill();
            client.wait().unwrap();
        });
    }
}

#[test]
fn openssl_serves() {
    run(async |stage| {
        let directory = Scratch::new("openssl");
        let issued = stage.authority.issue(&["shop.test"]);
        let (chain, key) = (directory.path().join("chain.pem"), directory.path().join("key.pem"));
        std::fs::write(&chain, &issued.certificate).unwrap();
        std::fs::write(&key, &issued.key).unwrap();
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let (chain, key) = (chain.to_string_lossy(), key.to_string_lossy());
        // It says the lines it gets backwards.
        let arguments =
            ["s_server", "-accept", &port, "-cert", &chain, "-key", &key, "-rev", "-alpn", "http/1.1"];
        let Some(mut server) = openssl(&arguments) else { return };
        let client = stage.client();
        // Both read the tickets it sends after its handshake, and go on with one.
        for resumed in [false, true] {
            let socket = loop {
                match TcpStream::connect(format!("127.0.0.1:{port}")).await {
                    Ok(socket) => break socket,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            let (link, handshake) = stage.connect(Link::new(socket), &client, "shop.test").await.unwrap();
            assert_eq!((handshake.resumed, handshake.alpn), (resumed, crate::tls::Alpn::H1));
            stage.write(&link, b"stressed\n").await;
            assert_eq!(stage.read(&link, 9).await.unwrap(), b"desserts\n");
        }
        let _ = server.kill();
        server.wait().unwrap();
    });
}
