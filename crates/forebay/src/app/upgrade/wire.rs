//! What the two processes of an upgrade say to each other, over a socket in the file system.
//!
//! The old one begins: which sockets it has, as JSON, and then the sockets themselves. The new one answers
//! that it is ready, and on which of these addresses it will listen; or why it cannot. The old one says that it may
//! go, with what has changed meanwhile, and the new one that it serves. Every text is preceded by its length.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use forebay_net::address::Address;
use forebay_net::h3::{Handover, Line};
use forebay_net::listen::Listener;
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde_json::{Value, json};

use crate::app::sockets::{Group, Inherited, Purpose};

/// Of this way to talk. Another version refuses, and the old process goes on.
const VERSION: u64 = 3;
/// Longest text: what is said of many thousand endpoints.
const TEXT_MAX: usize = 16 << 20;
/// Sockets in one message; the kernel takes 253.
const BATCH: usize = 64;
/// Most sockets in all: addresses to listen on, times workers, and the admin side's.
const SOCKETS_MAX: usize = 2 * 64 * 256 + 1;

/// What the new process answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It could serve at once, and would listen on these addresses of those it was given.
    Ready { kept: Vec<Address> },
    /// It cannot.
    Failed { why: String },
}

/// Hands everything over: sockets, and what else the new process should know.
pub(super) fn offer(stream: &UnixStream, groups: &[Group], state: &Value) -> io::Result<()> {
    let lines = |group: &Group| group.lines.iter().map(Line::hand_over).collect::<io::Result<Vec<_>>>();
    let lines = groups.iter().map(lines).collect::<io::Result<Vec<_>>>()?;
    let told: Vec<Value> = groups
        .iter()
        .zip(&lines)
        .map(|(group, handed)| {
            let Group { purpose, wanted, address, lent, listeners, lines: _ } = group;
            let names = |line: &Handover| line.elders.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            json!({
                "purpose": purpose.label(),
                "wanted": wanted.to_string(),
                "address": address.to_string(),
                "lent": lent,
                "sockets": listeners.len(),
                "lines": handed.iter().map(names).collect::<Vec<_>>(),
            })
        })
        .collect();
    send(stream, &json!({ "version": VERSION, "groups": told, "state": state }))?;
    let listeners = groups.iter().flat_map(|group| &group.listeners).map(AsFd::as_fd);
    let sockets_of = |line| {
        let Handover { socket, elders }: &Handover = line;
        std::iter::once(socket.as_fd()).chain(elders.iter().map(|(_, inlet)| inlet.as_fd()))
    };
    let all: Vec<BorrowedFd<'_>> = listeners.chain(lines.iter().flatten().flat_map(sockets_of)).collect();
    all.chunks(BATCH).try_for_each(|batch| send_sockets(stream, batch))
}

/// Takes what `offer` hands over.
pub(super) fn accept(mut stream: &UnixStream) -> io::Result<Inherited> {
    let offer = receive(&mut stream)?;
    if offer["version"] != VERSION {
        return Err(broken("the running process hands over in another way; restart it instead"));
    }
    let told = offer["groups"].as_array().ok_or_else(|| broken("no sockets are told of"))?;
    let unknown = || broken("sockets are told of in an unknown way");
    let (mut counts, mut names, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for told in told {
        let (group, count) = group(told).ok_or_else(unknown)?;
        groups.push(group);
        counts.push(count);
        names.push(lines(told).ok_or_else(unknown)?);
    }
    let of_lines = names.iter().flatten().map(|names| names.len() + 1);
    let total = counts.iter().copied().chain(of_lines).fold(0_usize, usize::saturating_add);
    if total > SOCKETS_MAX {
        return Err(broken("more sockets than anybody has"));
    }
    let mut sockets = receive_sockets(stream, total)?.into_iter();
    for (group, count) in groups.iter_mut().zip(counts) {
        let taken = sockets.by_ref().take(count).map(Listener::from_fd);
        group.listeners = taken.collect::<io::Result<_>>()?;
    }
    for (group, names) in groups.iter_mut().zip(names) {
        for names in names {
            let socket = sockets.next().ok_or(io::ErrorKind::UnexpectedEof)?;
            let elders = names.into_iter().zip(sockets.by_ref()).collect();
            group.lines.push(Line::take_over(Handover { socket, elders })?);
        }
    }
    Ok(Inherited { groups, state: offer["state"].clone() })
}

/// A group without its sockets, and how many it has.
fn group(told: &Value) -> Option<(Group, usize)> {
    let address = |key: &str| told[key].as_str()?.parse::<Address>().ok();
    let group = Group {
        purpose: Purpose::by_label(told["purpose"].as_str()?)?,
        wanted: address("wanted")?,
        address: address("address")?,
        lent: told["lent"].as_bool()?,
        listeners: Vec::new(),
        lines: Vec::new(),
    };
    let count = usize::try_from(told["sockets"].as_u64()?).ok()?;
    (count > 0).then_some((group, count))
}

/// The UDP sockets of a group: for each, who has clients there.
fn lines(told: &Value) -> Option<Vec<Vec<u32>>> {
    let names =
        |line: &Value| line.as_array()?.iter().map(|name| u32::try_from(name.as_u64()?).ok()).collect();
    told["lines"].as_array()?.iter().map(names).collect()
}

/// The new process's first word.
pub(super) fn answer(stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    let value = match answer {
        Answer::Ready { kept } => {
            json!({ "ready": kept.iter().map(ToString::to_string).collect::<Vec<_>>() })
        }
        Answer::Failed { why } => json!({ "failed": why }),
    };
    send(stream, &value)
}

/// Reads the answer.
pub(super) fn read_answer(stream: &mut impl Read) -> io::Result<Answer> {
    let value = receive(stream)?;
    if let Some(why) = value["failed"].as_str() {
        return Ok(Answer::Failed { why: why.to_owned() });
    }
    let kept = value["ready"].as_array().ok_or_else(|| broken("the new process answered nothing known"))?;
    let kept = kept.iter().map(|address| address.as_str()?.parse().ok()).collect::<Option<Vec<_>>>();
    Ok(Answer::Ready { kept: kept.ok_or_else(|| broken("the new process named no addresses"))? })
}

/// The new process may serve, and this is what it should know by now.
pub(super) fn go(stream: &UnixStream, state: &Value) -> io::Result<()> {
    send(stream, &json!({ "go": state }))
}

/// Waits for `go`.
pub(super) fn await_go(mut stream: &UnixStream) -> io::Result<Value> {
    let mut said = receive(&mut stream)?;
    said.get_mut("go").map(Value::take).ok_or_else(|| broken("the running process said nothing known"))
}

/// The new process's last word: it serves.
pub(super) fn opened(stream: &UnixStream) -> io::Result<()> {
    send(stream, &json!({ "opened": true }))
}

/// Waits for `opened`.
pub(super) fn await_opened(stream: &mut impl Read) -> io::Result<()> {
    receive(stream).map(drop)
}

fn send(mut stream: &UnixStream, value: &Value) -> io::Result<()> {
    let text = value.to_string();
    let length = u32::try_from(text.len()).ok().filter(|length| *length as usize <= TEXT_MAX);
    let length = length.ok_or_else(|| broken("there is too much to say"))?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(text.as_bytes())
}

fn receive(stream: &mut impl Read) -> io::Result<Value> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > TEXT_MAX {
        return Err(broken("a text is longer than any"));
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text)?;
    serde_json::from_slice(&text).map_err(|_| broken("what was said is no JSON"))
}

fn send_sockets(stream: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(broken("too many sockets for one message"));
    }
    // Descriptors travel with a byte at least.
    sendmsg(stream, &[IoSlice::new(b"s")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_sockets(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    while sockets.len() < count {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(BATCH))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let got = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        if got.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = sockets.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        // The kernel leaves out those there is no room for in our table of files.
        if sockets.len() == before || got.flags.contains(ReturnFlags::CTRUNC) {
            return Err(broken("sockets were lost on the way; are there enough file descriptors?"));
        }
    }
    if sockets.len() > count { Err(broken("more sockets came than were told of")) } else { Ok(sockets) }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use forebay_net::listen;
    use forebay_testkit::scratch::Scratch;

    use super::*;

    fn any_port() -> Address {
        SocketAddr::from(([127, 0, 0, 1], 0)).into()
    }

    fn group_of(count: usize, purpose: Purpose, wanted: Address) -> Group {
        let listeners = listen::listeners(&wanted, count).expect("it is free");
        let address = listeners[0].address().expect("it is bound");
        let lines = Vec::new();
        Group { purpose, wanted, address, lent: purpose == Purpose::Admin, listeners, lines }
    }

    #[test]
    fn sockets_arrive_as_they_are_in_their_groups() {
        let (old, new) = UnixStream::pair().expect("sockets can be made");
        let scratch = Scratch::new("wire");
        let path = scratch.path().join("s.sock");
        let unix = Address::Unix(path.to_str().expect("the directory is text").into());
        let groups = [
            group_of(BATCH + 7, Purpose::Clients, any_port()),
            group_of(1, Purpose::Clients, unix),
            group_of(1, Purpose::Admin, any_port()),
        ];
        // One waits in each queue: it must be there on the other side.
        let _client = groups[2].address.ip().map(std::net::TcpStream::connect).expect("it listens");
        let _client = UnixStream::connect(path).expect("it listens");
        let state = json!({ "services": { "app": [] } });
        let taken = std::thread::scope(|scope| {
            let taking = scope.spawn(|| accept(&new).expect("all is well"));
            offer(&old, &groups, &state).expect("all is well");
            taking.join().expect("it does not panic")
        });
        drop(groups);
        assert_eq!(taken.state, state);
        let told: Vec<_> =
            taken.groups.iter().map(|group| (group.purpose, group.lent, group.listeners.len())).collect();
        assert_eq!(
            told,
            [(Purpose::Clients, false, BATCH + 7), (Purpose::Clients, false, 1), (Purpose::Admin, true, 1)]
        );
        for group in &taken.groups {
            let is_there = |listener: &Listener| listener.address().is_ok_and(|at| at == group.address);
            assert!(group.listeners.iter().all(is_there));
        }
        for group in &taken.groups[1..] {
            assert!(match &group.listeners[0] {
                Listener::Tcp(listener) => listener.accept().is_ok(),
                Listener::Unix(listener) => listener.accept().is_ok(),
            });
        }
    }

    #[test]
    fn answers_arrive_as_they_were_given() {
        let ready = Answer::Ready { kept: vec![any_port(), Address::Unix("/run/a.sock".into())] };
        for given in [ready, Answer::Failed { why: "line 3: no\nline 4: no".to_owned() }] {
            let (old, new) = UnixStream::pair().expect("sockets can be made");
            answer(&new, &given).expect("all is well");
            assert_eq!(read_answer(&mut &old).expect("all is well"), given);
        }
    }

    #[test]
    fn the_word_to_go_brings_what_has_changed() {
        let (old, new) = UnixStream::pair().expect("sockets can be made");
        let state = json!({ "services": { "app": {} } });
        go(&old, &state).expect("all is well");
        assert_eq!(await_go(&new).expect("all is well"), state);
        opened(&new).expect("all is well");
        await_opened(&mut &old).expect("all is well");
        // The old one has ended, or does not want it any more.
        drop(old);
        assert!(await_go(&new).is_err());
    }

    /// What becomes of an offer that is these bytes.
    fn refused(bytes: &[u8]) -> String {
        let (mut old, new) = UnixStream::pair().expect("sockets can be made");
        old.write_all(bytes).expect("there is room");
        drop(old);
        accept(&new).expect_err("it is not an offer").to_string()
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        let text = |text: &str| {
            let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
            bytes.extend_from_slice(text.as_bytes());
            bytes
        };
        assert!(refused(b"").contains("fill whole buffer"));
        assert!(refused(&[255; 8]).contains("longer than any"));
        assert!(refused(&text("what")).contains("no JSON"));
        assert!(refused(&text(r#"{"version":1}"#)).contains("another way"));
        assert!(refused(&text(r#"{"version":3,"groups":[{"purpose":"tea"}]}"#)).contains("unknown way"));
        let one = r#"{"version":3,"groups":[{"purpose":"clients","wanted":"1.2.3.4:5","address":"1.2.3.4:5","lent":false,"sockets":9999999,"lines":[]}]}"#;
        assert!(refused(&text(one)).contains("more sockets than anybody has"));
        assert_eq!(
            refused(&text(&one.replace("9999999", "1"))),
            io::Error::from(io::ErrorKind::UnexpectedEof).to_string()
        );
    }
}
