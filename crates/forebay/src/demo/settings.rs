//! The demo's settings: a text like anybody's, with ports that are free.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use anyhow::Context as _;
use forebay_base::problem::Problem;

use super::services::Services;
use crate::app::Bound;
use crate::cli;
use crate::config::{self, ADMIN_DEFAULT, Admin, Loaded, Logs, Server, Workers};

/// Where the gateway listens if the port is free.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// A port that was free when looked at can be taken by the time it is used; then others are looked for.
const TRIES: u32 = 3;

/// An address as wanted on the command line, or by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Port 0: any that is free.
    pub(crate) address: SocketAddr,
    /// `--listen` or `--admin`.
    flag: &'static str,
    /// Somebody wants just this one; another will not do.
    named: bool,
}

/// The addresses that the command line asks for: the gateway's, and its admin side's unless that is off.
///
/// # Errors
/// Every problem of the addresses.
pub(crate) fn wanted(args: &cli::Demo) -> Result<(Wanted, Option<Wanted>), Vec<Problem>> {
    let cli::Demo { seconds: _, once: _, listen, admin } = args;
    let mut server = Server {
        listen: vec![LISTEN_DEFAULT.into()],
        admin: Some(Admin { listen: ADMIN_DEFAULT, token: None }),
        workers: Workers::default(),
        logs: Logs::default(),
    };
    config::override_server(&mut server, listen.as_slice(), admin.as_deref())?;
    let address = server.listen[0].address.ip().unwrap_or(LISTEN_DEFAULT);
    let gateway = Wanted { address, flag: "--listen", named: listen.is_some() };
    let named = admin.is_some();
    let admin = server.admin.map(|admin| Wanted { address: admin.listen, flag: "--admin", named });
    Ok((gateway, admin))
}

/// Finds free ports, writes the settings, reads them as any settings are read, and binds the addresses.
/// Returns the text with the gateway that follows from it.
///
/// # Errors
/// An address that was named is not to be had.
pub(crate) fn bind(
    gateway: Wanted,
    admin: Option<Wanted>,
    services: &Services,
) -> anyhow::Result<(String, Bound)> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        // Both are held until both are known, so that they differ.
        let (listen, admin) = (gateway.claim()?, admin.map(Wanted::claim).transpose()?);
        let at = listen.local_addr()?;
        let admin_at = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        drop((listen, admin));
        let text = text(at, admin_at, services);
        match Bound::bind(load(&text)?) {
            Ok(bound) => return Ok((text, bound)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

/// An address to connect to, given one that is listened on.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

impl Wanted {
    /// Listens there, or on another port if it is taken and was only the default. Unlike the gateway this
    /// does not share the port, and so notices another gateway that would.
    fn claim(self) -> anyhow::Result<TcpListener> {
        let Self { address, flag, named } = self;
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && !named => {
                TcpListener::bind((address.ip(), 0)).context("cannot find a free port to listen on")
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                anyhow::bail!(
                    "cannot listen on {address}: another program does; stop it, or choose another port with `{flag}`"
                )
            }
            claimed => claimed.with_context(|| format!("cannot listen on {address} (`{flag}`)")),
        }
    }

    /// Whether `actual` is not what was wanted.
    pub(crate) fn differs(self, actual: SocketAddr) -> bool {
        self.address.port() != 0 && self.address != actual
    }
}

fn text(listen: SocketAddr, admin: Option<SocketAddr>, services: &Services) -> String {
    let Services { shop: [shop, shop_too], reports, flaky, .. } = services;
    let listen = quoted(listen);
    let admin = admin.map_or_else(|| "off".to_owned(), quoted);
    format!(
        "\
listen: {listen}
admin: {admin}

services:
  shop: {{ endpoints: [{shop}, {shop_too}] }}
  reports: {{ endpoints: [{reports}], timeout: 2s }}
  flaky: {{ endpoints: [{flaky}] }}

routes:
  - {{ match: /, redirect: /shop/ }}
  - {{ match: /shop/*, to: shop }}
  - {{ match: POST /shop/orders, to: shop, body_max: 16KiB }}
  - {{ match: /reports/*, to: reports }}
  - {{ match: /flaky/*, to: flaky }}

logs: {{ access: off }}
"
    )
}

/// Brackets have a meaning of their own in YAML.
fn quoted(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("\"{address}\"") } else { address.to_string() }
}

/// The strict way every settings file takes.
fn load(text: &str) -> anyhow::Result<Loaded> {
    config::load_str(text).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the demo's settings are not valid: {}", problems.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::super::mix::Row;
    use super::*;

    fn demo(listen: Option<&str>, admin: Option<&str>) -> cli::Demo {
        let text = |text: Option<&str>| text.map(str::to_owned);
        cli::Demo { seconds: 1, once: true, listen: text(listen), admin: text(admin) }
    }

    fn gateway(listen: SocketAddr, named: bool) -> Wanted {
        Wanted { address: listen, flag: "--listen", named }
    }

    #[test]
    fn the_settings_are_read_without_a_word_and_their_routes_are_the_rows() {
        let services = Services::start().unwrap();
        for listen in ["127.0.0.1:8080", "[::1]:8080"] {
            let loaded = load(&text(listen.parse().unwrap(), None, &services)).unwrap();
            assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
            let address: SocketAddr = listen.parse().unwrap();
            assert_eq!(loaded.server.listen, [address.into()]);
            let mut routes: Vec<&str> = loaded.plan.routes.iter().map(|route| &*route.name).collect();
            let mut rows: Vec<&str> = Row::ALL.map(Row::label).to_vec();
            rows.retain(|row| *row != Row::Nowhere.label());
            routes.sort_unstable();
            rows.sort_unstable();
            assert_eq!(routes, rows);
        }
    }

    #[test]
    fn a_taken_port_is_replaced_unless_it_was_named() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let moved = gateway(taken, false).claim().unwrap().local_addr().unwrap();
        assert!(gateway(taken, false).differs(moved));
        let refused = gateway(taken, true).claim().unwrap_err().to_string();
        assert!(refused.contains(&taken.to_string()) && refused.contains("--listen"), "{refused}");
    }

    #[test]
    fn any_port_is_no_other_port() {
        let any = gateway("127.0.0.1:0".parse().unwrap(), true);
        assert!(!any.differs(any.claim().unwrap().local_addr().unwrap()));
    }

    #[test]
    fn addresses_have_defaults_and_the_admin_side_can_be_off() {
        let (listen, admin) = wanted(&demo(None, None)).unwrap();
        assert_eq!((listen.address, listen.named), (LISTEN_DEFAULT, false));
        assert_eq!(admin.map(|admin| (admin.address, admin.named)), Some((ADMIN_DEFAULT, false)));
        assert_eq!(wanted(&demo(Some(":80"), Some("off"))).unwrap().1, None);
        assert!(wanted(&demo(Some("nowhere"), None)).is_err());
    }

    #[test]
    fn what_is_listened_on_everywhere_is_reached_here() {
        for (listen, at) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("127.0.0.9:1", "127.0.0.9:1")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), at);
        }
    }
}
