//! Settings from the command line alone: `run --to 127.0.0.1:3000 --listen 127.0.0.1:8080`.

use forebay_base::problem::Problem;
use forebay_net::cidr::CidrSet;
use forebay_proxy::plan::{
    Action, Dns, Endpoint, Limits, Plan, Route, Service, Target, TimeoutOverrides, Tls, Upgrades,
};
use forebay_proxy::route::{HeaderEdits, Matcher, Router};

use super::listen::{CERTIFICATES_FIX, is_wanted};
use super::problems::{Mark, Problems};
use super::read::short;
use super::{ADMIN_DEFAULT, Admin, Listen, Loaded, Logs, Server, Workers, address};

/// Where `run --to` listens unless told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// Settings that forward everything to `to`, in place of a file. Without `listen`, 127.0.0.1:8080 is
/// listened on.
///
/// # Errors
/// Every problem of the addresses.
pub fn from_flags(to: &[String], listen: &[String]) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Problems::new("--to");
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for address in to {
        if let Err(wrong) = address::endpoint(address) {
            problems.error_fix(Mark::FILE, format!("`{}`: {}", short(address), wrong.what), wrong.fix);
        } else if endpoints.iter().any(|endpoint| *endpoint.address == **address) {
            problems.error_fix(Mark::FILE, format!("`{address}` stands twice"), "keep one of them");
        } else {
            endpoints.push(Endpoint::new(address));
        }
    }
    if to.is_empty() {
        problems.error(Mark::FILE, "at least one address is needed");
    }
    let default = [LISTEN_DEFAULT.to_owned()];
    let listen = addresses("--listen", if listen.is_empty() { &default } else { listen });
    match (problems.sorted(), listen) {
        (mut problems, listen) if !problems.is_empty() || listen.is_err() => {
            problems.extend(listen.err().unwrap_or_default());
            Err(problems)
        }
        (_, listen) => {
            let admin = Some(Admin { listen: ADMIN_DEFAULT, token: None });
            let (listen, workers) = (listen?, Workers::Auto);
            certified("--listen", &listen, None)?;
            Ok(Loaded {
                plan: forward_all(endpoints, &listen),
                server: Server { listen, admin, workers, logs: Logs::default() },
                warnings: Vec::new(),
                files: Vec::new(),
            })
        }
    }
}

/// Puts addresses of the command line in the place of those of the file, as [`override_server`] does. What the file
/// says of an address holds if the command line names it too.
///
/// # Errors
/// Every problem of the addresses; `loaded` is then unchanged.
pub fn override_addresses(
    loaded: &mut Loaded,
    listen: &[String],
    admin: Option<&str>,
) -> Result<(), Vec<Problem>> {
    let mut server = loaded.server.clone();
    override_server(&mut server, listen, admin)?;
    if !listen.is_empty() {
        for listen in &mut server.listen {
            let same = |other: &&Listen| {
                other.address == listen.address && other.listener.tls == listen.listener.tls
            };
            if let Some(other) = loaded.server.listen.iter().find(same) {
                listen.listener = other.listener;
            }
        }
        certified("--listen", &server.listen, loaded.plan.tls.as_ref())?;
        loaded.plan.listeners = server.listen.iter().map(|listen| listen.listener).collect();
        if let Some(tls) = &mut loaded.plan.tls
            && tls.redirect.is_some()
        {
            let secured = server.listen.iter().find(|listen| listen.listener.tls);
            tls.redirect = secured.and_then(|listen| listen.address.ip()).map(|address| address.port());
        }
    }
    loaded.server = server;
    Ok(())
}

/// Puts addresses of the command line in the place of others: `listen` unless it is empty, and `admin` (an address
/// or `off`) if there is one. A token is kept.
///
/// # Errors
/// Every problem of the addresses; `settings` is then unchanged.
pub fn override_server(
    settings: &mut Server,
    listen: &[String],
    admin: Option<&str>,
) -> Result<(), Vec<Problem>> {
    let mut changed = settings.clone();
    let mut problems = Vec::new();
    if !listen.is_empty() {
        match addresses("--listen", listen) {
            Ok(listen) => changed.listen = listen,
            Err(wrong) => problems.extend(wrong),
        }
    }
    match admin {
        None => {}
        Some("off") => changed.admin = None,
        Some(address) => match override_admin(&changed, address) {
            Ok(admin) => changed.admin = Some(admin),
            Err(wrong) => problems.extend(wrong),
        },
    }
    if problems.is_empty() {
        *settings = changed;
        Ok(())
    } else {
        Err(problems)
    }
}

fn override_admin(settings: &Server, address: &str) -> Result<Admin, Vec<Problem>> {
    let mut problems = Problems::new("--admin");
    let listen = match address::socket(address) {
        Ok(listen) => listen,
        Err(wrong) => {
            problems.error_fix(Mark::FILE, format!("`{}`: {}", short(address), wrong.what), wrong.fix);
            return Err(problems.sorted());
        }
    };
    let token = settings.admin.as_ref().and_then(|admin| admin.token.clone());
    if token.is_none() && !listen.ip().is_loopback() {
        problems.error_fix(
            Mark::FILE,
            format!("the admin side would be open to anyone who can reach {listen}"),
            "take a loopback address, or give `admin` a `token` in a settings file",
        );
    }
    if is_wanted(&settings.listen, listen) {
        let what = format!("requests and the admin side both want {listen}");
        problems.error_fix(Mark::FILE, what, "give one of them another port");
    }
    if problems.fatal() { Err(problems.sorted()) } else { Ok(Admin { listen, token }) }
}

/// Refuses addresses with TLS where there is no certificate.
fn certified(flag: &str, listen: &[Listen], tls: Option<&Tls>) -> Result<(), Vec<Problem>> {
    match listen.iter().find(|listen| listen.listener.tls) {
        Some(listen) if tls.is_none() => {
            let mut problems = Problems::new(flag);
            let what = format!("`{listen}` needs a certificate");
            problems.error_fix(Mark::FILE, what, format!("in a settings file, {CERTIFICATES_FIX}"));
            Err(problems.sorted())
        }
        _ => Ok(()),
    }
}

fn addresses(flag: &str, texts: &[String]) -> Result<Vec<Listen>, Vec<Problem>> {
    let mut problems = Problems::new(flag);
    let mut addresses: Vec<Listen> = Vec::new();
    for text in texts {
        match address::listen(text) {
            Ok(listen) if addresses.iter().any(|other| other.is_at(&listen.address)) => {
                let what = format!("{} is listened on twice", listen.address);
                problems.error_fix(Mark::FILE, what, "keep one of them");
            }
            Ok(listen) => addresses.push(listen),
            Err(wrong) => {
                problems.error_fix(Mark::FILE, format!("`{}`: {}", short(text), wrong.what), wrong.fix);
            }
        }
    }
    if problems.fatal() { Err(problems.sorted()) } else { Ok(addresses) }
}

/// One route for every request, to one service.
fn forward_all(endpoints: Vec<Endpoint>, listen: &[Listen]) -> Plan {
    let matcher = Matcher::default();
    let (router, _) = Router::build(std::slice::from_ref(&matcher));
    let service = Service { endpoints, ..Service::new("default") };
    let route = Route {
        name: "default".into(),
        matcher,
        action: Action::Forward(vec![Target { service: 0, weight: 1 }]),
        timeout: TimeoutOverrides::default(),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        rewrite: None,
        body_max: None,
        upgrade: Upgrades::default(),
        grpc_web: false,
    };
    Plan {
        router,
        routes: vec![route],
        services: vec![service],
        limits: Limits::default(),
        trusted_proxies: CidrSet::default(),
        record: None,
        dns: Dns::default(),
        listeners: listen.iter().map(|listen| listen.listener).collect(),
        tls: None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn problems(to: &[&str], listen: &[&str]) -> Vec<String> {
        let result = from_flags(&strings(to), &strings(listen));
        result.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_is_forwarded_to_the_addresses_given() {
        let loaded = from_flags(&strings(&["127.0.0.1:3000", "app:3001"]), &[]).unwrap();
        assert_eq!(loaded.server.listen, [Listen::from(SocketAddr::from(([127, 0, 0, 1], 8080)))]);
        let endpoints: Vec<_> = loaded.plan.services[0].endpoints.iter().map(|end| &*end.address).collect();
        assert_eq!(endpoints, ["127.0.0.1:3000", "app:3001"]);
    }

    #[test]
    fn every_bad_address_is_told() {
        assert_eq!(
            problems(&["app", "a:1", "a:1"], &["x:1"]),
            [
                "--to: error: `app`: the port is missing; write, for example, `app:80`",
                "--to: error: `a:1` stands twice; keep one of them",
                "--listen: error: `x:1`: only IP addresses and `localhost` can be listened on; \
                 write, for example, `127.0.0.1:8080`, or `:8080` for every IPv4 address",
            ]
        );
        assert_eq!(problems(&[], &[]), ["--to: error: at least one address is needed"]);
    }

    #[test]
    fn the_command_line_goes_before_the_file_or_changes_nothing() {
        let mut settings = from_flags(&strings(&["a:1"]), &[]).unwrap().server;
        let before = settings.clone();
        assert!(override_server(&mut settings, &strings(&[":80"]), Some("0.0.0.0:9")).is_err());
        assert_eq!(settings, before);
        override_server(&mut settings, &strings(&[":80"]), Some("off")).unwrap();
        assert_eq!((settings.listen[0].to_string(), settings.admin), ("0.0.0.0:80".to_owned(), None));
    }
}
