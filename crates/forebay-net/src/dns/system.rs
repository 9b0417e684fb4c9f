//! What the machine's own files say: name servers, search domains, names that need no server.

use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use super::name::Name;

/// Bytes read of a file; what lies beyond is passed over.
const FILE_MAX: u64 = 1 << 20;
/// Name servers that are used, as the system's resolver does.
const SERVERS_MAX: usize = 3;
/// Search domains that are used.
const SEARCH_MAX: usize = 8;
/// Most `ndots`, as the system's resolver has it.
const DOTS_MAX: usize = 15;
/// Where name servers listen.
const PORT: u16 = 53;

/// `/etc/resolv.conf`: see its manual page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// At least one.
    pub(super) servers: Vec<SocketAddr>,
    /// Domains in which a name may be meant.
    pub(super) search: Vec<Name>,
    /// A name with so many dots is tried as it stands first.
    pub(super) dots: usize,
}

impl ResolvConf {
    /// Reads the file; one that is not there is as good as empty.
    pub(super) fn load(path: &Path) -> Self {
        Self::parse(&text(path))
    }

    fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                // The last of them counts.
                Some("search" | "domain") => {
                    conf.search = words.filter_map(|word| Name::parse(word).ok()).take(SEARCH_MAX).collect();
                }
                Some("options") => {
                    let mut dots =
                        words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok());
                    conf.dots = dots.next_back().unwrap_or(conf.dots).min(DOTS_MAX);
                }
                _ => {}
            }
        }
        conf.servers.truncate(SERVERS_MAX);
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        }
        conf
    }
}

/// An address; one that is link-local may say of which interface, by number.
fn server(text: &str) -> Option<SocketAddr> {
    if let Some((address, scope)) = text.split_once('%') {
        return Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope.parse().ok()?).into());
    }
    Some(SocketAddr::new(text.parse().ok()?, PORT))
}

/// `/etc/hosts`.
#[derive(Debug)]
pub(super) struct Hosts(String);

impl Hosts {
    /// Reads the file; one that is not there is as good as empty.
    pub(super) fn load(path: &Path) -> Self {
        Self(text(path))
    }

    /// Every address of the name.
    pub(super) fn find(&self, name: &str) -> Vec<IpAddr> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let line = |line: &str| {
            let mut words = line.split('#').next()?.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        };
        self.0.lines().filter_map(line).collect()
    }
}

/// Whether a name means this machine, whatever servers say (RFC 6761 §6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is as good as not there: the resolver has to do without.
    let _ = fs::File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, servers: &[&str], search: &[&str], dots: usize) {
        let conf = ResolvConf::parse(text);
        assert_eq!(conf.servers.iter().map(ToString::to_string).collect::<Vec<_>>(), servers, "{text}");
        assert_eq!(conf.search.iter().map(ToString::to_string).collect::<Vec<_>>(), search, "{text}");
        assert_eq!(conf.dots, dots, "{text}");
    }

    #[test]
    fn resolv_conf_is_read_as_its_manual_says() {
        check("", &["127.0.0.1:53"], &[], 1);
        check(
            "# a comment\nnameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local\n\
             options ndots:5 timeout:1\n",
            &["10.96.0.10:53"],
            &["shop.svc.cluster.local", "svc.cluster.local"],
            5,
        );
        check("nameserver ::1\nnameserver fe80::1%3\n", &["[::1]:53", "[fe80::1%3]:53"], &[], 1);
        check("domain a.test\nsearch b.test\n", &["127.0.0.1:53"], &["b.test"], 1);
        check("nameserver nonsense\noptions ndots:x\noptions ndots:99", &["127.0.0.1:53"], &[], 15);
        let many = "nameserver 10.0.0.1\n".repeat(5);
        check(&many, &["10.0.0.1:53"; 3], &[], 1);
    }

    #[test]
    fn hosts_have_several_names_and_addresses() {
        let hosts =
            Hosts("127.0.0.1 localhost\n10.0.0.1 app App.test # other\n::5 app\nnonsense app\n".to_owned());
        let find = |name: &str| hosts.find(name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(find("app"), ["10.0.0.1", "::5"]);
        assert_eq!(find("APP.test."), ["10.0.0.1"]);
        assert_eq!(find("other"), [""; 0]);
    }

    #[test]
    fn localhost_is_this_machine() {
        for (name, expected) in
            [("localhost", true), ("LocalHost.", true), ("a.localhost", true), ("localhost.test", false)]
        {
            assert_eq!(is_localhost(name), expected, "{name}");
        }
    }
}
