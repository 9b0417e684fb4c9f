//! What is compared: gateways before more or fewer addresses of one server, by each way of picking one.

use std::net::SocketAddr;

use crate::origin;

/// The cookie that `sticky` is told to use, and that wrk.lua sends.
pub(super) const COOKIE: &str = "backend";
/// Addresses of the server, and endpoints of the largest service.
pub(super) const MANY: u16 = 1_000;
/// Endpoints of the others that have more than one.
pub(super) const TEN: u16 = 10;

/// One gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// For people.
    pub(super) title: &'static str,
    /// Whether it is the older binary.
    pub(super) is_before: bool,
    endpoints: u16,
    /// As settings say it.
    balance: &'static str,
}

/// What the others are compared with.
pub(super) const BASELINE: Subject = now("one endpoint", 1, "least_loaded");
/// The same once more: what it differs by is noise.
pub(super) const AGAIN: Subject = now("one endpoint, again", 1, "least_loaded");
const LEAST_LOADED: Subject = now("ten, `least_loaded`", TEN, "least_loaded");
/// Tells the cookies that all are sent.
pub(super) const STICKY: Subject = now("ten, `sticky`", TEN, "{ sticky: { cookie: backend } }");
const BEFORE: Subject = before("earlier binary, one endpoint", 1);
const BEFORE_TEN: Subject = before("earlier binary, ten, `least_loaded`", TEN);

/// The older binary and what has to be compared with it.
pub(super) const PAIRS: [(Subject, Subject); 2] = [(BASELINE, BEFORE), (LEAST_LOADED, BEFORE_TEN)];

/// All that take part, the baseline first.
pub(super) fn all(with_before: bool) -> Vec<Subject> {
    let mut subjects = vec![
        BASELINE,
        AGAIN,
        LEAST_LOADED,
        now("ten, `round_robin`", TEN, "round_robin"),
        now("ten, `peak_ewma`", TEN, "peak_ewma"),
        now("ten, `hash: path`", TEN, "{ hash: path }"),
        STICKY,
        now("1,000, `least_loaded`", MANY, "least_loaded"),
    ];
    if with_before {
        subjects.extend([BEFORE, BEFORE_TEN]);
    }
    subjects
}

const fn now(title: &'static str, endpoints: u16, balance: &'static str) -> Subject {
    Subject { title, is_before: false, endpoints, balance }
}

/// It may know no other way of picking.
const fn before(title: &'static str, endpoints: u16) -> Subject {
    Subject { title, is_before: true, endpoints, balance: "least_loaded" }
}

impl Subject {
    /// Its settings, of which only what every proxy needs is still to be filled in.
    pub(super) fn settings(self, template: &str, origin: SocketAddr) -> String {
        let endpoints =
            (0..self.endpoints).map(|number| format!("\"{}:{}\"", origin::loopback(number), origin.port()));
        let endpoints: Vec<String> = endpoints.collect();
        template.replace("{{origins}}", &endpoints.join(", ")).replace("{{balance}}", self.balance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_addresses_of_one_server() {
        let origin = SocketAddr::from(([127, 0, 0, 1], 80));
        assert_eq!(BASELINE.settings("{{origins}} {{balance}}", origin), "\"127.0.0.1:80\" least_loaded");
        let ten = STICKY.settings("{{origins}}", origin);
        assert!(
            ten.starts_with("\"127.0.0.1:80\", \"127.0.0.2:80\", ") && ten.ends_with("\"127.0.0.10:80\"")
        );
    }

    #[test]
    fn every_pair_takes_part() {
        let subjects = all(true);
        assert_eq!(subjects[0], BASELINE);
        assert!(PAIRS.iter().all(|(now, before)| subjects.contains(now) && subjects.contains(before)));
    }
}
