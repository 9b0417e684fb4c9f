//! What the demo's clients ask for, and when: a fixed mix at random moments, the same in every run.

use std::time::Duration;

use forebay_base::seed::Random;

/// Requests planned per second, on average.
pub(super) const RATE: u32 = 300;
/// Every run asks for the same things at the same moments.
const SEED: u64 = 0xF04E_BA75;

/// A row of the demo's tables: a route of its settings, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// The shop's pages.
    Shop,
    /// Orders sent to the shop.
    Orders,
    /// Slow reports.
    Reports,
    /// What fails now and then.
    Flaky,
    /// The redirect to the shop.
    Front,
    /// Requests no route is there for.
    Nowhere,
}

/// A request whose time has been set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Since the start of traffic.
    pub(super) at: Duration,
    /// Where it counts.
    pub(super) row: Row,
    /// The whole message.
    pub(super) bytes: Vec<u8>,
}

/// The requests to come, in order: as independent clients would send them, who do not wait for each other.
#[derive(Debug)]
pub(super) struct Arrivals {
    random: Random,
    host: String,
    last: Duration,
    end: Duration,
}

/// One kind of request.
struct Kind {
    row: Row,
    /// Of a hundred requests.
    share: u64,
    method: &'static str,
    /// `#` stands for a number from 1 to `numbers`.
    path: &'static str,
    numbers: u64,
    /// Longest body in bytes; 0: none.
    body_max: u64,
}

const KINDS: &[Kind] = &[
    Kind { row: Row::Shop, share: 22, method: "GET", path: "/shop/", numbers: 0, body_max: 0 },
    // The shop has fewer items than are asked for.
    Kind { row: Row::Shop, share: 30, method: "GET", path: "/shop/items/#", numbers: 500, body_max: 0 },
    Kind { row: Row::Shop, share: 10, method: "GET", path: "/shop/search?page=#", numbers: 9, body_max: 0 },
    Kind { row: Row::Orders, share: 10, method: "POST", path: "/shop/orders", numbers: 0, body_max: 4_000 },
    Kind { row: Row::Reports, share: 8, method: "GET", path: "/reports/daily/#", numbers: 365, body_max: 0 },
    Kind { row: Row::Flaky, share: 9, method: "GET", path: "/flaky/quotes/#", numbers: 99, body_max: 0 },
    Kind { row: Row::Flaky, share: 5, method: "POST", path: "/flaky/payments", numbers: 0, body_max: 300 },
    Kind { row: Row::Front, share: 4, method: "GET", path: "/", numbers: 0, body_max: 0 },
    Kind { row: Row::Nowhere, share: 2, method: "GET", path: "/wp-login.php", numbers: 0, body_max: 0 },
];

impl Row {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 6] =
        [Self::Shop, Self::Orders, Self::Reports, Self::Flaky, Self::Front, Self::Nowhere];

    /// The route's label in the gateway's metrics, which is its `match`; words where there is no route.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Shop => "/shop/*",
            Self::Orders => "POST /shop/orders",
            Self::Reports => "/reports/*",
            Self::Flaky => "/flaky/*",
            Self::Front => "/",
            Self::Nowhere => "(no route)",
        }
    }
}

impl Arrivals {
    /// Requests to `host` for so long.
    pub(super) fn new(host: String, length: Duration) -> Self {
        Self { random: Random::from_seed(SEED), host, last: Duration::ZERO, end: length }
    }

    /// A gap with no memory of the last one, as between independent clients; at most twenty times the mean.
    fn gap(&mut self) -> Duration {
        const STEPS: u64 = 1 << 30;
        let even = super::figures::float(self.random.below(STEPS) + 1) / super::figures::float(STEPS);
        Duration::from_secs(1).div_f64(f64::from(RATE)).mul_f64(-even.ln())
    }

    fn kind(&mut self) -> &'static Kind {
        let mut ticket = self.random.below(KINDS.iter().map(|kind| kind.share).sum());
        for kind in KINDS {
            match ticket.checked_sub(kind.share) {
                Some(left) => ticket = left,
                None => return kind,
            }
        }
        &KINDS[0]
    }

    fn message(&mut self, kind: &Kind) -> Vec<u8> {
        let number = self.random.below(kind.numbers) + 1;
        let path = kind.path.replace('#', &number.to_string());
        let host = &self.host;
        let mut text =
            format!("{} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: forebay-demo\r\n", kind.method);
        if kind.body_max > 0 {
            let note = "x".repeat(usize::try_from(self.random.below(kind.body_max)).unwrap_or_default());
            let body = format!("{{\"item\":{number},\"note\":\"{note}\"}}");
            let length = body.len();
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
        } else {
            text.push_str("\r\n");
        }
        text.into_bytes()
    }
}

impl Iterator for Arrivals {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let at = self.last + self.gap();
        if at >= self.end {
            return None;
        }
        self.last = at;
        let kind = self.kind();
        Some(Planned { at, row: kind.row, bytes: self.message(kind) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute() -> Vec<Planned> {
        Arrivals::new("demo.test".to_owned(), Duration::from_secs(60)).collect()
    }

    #[test]
    fn every_run_plans_the_same() {
        assert_eq!(minute(), minute());
    }

    #[test]
    fn requests_come_in_order_and_about_as_often_as_they_should() {
        let planned = minute();
        assert!(planned.is_sorted_by_key(|planned| planned.at));
        assert!((17_000..19_000).contains(&planned.len()), "{}", planned.len());
    }

    #[test]
    fn two_seconds_are_enough_for_every_row() {
        let planned: Vec<Planned> = Arrivals::new(String::new(), Duration::from_secs(2)).collect();
        for row in Row::ALL {
            assert!(planned.iter().any(|planned| planned.row == row), "{row:?}");
        }
    }

    #[test]
    fn shares_are_of_a_hundred() {
        assert_eq!(KINDS.iter().map(|kind| kind.share).sum::<u64>(), 100);
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        for planned in minute() {
            let text = String::from_utf8(planned.bytes).expect("it is text");
            let (head, body) = text.split_once("\r\n\r\n").expect("there is a head");
            let said = head.split("Content-Length: ").nth(1).map_or(0, |rest| rest.parse().unwrap());
            assert_eq!(body.len(), said, "{text}");
        }
    }
}
