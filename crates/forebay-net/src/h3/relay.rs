//! Reads a line's packets: those that are another process's are passed on to it, and once another process reads, what
//! it passes on is taken instead.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};
use tokio::io::ReadBuf;
use tokio::net::UnixDatagram;

use super::line::{Elder, Line, issuer};

/// Before each packet that is passed on: how it came.
const HEAD_BYTES: usize = 40;
/// Longest packet that is passed on; clients are told of less.
const PACKET_MAX: usize = 2048;
/// The first word of the process that reads from now on.
const HELLO: &[u8] = b"r";

/// The socket of a line as QUIC sees it.
#[derive(Debug)]
pub(super) struct Relay {
    socket: Arc<dyn AsyncUdpSocket>,
    line: Line,
    heir: Mutex<Heir>,
}

/// The process after this one.
#[derive(Debug, Default)]
struct Heir {
    outlet: Option<UnixDatagram>,
    /// It reads the socket.
    reads: bool,
}

impl Relay {
    /// Reads `line` from now on, and tells those that did so before.
    pub(super) fn new(line: &Line) -> io::Result<Self> {
        let socket = TokioRuntime.wrap_udp_socket(line.socket()?)?;
        line.elders().iter().for_each(|elder| elder.pass(HELLO));
        Ok(Self { socket, line: line.clone(), heir: Mutex::default() })
    }

    /// Takes what the heir passes on; `None`: the socket is to be read.
    fn poll_heir(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Option<Poll<usize>> {
        let mut heir = self.heir.lock().expect("nothing under this lock panics");
        if let Some(outlet) = self.line.outlet(cx.waker()) {
            // Without it the heir ends at its first word, and all is as before.
            *heir = Heir { outlet: UnixDatagram::from_std(outlet).ok(), reads: false };
        }
        let mut count = 0;
        while let Some((buffer, meta)) = buffers.get_mut(count).zip(metas.get_mut(count)) {
            let Some(outlet) = &heir.outlet else { break };
            let mut bytes = [0; HEAD_BYTES + PACKET_MAX];
            let mut message = ReadBuf::new(&mut bytes);
            match outlet.poll_recv(cx, &mut message) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if message.filled() == HELLO => heir.reads = true,
                Poll::Ready(Ok(())) if !message.filled().is_empty() => {
                    count += usize::from(read(message.filled(), buffer, meta));
                }
                // It has ended.
                Poll::Ready(_) => *heir = Heir::default(),
            }
        }
        match count {
            0 if heir.reads => Some(Poll::Pending),
            0 => None,
            count => Some(Poll::Ready(count)),
        }
    }
}

impl AsyncUdpSocket for Relay {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if let Some(passed) = self.poll_heir(cx, buffers, metas) {
            return passed.map(Ok);
        }
        let polled = self.socket.poll_recv(cx, buffers, metas);
        if let Poll::Ready(Ok(count)) = polled {
            for (buffer, meta) in buffers.iter_mut().zip(metas).take(count) {
                pass_on(self.line.elders(), buffer, meta);
            }
        }
        polled
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Leaves in `buffer` what is ours.
fn pass_on(elders: &[Elder], buffer: &mut [u8], meta: &mut RecvMeta) {
    if elders.is_empty() || meta.stride == 0 {
        return;
    }
    let (mut read, mut kept) = (0, 0);
    while read < meta.len {
        let end = meta.len.min(read + meta.stride);
        let packet = &buffer[read..end];
        let tag = issuer(packet);
        match elders.iter().find(|elder| Some(elder.tag()) == tag) {
            Some(elder) if !elder.is_gone() && packet.len() <= PACKET_MAX => {
                let mut message = [0; HEAD_BYTES + PACKET_MAX];
                let length = write(&mut message, packet, meta);
                elder.pass(&message[..length]);
            }
            // Nobody is there whom it could be of use to.
            Some(_) => {}
            None => {
                buffer.copy_within(read..end, kept);
                kept += end - read;
            }
        }
        read = end;
    }
    meta.len = kept;
}

/// A packet and how it came; returns how long that is.
fn write(message: &mut [u8; HEAD_BYTES + PACKET_MAX], packet: &[u8], meta: &RecvMeta) -> usize {
    let (address, scope) = match meta.addr {
        SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), 0),
        SocketAddr::V6(address) => (*address.ip(), address.scope_id()),
    };
    let to = meta.dst_ip.map_or(Ipv6Addr::UNSPECIFIED, |ip| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    });
    message[0] = meta.ecn.map_or(0, |ecn| ecn as u8);
    let is_v4 = |ip: IpAddr| u8::from(ip.is_ipv4());
    message[1] = is_v4(meta.addr.ip()) | meta.dst_ip.map_or(0, |ip| 2 | is_v4(ip) << 2);
    message[2..4].copy_from_slice(&meta.addr.port().to_be_bytes());
    message[4..8].copy_from_slice(&scope.to_be_bytes());
    message[8..24].copy_from_slice(&address.octets());
    message[24..40].copy_from_slice(&to.octets());
    message[HEAD_BYTES..][..packet.len()].copy_from_slice(packet);
    HEAD_BYTES + packet.len()
}

/// Takes apart what `write` has put together; false: that is not what it is.
fn read(message: &[u8], buffer: &mut [u8], meta: &mut RecvMeta) -> bool {
    let Some((head, packet)) = message.split_first_chunk::<HEAD_BYTES>() else { return false };
    if packet.is_empty() || packet.len() > buffer.len() {
        return false;
    }
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&head[at..at + 16]);
        Ipv6Addr::from(octets)
    };
    let ip = |ip: Ipv6Addr, v4: bool| match ip.to_ipv4_mapped() {
        Some(ip) if v4 => IpAddr::V4(ip),
        _ => IpAddr::V6(ip),
    };
    let port = u16::from_be_bytes([head[2], head[3]]);
    let scope = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let peer = match ip(address(8), head[1] & 1 != 0) {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
    };
    let to = (head[1] & 2 != 0).then(|| ip(address(24), head[1] & 4 != 0));
    buffer[..packet.len()].copy_from_slice(packet);
    *meta = RecvMeta {
        addr: peer,
        len: packet.len(),
        stride: packet.len(),
        ecn: EcnCodepoint::from_bits(head[0]),
        dst_ip: to,
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_arrive_as_they_came() {
        let v6 = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7), 4433, 0, 3);
        let peers: [SocketAddr; 3] =
            [([192, 0, 2, 1], 443).into(), (Ipv6Addr::LOCALHOST, 1).into(), v6.into()];
        let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, 1);
        let ours: [Option<IpAddr>; 4] =
            [None, Some([127, 0, 0, 1].into()), Some(Ipv6Addr::LOCALHOST.into()), Some(mapped.into())];
        for (peer, ours) in peers.into_iter().flat_map(|peer| ours.map(|ours| (peer, ours))) {
            let meta =
                RecvMeta { addr: peer, len: 9, stride: 4, ecn: Some(EcnCodepoint::Ect1), dst_ip: ours };
            let mut message = [0; HEAD_BYTES + PACKET_MAX];
            let length = write(&mut message, b"packet", &meta);
            let (mut buffer, mut got) = ([0; 64], RecvMeta::default());
            assert!(read(&message[..length], &mut buffer, &mut got));
            assert_eq!((got.addr, got.dst_ip, got.ecn), (peer, ours, Some(EcnCodepoint::Ect1)));
            assert_eq!((&buffer[..got.len], got.stride), (&b"packet"[..], 6));
        }
    }

    /// Waits until `relay` reads the socket itself, or does not.
    async fn await_reading(relay: &Relay, wanted: bool) {
        let look = std::future::poll_fn(|cx| {
            let (mut bytes, mut metas) = ([0; 64], [RecvMeta::default()]);
            let polled = relay.poll_heir(cx, &mut [IoSliceMut::new(&mut bytes)], &mut metas);
            if polled.is_none() == wanted { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::time::timeout(std::time::Duration::from_secs(5), look).await.expect("in time");
    }

    #[tokio::test]
    async fn the_socket_is_left_to_an_heir_from_its_first_word_until_its_end() {
        let line = Line::open(([127, 0, 0, 1], 0).into()).expect("there are ports");
        let relay = Relay::new(&line).expect("it is a socket");
        await_reading(&relay, true).await;
        // One that never comes to read, and one that does.
        let failed = Line::take_over(line.hand_over().expect("there are descriptors")).expect("it is a line");
        await_reading(&relay, true).await;
        drop(failed);
        let heir = Line::take_over(line.hand_over().expect("there are descriptors")).expect("it is a line");
        let reading = Relay::new(&heir).expect("it is a socket");
        await_reading(&relay, false).await;
        // Its own heir goes on with it.
        let next = Line::take_over(heir.hand_over().expect("there are descriptors")).expect("it is a line");
        drop((heir, reading));
        let reading = Relay::new(&next).expect("it is a socket");
        await_reading(&relay, false).await;
        drop((next, reading));
        await_reading(&relay, true).await;
    }

    #[test]
    fn what_is_no_packet_is_left_out() {
        let mut meta = RecvMeta::default();
        assert!(!read(&[0; HEAD_BYTES - 1], &mut [0; 64], &mut meta));
        assert!(!read(&[0; HEAD_BYTES], &mut [0; 64], &mut meta));
        assert!(!read(&[0; HEAD_BYTES + 65], &mut [0; 64], &mut meta));
    }

    #[test]
    fn what_is_an_elders_goes_there_and_the_rest_stays_together() {
        let first = Line::open(([127, 0, 0, 1], 0).into()).expect("there are ports");
        let second =
            Line::take_over(first.hand_over().expect("there are descriptors")).expect("it is a line");
        let outlet = first.outlet(std::task::Waker::noop()).expect("an heir was appointed");
        let packet = |line: &Line, byte: u8| {
            let id = (line.ids())().generate_cid();
            let mut packet = vec![0x40];
            packet.extend_from_slice(&id);
            packet.resize(20, byte);
            packet
        };
        let (ours, theirs) = (packet(&second, 1), packet(&first, 2));
        let mut buffer = [&ours[..], &theirs, &ours, &theirs[..19]].concat();
        let mut meta = RecvMeta { len: buffer.len(), stride: 20, ..RecvMeta::default() };
        pass_on(second.elders(), &mut buffer, &mut meta);
        assert_eq!(buffer[..meta.len], [&ours[..], &ours].concat());
        for expected in [&theirs[..], &theirs[..19]] {
            let mut message = [0; HEAD_BYTES + PACKET_MAX];
            let length = outlet.recv(&mut message).expect("it was passed on");
            assert_eq!(&message[HEAD_BYTES..length], expected);
        }
        // It has ended: nobody else gets what is its own.
        drop(outlet);
        let mut buffer = theirs;
        let mut meta = RecvMeta { len: 20, stride: 20, ..RecvMeta::default() };
        pass_on(second.elders(), &mut buffer, &mut meta);
        assert_eq!(meta.len, 0);
        let third = second.hand_over().expect("there are descriptors");
        assert_eq!(third.elders.len(), 1, "only those who are there");
    }
}
