//! Origins for the gateway to stand in front of: well-behaved ones that tell what reached them, and scripted
//! ones that misbehave exactly as told.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::DEADLINE;
use crate::check::eventually;
use crate::message::{Body, Broken, Reader, Request};

/// Longest wait for a request on an open connection: longer than any test.
const PATIENCE: Duration = Duration::from_secs(120);

/// A listener on a loopback port with a thread per connection; all end with it.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    /// Another handle of what the accepting thread listens on.
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What reached an origin, in order of arrival.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The connection, counted from 0.
    pub connection: usize,
    /// The head; and the body once `complete`.
    pub request: Request,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

/// One connection that was accepted.
#[derive(Debug)]
pub struct Conn {
    /// Counted from 0 over the origin's life.
    pub number: usize,
    stream: TcpStream,
    reader: Reader,
    shared: Arc<Shared>,
}

/// A door that a script waits at and a test opens.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    state: Arc<(Mutex<bool>, Condvar)>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    /// Whether packets are dropped. Changes only while `streams` is locked.
    dark: AtomicBool,
    accepted: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<String>>,
}

impl Origin {
    /// Each connection follows `script`, then closes.
    #[must_use]
    pub fn start(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        Self::behind(TcpListener::bind("127.0.0.1:0").expect("a loopback port is free"), script)
    }

    /// As `start`, where another one was until it ended.
    #[must_use]
    pub fn start_at(address: SocketAddr, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let listener = eventually("the old origin's end", || TcpListener::bind(address).ok());
        Self::behind(listener, script)
    }

    /// As `start`, but with little room for what the script does not read: its peers soon have to wait.
    #[must_use]
    pub fn narrow(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("the machine has sockets left");
        socket.set_recv_buffer_size(4 << 10).expect("an open socket takes options");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a loopback port is free");
        socket.listen(128).expect("it is bound");
        Self::behind(socket.into(), script)
    }

    fn behind(listener: TcpListener, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let kept = listener.try_clone().expect("the process has descriptors left");
        thread::spawn(move || accept(&listener, &accepting, &Arc::new(script)));
        Self { address, listener: kept, shared }
    }

    /// Answers every request with what it saw of it: see `Conn::echo`.
    #[must_use]
    pub fn echo() -> Self {
        Self::start(Conn::echo_all)
    }

    /// Answers every request with a 200 whose body is `name`.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self::start(move |conn| {
            while conn.request().is_ok() {
                conn.reply("200 OK", name.as_bytes());
            }
        })
    }

    /// Answers each connection's first request with these bytes, then closes.
    #[must_use]
    pub fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |conn| {
            if conn.request().is_ok() {
                conn.send(&bytes);
            }
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Everything that reached it so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen().clone()
    }

    /// How many requests began to reach it so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.seen().len()
    }

    /// The last request that reached it whole.
    #[must_use]
    pub fn last(&self) -> Request {
        let seen = self.seen();
        let whole = seen.into_iter().rev().find(|seen| seen.complete);
        whole.expect("a request reached the origin").request
    }

    /// Waits until `count` requests began to reach it.
    pub fn await_count(&self, count: usize) {
        eventually("requests at the origin", || (self.count() >= count).then_some(()));
    }

    /// What reached it and was no request: must be empty, whatever clients send.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.shared.faults.lock().expect("no panic under this lock").clone()
    }

    /// Closes every connection that is open now; new ones are accepted as before.
    pub fn close_all(&self) {
        for stream in self.shared.streams().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops listening and resets every connection whose script reads, as if the machine's process was killed:
    /// from now on, connecting is refused.
    pub fn kill(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.stop_listening();
        for stream in self.shared.streams().drain(..) {
            // Both fail only when the connection is over. The script reads an end, and lets go of the last
            // handle, which is the reset.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// From now on every packet to it is lost, of new connections and of open ones: nothing is accepted,
    /// acknowledged or refused, as if the machine had lost its network.
    pub fn black_hole(&self) {
        let streams = self.shared.streams();
        self.shared.dark.store(true, Ordering::SeqCst);
        darken(&self.listener);
        streams.iter().for_each(darken);
    }

    /// Ends `black_hole`: what was lost arrives when it is sent again.
    pub fn revive(&self) {
        let streams = self.shared.streams();
        self.shared.dark.store(false, Ordering::SeqCst);
        lighten(&self.listener);
        streams.iter().for_each(lighten);
    }

    /// Ends the accepting thread's wait.
    fn stop_listening(&self) {
        // A listening socket that is shut down listens no more (Linux), though it stays open.
        let _ = socket2::SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

/// Drops every packet to this socket before anything looks at it.
fn darken(socket: &impl AsFd) {
    // Classic BPF: return 0, which is how much of a packet is kept.
    let nothing = socket2::SockFilter::new(0x06, 0, 0, 0);
    socket2::SockRef::from(socket).attach_filter(&[nothing]).expect("anyone may filter their own socket");
}

fn lighten(socket: &impl AsFd) {
    // Fails when there is no filter.
    let _ = socket2::SockRef::from(socket).detach_filter();
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.revive();
        self.close_all();
        self.stop_listening();
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("no panic under this lock")
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().expect("no panic under this lock")
    }

    /// A new connection: it is lost like the others, if they are.
    fn take_in(&self, stream: TcpStream) {
        let mut streams = self.streams();
        if self.dark.load(Ordering::SeqCst) {
            darken(&stream);
        }
        streams.push(stream);
    }

    fn fault(&self, what: String) {
        self.faults.lock().expect("no panic under this lock").push(what);
    }
}

impl Conn {
    /// Reads one request with its body and records it. `Err` when the peer closes or sends something else.
    pub fn request(&mut self) -> Result<Request, Broken> {
        let (index, mut request) = self.request_head()?;
        let mut body = self.body_of(&request)?;
        let outcome = body.collect(&mut self.reader, &mut request.body);
        request.trailers = body.trailers;
        self.settle(index, &request, &outcome);
        outcome.map(|()| request)
    }

    /// Reads one request's head and records it as incomplete; gives its index in the record.
    pub fn request_head(&mut self) -> Result<(usize, Request), Broken> {
        self.reader.set_deadline(PATIENCE);
        let request = match self.reader.request() {
            Ok(request) => request,
            Err(why) => {
                if let Broken::Malformed(what) = &why {
                    self.shared.fault(format!("connection {}: {what}", self.number));
                }
                return Err(why);
            }
        };
        let mut seen = self.shared.seen();
        seen.push(Seen { connection: self.number, request: request.clone(), complete: false });
        Ok((seen.len() - 1, request))
    }

    /// What is to come of the body of `request`.
    pub fn body_of(&self, request: &Request) -> Result<Body, Broken> {
        let framing = request.framing();
        if let Err(why) = &framing {
            self.shared.fault(format!("connection {}: {why}", self.number));
        }
        framing.map(Body::new)
    }

    /// The next piece of a request's body.
    pub fn piece(&mut self, body: &mut Body) -> Result<Option<Vec<u8>>, Broken> {
        self.reader.set_deadline(PATIENCE);
        body.next(&mut self.reader)
    }

    /// Notes that the body of the request at `index` of the record came whole.
    pub fn complete(&self, index: usize) {
        self.shared.seen()[index].complete = true;
    }

    fn settle(&self, index: usize, request: &Request, outcome: &Result<(), Broken>) {
        if let Err(Broken::Malformed(what)) = outcome {
            self.shared.fault(format!("connection {}: body: {what}", self.number));
        }
        let mut seen = self.shared.seen();
        seen[index].request = request.clone();
        seen[index].complete = outcome.is_ok();
    }

    /// Sends these bytes; a peer that is gone is not this script's business.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends these bytes; `false` when the peer is gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends each piece in a segment of its own, with `gap` between them.
    pub fn send_pieces(&mut self, pieces: &[&[u8]], gap: Duration) {
        for piece in pieces {
            self.send(piece);
            thread::sleep(gap);
        }
    }

    /// Sends a response with a body of known length.
    pub fn reply(&mut self, status: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        self.send([head.as_bytes(), body].concat());
    }

    /// Answers `request` with its own request line, header lines, an empty line and its body; the `x-path`
    /// header tells the target too.
    pub fn echo(&mut self, request: &Request) {
        let mut body = request.head.clone();
        body.extend_from_slice(&request.body);
        let (length, target) = (body.len(), &request.target);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nx-path: {target}\r\n\
             x-connection: {}\r\n\r\n",
            self.number
        );
        let body = if request.method == "HEAD" { Vec::new() } else { body };
        self.send([head.into_bytes(), body].concat());
    }

    /// Echoes every request until the peer closes.
    pub fn echo_all(&mut self) {
        while let Ok(request) = self.request() {
            self.echo(&request);
        }
    }

    /// Another handle for writing, for scripts that must see how much is taken.
    #[must_use]
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("the process has descriptors left")
    }

    /// Ends this side; the other may go on.
    pub fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection by a reset once the script is over.
    pub fn reset(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        // Fails only when the connection is over anyway.
        let _ = socket.set_linger(Some(Duration::ZERO));
        self.shared.streams().retain(|stream| stream.peer_addr().ok() != self.stream.peer_addr().ok());
    }

    /// Holds the connection without a word until the peer ends it; gives what the peer still sent.
    pub fn stall(&mut self) -> Vec<u8> {
        self.reader.set_deadline(PATIENCE);
        while let Ok(true) = self.reader.fill() {}
        self.reader.rest().to_vec()
    }
}

impl Gate {
    /// A closed one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through from now on.
    pub fn open(&self) {
        *self.state.0.lock().expect("no panic under this lock") = true;
        self.state.1.notify_all();
    }

    /// Waits until it is open; panics after the deadline.
    pub fn pass(&self) {
        let open = self.state.0.lock().expect("no panic under this lock");
        let waited = self.state.1.wait_timeout_while(open, DEADLINE, |open| !*open);
        let open = *waited.expect("no panic under this lock").0;
        assert!(open, "a gate stayed closed for {DEADLINE:?}");
    }
}

/// Accepts until the origin is dropped.
fn accept<S: Fn(&mut Conn) + Send + Sync + 'static>(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    script: &Arc<S>,
) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        let (Ok(reading), Ok(kept)) = (stream.try_clone(), stream.try_clone()) else { return };
        // Pieces sent apart must leave apart.
        let _ = stream.set_nodelay(true);
        shared.take_in(kept);
        let reader = Reader::new(reading, PATIENCE);
        let mut conn = Conn { number, stream, reader, shared: Arc::clone(shared) };
        let script = Arc::clone(script);
        thread::spawn(move || {
            script(&mut conn);
            conn.finish();
        });
    }
}

impl Conn {
    /// Forgets the spare handle, so that dropping this one really ends the connection.
    fn finish(self) {
        let mine = self.stream.peer_addr().ok();
        self.shared.streams().retain(|stream| stream.peer_addr().ok() != mine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Client, End};

    #[test]
    fn the_echo_tells_what_it_saw() {
        let origin = Origin::echo();
        let mut client = Client::connect(origin.address());
        let answer = client.ask("POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi").expect("whole");
        assert_eq!(answer.text(), "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(client.get("/b").headers.get("x-path"), Some("/b"));
        assert_eq!((origin.connections(), origin.count()), (1, 2));
    }

    #[test]
    fn what_is_no_request_is_a_fault() {
        let origin = Origin::echo();
        let mut client = Client::connect(origin.address());
        client.send("GET / HTTP/1.1\nHost: t\n\r\n\r\n").expect("connected");
        assert_eq!(client.end(), End::Closed);
        assert_eq!(origin.faults().len(), 1);
    }

    #[test]
    fn a_script_can_reset() {
        let origin = Origin::start(|conn| {
            let _ = conn.request();
            conn.reset();
        });
        let mut client = Client::connect(origin.address());
        client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
        assert_eq!(client.end(), End::Reset);
    }

    #[test]
    fn a_killed_one_resets_and_refuses() {
        let origin = Origin::echo();
        let mut client = Client::connect(origin.address());
        assert_eq!(client.get("/a").status, 200);
        origin.kill();
        assert_eq!(client.end(), End::Reset);
        let refused = TcpStream::connect(origin.address()).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(std::io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn a_black_hole_answers_nothing_until_it_is_revived() {
        let origin = Origin::echo();
        let mut client = Client::connect(origin.address());
        assert_eq!(client.get("/a").status, 200);
        origin.black_hole();
        client.send("GET /b HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
        assert_eq!(client.end_within(Duration::from_millis(50)), End::Open);
        let new = TcpStream::connect_timeout(&origin.address(), Duration::from_millis(50));
        assert_eq!(new.map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::TimedOut));
        assert_eq!(origin.count(), 1);
        origin.revive();
        let answer = client.response("GET").expect("what was lost is sent again");
        assert_eq!(answer.headers.get("x-path"), Some("/b"));
    }
}
