//! A gateway under attack, two clients that behave, and what all of it costs.

use std::fs;
use std::time::Duration;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::Client;

use crate::raw::{GET, Raw};

/// Requests that tell what one costs, from which the ceilings follow: so they hold for builds of any kind and for
/// machines of any speed.
const CALIBRATION: u32 = 200;

/// The usual size of a body.
pub(crate) const BIG: usize = 1 << 20;

/// See the module.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) origin: Origin,
    witness: Witness,
    /// What a request costs that is served.
    request: Duration,
    start: Usage,
    /// Requests that had reached the origin then.
    before: usize,
}

/// What an attack may cost.
#[derive(Clone, Copy)]
pub(crate) struct Ceiling {
    /// Resident memory on top of what was there before, in MiB.
    pub(crate) mib: u64,
    /// Processor time of the attack as a whole, in requests served.
    pub(crate) requests: u32,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    rss_kib: u64,
    cpu: Duration,
}

/// One client of HTTP/1.1 and one of HTTP/2, each on a connection of its own, which must never notice anything.
struct Witness {
    http1: Client,
    http2: Raw,
    asked: u32,
}

impl Scene {
    /// A gateway with one worker, so that nobody can get out of the way; `more` are further settings.
    pub(crate) fn new(more: &str) -> Self {
        let origin = Origin::start(|conn| {
            while let Ok(request) = conn.request() {
                let body = if request.target == "/big" { vec![b'b'; BIG] } else { b"small".to_vec() };
                conn.reply("200 OK", &body);
            }
        });
        let gateway = gateway!("{}", in_front_of(origin.address(), more));
        Self::before(gateway, origin)
    }

    /// As `new`, with a gateway that is there; its first listener is the witness's.
    pub(crate) fn before(gateway: Gateway, origin: Origin) -> Self {
        let http2 = Raw::connect(gateway.addr(), &[]);
        let mut witness = Witness { http1: gateway.client(), http2, asked: 0 };
        // What is made once is not part of what a request costs.
        (0..20).for_each(|_| witness.ask("before the attack"));
        let before = Usage::of(gateway.pid());
        let asked = witness.asked;
        while witness.asked < asked + CALIBRATION {
            witness.ask("before the attack");
        }
        let start = Usage::of(gateway.pid());
        let request = (start.cpu - before.cpu) / CALIBRATION;
        witness.asked = 0;
        let before = origin.count();
        Self { gateway, origin, witness, request, start, before }
    }

    /// The clients that behave each make a request: it must be answered.
    pub(crate) fn witness(&mut self, when: &str) {
        self.witness.ask(when);
    }

    /// Requests of the attack that have reached the origin.
    pub(crate) fn reached(&self) -> usize {
        self.origin.count() - self.before - self.witness.asked as usize
    }

    /// Checks that the attack so far has not cost more than it may, and that all is as before.
    #[track_caller]
    pub(crate) fn check(&mut self, name: &str, ceiling: Ceiling) {
        self.witness.ask(name);
        let Ceiling { mib, requests } = ceiling;
        let now = Usage::of(self.gateway.pid());
        let grown = now.rss_kib.saturating_sub(self.start.rss_kib);
        let served = self.request * self.witness.asked;
        let spent = (now.cpu - self.start.cpu).saturating_sub(served);
        let told = format!(
            "{name}: {} MiB more, {spent:?} of processor time: {:.0} requests of {:?}",
            grown >> 10,
            spent.as_secs_f64() / self.request.as_secs_f64(),
            self.request
        );
        assert!(grown <= mib << 10, "{told}; {mib} MiB allowed");
        assert!(spent <= self.request * requests, "{told}; {requests} allowed");
        assert_eq!(self.origin.faults(), Vec::<String>::new());
    }
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/{pid}/{name}"))
                .unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let status = read("status");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse().ok());
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
        let nanos = threads.flatten().filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Self { rss_kib: rss.expect("the kernel tells the size"), cpu: Duration::from_nanos(nanos.sum()) }
    }
}

impl Witness {
    fn ask(&mut self, when: &str) {
        let response = self.http1.ask("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        let response = response.unwrap_or_else(|failed| panic!("{when}: {failed}"));
        assert_eq!(response.status, 200, "{when}: {response}");
        assert_eq!(self.http2.status(GET), Ok(200), "{when}");
        self.asked += 2;
    }
}
