//! Who a client is, as proxies say by the PROXY protocol: of HAProxy, to HAProxy and nginx, and by the byte.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use forebay_testkit::DEADLINE;
use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::message::Response;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::tool;
use forebay_testkit::wire::{Client, End};
use rustix::net::{AddressFamily, SocketType};

/// A gateway that expects headers of this machine, in front of `origin`.
fn expecting(origin: &Origin, more: &str) -> Gateway {
    gateway!(
        "listen: {{ address: 127.0.0.1:0, proxy_protocol: on }}\nadmin: 127.0.0.1:0\nworkers: 1\n\
         trusted_proxies: [127.0.0.1]\nservices:\n  app: {{ endpoints: [\"{}\"] }}\n\
         routes:\n  - {{ match: /*, to: app }}\n{more}\n",
        origin.address()
    )
}

/// Who the origin was told is asking.
fn told(origin: &Origin) -> String {
    origin.last().headers.get("x-forwarded-for").unwrap_or_default().to_owned()
}

/// A request after this header.
fn ask(gateway: &Gateway, header: &[u8]) -> Result<Response, String> {
    let request = [header, b"GET /x HTTP/1.1\r\nHost: t\r\n\r\n"].concat();
    gateway.client().ask(request).map_err(|failed| failed.to_string())
}

/// A header of version 2 for 203.0.113.7 with what is said besides.
fn bytes(command: u8, family: u8, tlvs: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend_from_slice(&[command, family]);
    header.extend_from_slice(&(12 + tlvs.len() as u16).to_be_bytes());
    header.extend_from_slice(&[203, 0, 113, 7, 192, 0, 2, 1, 0xc3, 0x50, 0x01, 0xbb]);
    header.extend_from_slice(tlvs);
    header
}

#[test]
fn services_hear_of_the_client_that_a_header_names() {
    let origin = Origin::echo();
    let gateway = expecting(&origin, "");
    for (header, client) in [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n".to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 50000 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (bytes(0x21, 0x11, &[]), "203.0.113.7"),
        (bytes(0x21, 0x11, b"\x02\0\x06t.test\x05\0\x01a"), "203.0.113.7"),
        (bytes(0x20, 0x00, &[]), "127.0.0.1"),
    ] {
        let answer = ask(&gateway, &header).unwrap_or_else(|failed| panic!("{header:?}: {failed}"));
        assert_eq!((answer.status, told(&origin)), (200, client.to_owned()), "{header:?}");
    }
}

/// What proxies pass on of connections without a name is anybody's word.
#[test]
fn clients_without_a_name_do_not_speak_for_the_proxy() {
    let origin = Origin::echo();
    let gateway = expecting(&origin, "");
    for (header, seen) in [
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (bytes(0x20, 0x00, &[]), "127.0.0.1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0".to_vec(), "127.0.0.1"),
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n".to_vec(), "203.0.113.7"),
        // A proxy that is trusted stands before the one that connects.
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 443\r\n".to_vec(), "198.51.100.1, 127.0.0.1"),
    ] {
        let lies = b"GET /x HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 198.51.100.1\r\n\
            X-Request-Id: mine\r\n\r\n";
        let answer = gateway.client().ask([&header[..], lies].concat());
        let answer = answer.unwrap_or_else(|failed| panic!("{header:?}: {failed}"));
        assert_eq!((answer.status, told(&origin)), (200, seen.to_owned()), "{header:?}");
        let id = origin.last().headers.get("x-request-id").map(str::to_owned);
        assert_eq!(id.as_deref() == Some("mine"), seen.contains(','), "{header:?}: {id:?}");
    }
}

#[test]
fn whoever_begins_without_a_header_or_with_a_broken_one_is_not_answered() {
    let origin = Origin::echo();
    let gateway = expecting(&origin, "");
    for header in [
        &b""[..],
        b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\n",
        b"PROXY TCP4 2001:db8::7 ::1 50000 443\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443 x\r\n",
        &bytes(0x31, 0x11, &[]),
        &bytes(0x21, 0x12, &[]),
        &bytes(0x21, 0x11, &[3, 0, 4, 0, 0, 0, 0]),
    ] {
        assert!(ask(&gateway, header).is_err(), "{header:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let origin = Origin::echo();
    let gateway = expecting(&origin, "limits: { handshake_timeout: 100ms }");
    for said in [&b""[..], b"PROXY TCP4 203.0"] {
        let mut client = gateway.client();
        client.send(said).expect("it has just connected");
        assert!(!matches!(client.end(), End::Open), "after {said:?}");
    }
}

#[test]
fn connections_count_for_the_client_that_is_named() {
    let origin = Origin::echo();
    let gateway = expecting(&origin, "limits: { connections_per_ip: 1 }");
    let connect = |client: &str| {
        let mut connection = gateway.client();
        let header = format!("PROXY TCP4 {client} 192.0.2.1 50000 443\r\n");
        let answer = connection.ask(format!("{header}GET /x HTTP/1.1\r\nHost: t\r\n\r\n"));
        answer.ok().map(|answer| (answer.status, connection))
    };
    let first = connect("203.0.113.7").expect("it is the first");
    assert!(connect("203.0.113.7").is_none(), "it has one already");
    assert!(connect("203.0.113.8").is_some(), "it is another");
    drop(first);
    eventually("its place", || connect("203.0.113.7"));
}

/// A real HAProxy with this configuration; `PORT` stands for the port it listens on. Killed on drop.
struct Haproxy {
    child: Child,
    address: SocketAddr,
    _scratch: Scratch,
}

impl Haproxy {
    fn start(config: &str) -> Self {
        let scratch = Scratch::new("haproxy");
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
            let address = free.local_addr().expect("it is bound");
            drop(free);
            let text = format!(
                "global\n  maxconn 100\ndefaults\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n{}",
                config.replace("PORT", &address.port().to_string())
            );
            let path = scratch.write("haproxy.cfg", text);
            let mut command = Command::new(tool("haproxy"));
            command.arg("-db").arg("-q").arg("-f").arg(path);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("it was found");
            let serves = || match child.try_wait().expect("it is ours") {
                Some(_) => Some(false),
                None => TcpStream::connect(address).is_ok().then_some(true),
            };
            if eventually("haproxy", serves) {
                return Self { child, address, _scratch: scratch };
            }
        }
        panic!("haproxy does not start");
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection from 127.0.0.2, which is nobody's proxy.
fn from_another(to: SocketAddr) -> Client {
    let socket =
        rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("there are sockets");
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 2], 0))).expect("the whole network is ours");
    rustix::net::connect(&socket, &to).expect("it listens");
    Client::over(socket.into())
}

#[test]
fn haproxys_headers_of_every_kind_are_understood() {
    let origin = Origin::echo();
    let gateway = expecting(&origin, "");
    for how in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2-ssl",
        "send-proxy-v2-ssl-cn",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl",
    ] {
        let haproxy = Haproxy::start(&format!(
            "listen front\n  mode tcp\n  bind 127.0.0.1:PORT\n  unique-id-format %ts\n  server a {} {how}\n",
            gateway.addr()
        ));
        let mut client = from_another(haproxy.address);
        for _ in 0..2 {
            let answer = client.get("/x");
            assert_eq!((answer.status, told(&origin)), (200, "127.0.0.2".to_owned()), "{how}");
        }
    }
}

/// What stands in front of a service that is told of its clients in this version.
fn telling(endpoint: SocketAddr, version: &str) -> Gateway {
    gateway!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         services:\n  app: {{ endpoints: [\"{endpoint}\"], proxy_protocol: {version} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n"
    )
}

#[test]
fn haproxy_understands_our_headers() {
    let origin = Origin::echo();
    let haproxy = Haproxy::start(&format!(
        "listen back\n  mode http\n  bind 127.0.0.1:PORT accept-proxy\n  http-request set-header X-Seen %[src]\n  \
         server a {}\n",
        origin.address()
    ));
    for version in ["v1", "v2"] {
        let gateway = telling(haproxy.address, version);
        let answer = from_another(gateway.addr()).get("/x");
        let seen = origin.last().headers.get("x-seen").map(str::to_owned);
        assert_eq!((answer.status, seen.as_deref()), (200, Some("127.0.0.2")), "{version}");
        // Another client must not come by the connection of the one before.
        let answer = gateway.get("/x");
        let seen = origin.last().headers.get("x-seen").map(str::to_owned);
        assert_eq!((answer.status, seen.as_deref()), (200, Some("127.0.0.1")), "{version}");
    }
}

/// A service that answers every connection once, and what the first line of each was.
fn first_lines() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener.local_addr().expect("it is bound");
    let (tell, lines) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let first = head.lines().next().unwrap_or_default().to_owned();
            if tell.send(first).is_err() {
                return;
            }
        }
    });
    (address, lines)
}

/// HTTP/2's preface, and no settings.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A request for `/` on this stream.
fn get_on(stream: u8) -> [u8; 15] {
    [0, 0, 6, 1, 5, 0, 0, 0, stream, 0x82, 0x86, 0x84, 0x01, 1, b't']
}

#[test]
fn clients_that_were_there_before_a_service_wanted_to_know_are_named_too() {
    let (service, lines) = first_lines();
    let line = || lines.recv_timeout(DEADLINE).expect("the service is asked");
    let settings = |proxy_protocol: &str| {
        format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
             services:\n  app: {{ endpoints: [\"{service}\"], proxy_protocol: {proxy_protocol} }}\n\
             routes:\n  - {{ match: /*, to: app }}\n"
        )
    };
    let gateway = gateway!("{}", settings("off"));
    let (mut alone, mut shared) = (gateway.client(), gateway.client());
    assert_eq!(alone.get("/").status, 200);
    assert_eq!(line(), "GET / HTTP/1.1");
    shared.send([BEGINNING, &get_on(1)].concat()).expect("the gateway listens");
    assert_eq!(line(), "GET / HTTP/1.1");

    gateway.write_settings(&settings("v1"));
    gateway.signal(Signal::Hangup);
    gateway.await_metric("forebay_reloads_total{result=\"succeeded\"}", |reloads| reloads >= 1.0);
    let port = gateway.addr().port();
    let named = |client: &Client| format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {port}", client.local().port());
    assert_eq!(alone.get("/").status, 200);
    assert_eq!(line(), named(&alone));
    shared.send(get_on(3)).expect("the connection is open");
    assert_eq!(line(), named(&shared));
}
