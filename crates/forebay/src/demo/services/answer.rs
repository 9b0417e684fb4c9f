//! What the sample services answer, and after how long.

use std::time::Duration;

use forebay_base::seed::Random;

use super::Kind;

/// The shop has items from 1 to this.
const ITEMS: u64 = 480;
/// Of a thousand requests the flaky service drops so many without an answer ...
const DROPPED: u64 = 10;
/// ... and fails so many, those included.
const SPOILT: u64 = DROPPED + 30;
/// The slow service takes at least this long, in milliseconds ...
const SLOW_MIN: u64 = 40;
/// ... and at most this.
const SLOW_MAX: u64 = 150;
/// A report of a whole year takes just this long: so many requests in a second are so many in flight.
const YEARLY: Duration = Duration::from_secs(1);
/// Lines of a report.
const REPORT_LINES: u64 = 200;

/// What a client gets, if it gets anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// How long the service takes for it.
    pub(super) after: Duration,
    /// Code and phrase.
    pub(super) status: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// The answer of a service to its request number `number`; `None`: it drops the connection.
pub(super) fn answer(kind: Kind, number: u64, method: &str, path: &str) -> Option<Answer> {
    // The same number has the same fate in every run.
    let mut random = Random::from_seed(number);
    match kind {
        Kind::Shop => Some(shop(number, method, path)),
        Kind::Reports if path == "/reports/yearly" => {
            Some(Answer { after: YEARLY, ..ok("text/csv", report()) })
        }
        Kind::Reports => {
            let slow = SLOW_MIN + random.below(SLOW_MAX - SLOW_MIN + 1);
            Some(Answer { after: Duration::from_millis(slow), ..ok("text/csv", report()) })
        }
        Kind::Flaky => match random.below(1_000) {
            ..DROPPED => None,
            DROPPED..SPOILT => Some(Answer {
                status: "500 Internal Server Error",
                ..ok("application/json", "{\"error\":\"as arranged\"}".to_owned())
            }),
            rest => Some(ok("application/json", format!("{{\"quote\":{rest}}}"))),
        },
    }
}

fn shop(number: u64, method: &str, path: &str) -> Answer {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let json = "application/json";
    match (method, path) {
        ("POST", "/shop/orders") => {
            Answer { status: "201 Created", ..ok(json, format!("{{\"order\":{number}}}")) }
        }
        (_, "/shop/") => ok("text/html; charset=utf-8", include_str!("shop.html").to_owned()),
        (_, "/shop/search") => ok(json, "{\"found\":[17,42,480]}".to_owned()),
        (_, item) => match item.strip_prefix("/shop/items/").map(str::parse) {
            Some(Ok(item @ 1..=ITEMS)) => ok(
                json,
                format!("{{\"item\":{item},\"name\":\"Sluice gate no. {item}\",\"price\":\"19.90\"}}"),
            ),
            _ => Answer { status: "404 Not Found", ..ok(json, "{\"error\":\"no such page\"}".to_owned()) },
        },
    }
}

fn report() -> String {
    let lines = (1..=REPORT_LINES).map(|line| format!("{line},{},{}\n", line * 37 % 101, line * 53 % 997));
    std::iter::once("hour,orders,litres\n".to_owned()).chain(lines).collect()
}

fn ok(content_type: &'static str, body: String) -> Answer {
    Answer { after: Duration::ZERO, status: "200 OK", content_type, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str) -> &'static str {
        answer(Kind::Shop, 0, "GET", path).expect("the shop always answers").status
    }

    #[test]
    fn the_shop_has_some_pages_and_lacks_others() {
        for path in ["/shop/", "/shop/items/1", "/shop/items/480", "/shop/search?page=2"] {
            assert_eq!(status(path), "200 OK", "{path}");
        }
        for path in ["/shop/items/481", "/shop/items/0", "/shop/items/x", "/shop/nowhere"] {
            assert_eq!(status(path), "404 Not Found", "{path}");
        }
    }

    #[test]
    fn reports_take_from_40_to_150_milliseconds() {
        let times: Vec<u128> = (0..10_000)
            .map(|number| {
                answer(Kind::Reports, number, "GET", "/").expect("it always answers").after.as_millis()
            })
            .collect();
        assert_eq!((times.iter().min(), times.iter().max()), (Some(&40), Some(&150)));
    }

    #[test]
    fn the_yearly_report_always_takes_a_second() {
        for number in 0..100 {
            let after = answer(Kind::Reports, number, "GET", "/reports/yearly").map(|answer| answer.after);
            assert_eq!(after, Some(Duration::from_secs(1)));
        }
    }

    #[test]
    fn the_flaky_one_drops_one_in_a_hundred_and_fails_three() {
        let answers = (0..10_000).map(|number| answer(Kind::Flaky, number, "GET", "/"));
        let (answered, dropped): (Vec<_>, Vec<_>) = answers.partition(Option::is_some);
        let failed = answered.iter().flatten().filter(|answer| answer.status.starts_with('5')).count();
        assert!((70..130).contains(&dropped.len()), "{}", dropped.len());
        assert!((250..350).contains(&failed), "{failed}");
    }
}
