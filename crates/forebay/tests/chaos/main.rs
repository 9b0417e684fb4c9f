//! Many clients and an origin, all of them rude in ways a seed decides: whatever happens, nobody gets anybody
//! else's answer, no half request becomes a whole one, and nothing is left over in the end.
//!
//! A failing seed is printed; `FOREBAY_SEED=N` runs it alone.

mod client;
mod origin;

use std::sync::{Arc, Mutex};
use std::thread;

use forebay_testkit::chance::Chance;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::in_front_of;

/// Clients at the same time.
const CLIENTS: u64 = 8;
/// Connections each of them opens, one after the other.
const VISITS: usize = 40;

/// What clients have sent whole, by number, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: Mutex<Vec<String>>,
    wrong: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn sent_whole(&self, id: &str) {
        self.sent.lock().expect("no panic under this lock").push(id.to_owned());
    }

    pub(crate) fn went_wrong(&self, what: String) {
        self.wrong.lock().expect("no panic under this lock").push(what);
    }

    fn wrong(&self) -> Vec<String> {
        self.wrong.lock().expect("no panic under this lock").clone()
    }
}

#[test]
fn rudeness_harms_nobody_else() {
    for seed in Chance::seeds(&[1, 2, 3]) {
        run(seed, 1);
    }
}

#[test]
fn rudeness_harms_nobody_else_with_several_workers() {
    for seed in Chance::seeds(&[4, 5, 6]) {
        run(seed, 3);
    }
}

#[test]
fn an_answer_to_somebody_else_is_noticed() {
    // The canary: if this passes for right, the tests above prove nothing.
    let poisoned = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\nx-id: another\r\nContent-Length: 1\r\n\r\n0");
        }
    });
    let ledger = Ledger::default();
    client::visit(poisoned.address(), "0-0", &mut Chance::new(0), &ledger);
    assert!(!ledger.wrong().is_empty());
}

fn run(seed: u64, workers: usize) {
    let ledger = Arc::new(Ledger::default());
    let judge = Arc::clone(&ledger);
    let origin = Origin::start(move |conn| origin::serve(conn, &judge));
    let settings = in_front_of(origin.address(), "").replace("workers: 1", &format!("workers: {workers}"));
    let gateway = gateway!("{settings}");
    let address = gateway.addr();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let ledger = Arc::clone(&ledger);
            let mut chance = Chance::new(seed << 8 | number);
            thread::spawn(move || {
                for visit in 0..VISITS {
                    client::visit(address, &format!("{number}-{visit}"), &mut chance, &ledger);
                }
            })
        })
        .collect();
    for client in clients {
        assert!(client.join().is_ok(), "seed {seed}: a client gave up");
    }
    let wrong = [ledger.wrong(), origin.faults()].concat();
    assert!(wrong.is_empty(), "seed {seed}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    check_seen(seed, &ledger, &origin);
    check_leftovers(seed, &gateway);
}

/// What reached the origin whole was sent whole, and what must not be repeated came once.
fn check_seen(seed: u64, ledger: &Ledger, origin: &Origin) {
    let sent = ledger.sent.lock().expect("no panic under this lock");
    let mut unsafe_ones = Vec::new();
    for seen in origin.seen() {
        let id = origin::id_of(&seen.request);
        assert!(!seen.complete || sent.contains(&id), "seed {seed}: {id} was never sent whole");
        if seen.request.method == "POST" {
            assert!(!unsafe_ones.contains(&id), "seed {seed}: {id} reached the origin twice");
            unsafe_ones.push(id);
        }
    }
}

/// Everything is given back: connections, places, requests in flight.
fn check_leftovers(seed: u64, gateway: &Gateway) {
    for series in ["forebay_connections", "forebay_requests_in_flight", "forebay_upstream_requests_in_flight"]
    {
        let left = gateway.await_metric(series, |left| left <= 0.0);
        assert_eq!(left, 0.0, "seed {seed}: {series}");
    }
    assert_eq!(gateway.get("/echo/after").status, 200, "seed {seed}");
}
