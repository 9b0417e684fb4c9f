//! Which processes listen on a TCP port of this machine.

use std::collections::BTreeSet;
use std::fs;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";
/// Processes that are looked through.
const PROCESSES_MAX: usize = 100_000;
/// Descriptors of one process that are looked through.
const DESCRIPTORS_MAX: usize = 200_000;

/// The processes that listen on `port`, without those whose parent does: it is looked at with its children.
/// Only processes that this one may look into are found: one's own, or all for root.
pub(super) fn listeners(port: u16) -> Vec<u32> {
    let sockets: BTreeSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| sockets_in(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return Vec::new();
    }
    let holders: BTreeSet<u32> = processes().filter(|pid| holds(*pid, &sockets)).collect();
    holders
        .iter()
        .copied()
        .filter(|pid| parent(*pid).is_none_or(|parent| !holders.contains(&parent)))
        .collect()
}

/// The inodes of sockets that listen on the port. Fields: number, local address, remote address, state, queues,
/// timer, retransmits, user, timeout, inode.
fn sockets_in(table: &str, port: u16) -> Vec<u64> {
    let inode = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (_, local_port) = fields.next()?.rsplit_once(':')?;
        let listens = fields.nth(1)? == LISTEN;
        let inode = fields.nth(5)?.parse().ok()?;
        (listens && u16::from_str_radix(local_port, 16).ok()? == port).then_some(inode)
    };
    table.lines().filter_map(inode).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(PROCESSES_MAX)
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .take(DESCRIPTORS_MAX)
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::lab::testing::wait_until;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0\n\
             1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 20 4 30 10 -1\n\
             2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 333 1 0 100 0 0 10 0\n\
             nonsense\n";
        assert_eq!(sockets_in(table, 8080), [111]);
        assert_eq!(sockets_in(table, 1), [0_u64; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn we_are_found_where_we_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let port = listener.local_addr().expect("it is bound").port();
        assert_eq!(listeners(port), [std::process::id()]);
        drop(listener);
        // A child that another test starts just now has it for a moment more.
        wait_until(|| listeners(port).is_empty());
    }
}
