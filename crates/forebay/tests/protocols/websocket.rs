//! WebSocket (RFC 6455): Python's `websockets` as client and as server.

use std::process::Command;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::wire::Client;

use crate::certificates::{self, text};
use crate::programs::{PYTHON, Server, output_of, settings};

/// Echoes messages; `close N` closes with that code. Paths: `/chat` has subprotocols, `/refused` is answered 403.
pub(crate) const SERVER: &str = r#"
import asyncio, http, websockets

async def serve(connection):
    path = connection.path.split("?")[0]
    if path == "/headers":
        await connection.send(str(connection.request_headers))
    try:
        async for message in connection:
            if isinstance(message, str) and message.startswith("close "):
                await connection.close(int(message[6:]), "as you like")
                return
            await connection.send(message)
    except websockets.ConnectionClosed:
        pass

async def refuse(path, headers):
    if path == "/refused":
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "no")], b"not you"

async def main():
    server = await websockets.serve(serve, "127.0.0.1", 0, process_request=refuse, max_size=1 << 24,
                                    subprotocols=["chat.v2", "chat.v1"], ping_interval=None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()

asyncio.run(main())
"#;

/// What clients begin with: `connect(path)` by the URL and the authority's certificate on the command line.
const PRELUDE: &str = r#"
import asyncio, os, ssl, sys, websockets
base, ca = sys.argv[1:3]
context = ssl.create_default_context(cafile=ca) if base.startswith("wss") else None
def connect(path, **options):
    options.setdefault("ping_interval", None)
    return websockets.connect(base + path, ssl=context, max_size=1 << 24, **options)
async def closed(connection):
    try:
        await connection.recv()
    except websockets.ConnectionClosed as end:
        return (end.rcvd.code, end.rcvd.reason) if end.rcvd else None
"#;

struct Setup {
    gateway: Gateway,
    folder: Scratch,
    _server: Server,
}

impl Setup {
    fn new(more: &str) -> Self {
        let server = Server::start(Command::new(PYTHON).args(["-c", SERVER]));
        let folder = certificates::folder();
        let gateway = gateway!("{}", settings(text(folder.path()), server.address, "", more));
        Self { gateway, folder, _server: server }
    }

    /// Runs the script with TLS and without; it must print `fine`.
    fn check(&self, script: &str) {
        let bases = [
            format!("ws://{}", self.gateway.listen()[0]),
            format!("wss://localhost:{}", self.gateway.listen()[1].port()),
        ];
        for base in bases {
            assert_eq!(output_of(&mut self.client(&base, script)), "fine\n", "{base}");
        }
    }

    fn client(&self, base: &str, script: &str) -> Command {
        let mut python = Command::new(PYTHON);
        python.args(["-c", &format!("{PRELUDE}{script}"), base]);
        python.arg(self.folder.path().join("ca.pem"));
        python
    }
}

#[test]
fn messages_of_all_kinds_and_sizes_come_back() {
    Setup::new("").check(
        r#"
async def main():
    async with connect("/echo") as connection:
        for message in ["", "hello", "grüße", b"", b"\x00\xff" * 10, os.urandom(1 << 20), "x" * (1 << 20)]:
            await connection.send(message)
            assert await connection.recv() == message, message[:20]
        await connection.send(["in ", "three ", "pieces"])
        assert await connection.recv() == "in three pieces"
        for number in range(200):
            await connection.send(str(number))
        assert [await connection.recv() for _ in range(200)] == [str(number) for number in range(200)]
    print("fine")
asyncio.run(main())
"#,
    );
}

#[test]
fn both_sides_may_send_at_once_more_than_buffers_hold() {
    Setup::new("").check(
        r#"
async def main():
    async with connect("/echo") as connection:
        large = os.urandom(1 << 20)
        async def send():
            for _ in range(8):
                await connection.send(large)
        sending = asyncio.create_task(send())
        for _ in range(8):
            assert await connection.recv() == large
        await sending
    print("fine")
asyncio.run(main())
"#,
    );
}

#[test]
fn pings_pass_and_closes_have_their_code_and_reason() {
    Setup::new("").check(
        r#"
async def main():
    async with connect("/echo") as connection:
        await (await connection.ping(b"are you there"))
        await (await connection.ping())
    for code in [1000, 1001, 1011, 3000, 4999]:
        async with connect("/echo") as connection:
            await connection.send(f"close {code}")
            assert await closed(connection) == (code, "as you like")
    async with connect("/echo") as connection:
        await connection.close(4001, "enough")
        assert connection.close_code == 4001, connection.close_code
    print("fine")
asyncio.run(main())
"#,
    );
}

#[test]
fn subprotocols_and_extensions_are_agreed_on_end_to_end() {
    Setup::new("").check(
        r#"
async def main():
    async with connect("/chat", subprotocols=["chat.v1", "other"]) as connection:
        assert connection.subprotocol == "chat.v1"
        assert connection.extensions, "permessage-deflate"
        await connection.send("squeezed " * 1000)
        assert await connection.recv() == "squeezed " * 1000
    async with connect("/chat", compression=None) as connection:
        assert connection.subprotocol is None and not connection.extensions
    async with connect("/headers", extra_headers={"X-Mine": "yes"}) as connection:
        headers = await connection.recv()
        assert "X-Mine: yes" in headers or "x-mine: yes" in headers, headers
        scheme = "https" if base.startswith("wss") else "http"
        assert f"x-forwarded-proto: {scheme}" in headers.lower(), headers
    print("fine")
asyncio.run(main())
"#,
    );
}

#[test]
fn a_refusal_of_the_server_arrives_as_it_is() {
    Setup::new("").check(
        r#"
async def main():
    try:
        await connect("/refused")
    except websockets.InvalidStatusCode as refused:
        assert refused.status_code == 403 and refused.headers["x-why"] == "no", refused.headers
        print("fine")
asyncio.run(main())
"#,
    );
}

#[test]
fn what_is_not_allowed_is_not_upgraded() {
    let origin = Origin::echo();
    let head = |protocol: &str| {
        format!(
            "GET /a HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let folder = certificates::folder();
    for (more, protocol) in [("defaults: { upgrade: off }", "websocket"), ("", "other")] {
        let gateway = gateway!("{}", settings(text(folder.path()), origin.address(), "", more));
        let answer = Client::connect(gateway.addr()).ask(head(protocol)).expect("a whole answer");
        assert_ne!(answer.status, 101, "{more} {protocol}");
        let seen = origin.seen();
        let passed_on = seen.iter().any(|seen| seen.request.headers.get("upgrade").is_some());
        assert!(!passed_on, "{more} {protocol}");
    }
}

#[test]
fn a_gateway_that_ends_says_good_bye_and_waits_for_nobody() {
    let mut setup = Setup::new("");
    let base = format!("ws://{}", setup.gateway.listen()[0]);
    let script = r#"
async def main():
    async with connect("/echo") as connection:
        await connection.send("here")
        assert await connection.recv() == "here"
        open(sys.argv[3], "w").close()
        print(await closed(connection))
asyncio.run(main())
"#;
    let here = setup.folder.path().join("here");
    let mut client = setup.client(&base, script);
    client.arg(&here);
    let client = std::thread::spawn(move || output_of(&mut client));
    eventually("the client's first message", || here.exists().then_some(()));
    setup.gateway.signal(Signal::Terminate);
    let told = client.join().expect("it ends in order");
    assert!(told.starts_with("(1001, "), "{told}");
    assert!(setup.gateway.await_exit().success());
}
