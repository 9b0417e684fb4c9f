//! What deciders cost, in nanoseconds: `cargo bench -p forebay-policy`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use forebay_base::seed::Random;
use forebay_base::time::Instant;
use forebay_policy::balance::{Ewma, LeastLoaded, PeakEwma, Ring, RoundRobin, bounded, stable_hash};
use forebay_policy::outlier::{self, Window, compare};
use forebay_policy::select::{Candidate, select};

/// Each figure is the best of so many.
const TRIES: u32 = 7;

fn main() {
    for endpoints in [2, 3, 10, 1_000] {
        println!("{endpoints} endpoints");
        picks(endpoints);
    }
    println!("1000 endpoints, for each change");
    changes(1_000);
    let text = [b'x'; 64];
    println!("hashes");
    measure("16 bytes", 1_000_000, || stable_hash(black_box(&text[..16])));
    measure("64 bytes", 1_000_000, || stable_hash(black_box(&text)));
}

/// Picks with loads that change a little, as they do.
fn picks(endpoints: usize) {
    let weights = vec![1_u32; endpoints];
    let loads: Vec<Cell<u32>> = (0..endpoints).map(|n| Cell::new(n as u32 % 3)).collect();
    let touch = |picked: Option<usize>| {
        if let Some(load) = picked.and_then(|n| loads.get(n)) {
            load.set((load.get() + 1) % 8);
        }
        picked
    };
    let mut balancer = LeastLoaded::new(&weights, 7);
    measure("least loaded", 1_000_000, || touch(balancer.pick(|n| loads[n].get(), |_| false)));
    let mut balancer = RoundRobin::new(&weights);
    measure("round robin", 100_000, || touch(balancer.pick(|_| false)));

    let mut ewmas = vec![Ewma::default(); endpoints];
    let mut now = Instant::from_nanos(1);
    let mut balancer = PeakEwma::new(&weights, 7);
    measure("peak ewma, and observe", 1_000_000, || {
        now = now + Duration::from_micros(100);
        let picked = touch(balancer.pick(|n| ewmas[n].cost(now, loads[n].get()), |_| false));
        if let Some(ewma) = picked.and_then(|n| ewmas.get_mut(n)) {
            ewma.observe(now, Duration::from_micros(700));
        }
        picked
    });

    let ids: Vec<u64> = (0..endpoints as u64).map(|n| stable_hash(&n.to_le_bytes())).collect();
    let ring = Ring::new(&ids, &weights);
    let mut random = Random::from_seed(7);
    measure("ring", 1_000_000, || ring.pick(random.next_u64(), |_| true));
    let mut in_flight: VecDeque<usize> = (0..endpoints).flat_map(|n| [n; 3]).collect();
    loads.iter().for_each(|load| load.set(3));
    measure("ring, bounded", 1_000_000, || {
        let total = in_flight.len() as u64;
        let admit = |n: usize| bounded(loads[n].get(), total, 1, endpoints as u64);
        let picked = ring.pick(random.next_u64(), admit)?;
        loads[picked].set(loads[picked].get() + 1);
        in_flight.push_back(picked);
        let done = in_flight.pop_front()?;
        loads[done].set(loads[done].get() - 1);
        Some(picked)
    });
    measure("ring, none admitted", 10_000, || ring.pick(random.next_u64(), |n| loads[n].get() > 1_000));
}

fn changes(endpoints: usize) {
    let weights: Vec<u32> = (0..endpoints as u32).map(|n| n % 9 + 1).collect();
    let ids: Vec<u64> = (0..endpoints as u64).map(|n| stable_hash(&n.to_le_bytes())).collect();
    measure("ring, built", 20, || Ring::new(&ids, &weights));
    measure("ring of two, built", 20, || Ring::new(&ids[..2], &weights[..2]));
    measure("least loaded, built", 100, || LeastLoaded::new(&weights, 7));
    let before = RoundRobin::new(&weights);
    measure("round robin, resumed", 100, || RoundRobin::resume(&weights, &before, Some));
    let candidate = |weight: &u32| Candidate { usable: *weight > 3, weight: *weight, priority: 0, ramp: 0.5 };
    let candidates: Vec<Candidate> = weights.iter().map(candidate).collect();
    measure("select", 100, || select(&candidates, 50));
    let rules = outlier::Rules { error_ratio: 20, latency_factor: 5, requests_min: 100 };
    let window = |weight: &u32| {
        let latency = Some(Duration::from_millis(u64::from(*weight)));
        Window { requests: 1_000, failures: u64::from(*weight), latency }
    };
    let windows: Vec<Window> = weights.iter().map(window).collect();
    measure("outliers", 100, || compare(&rules, &windows));
}

/// The mean of so many calls, in the best of some tries.
fn measure<T>(name: &str, calls: u32, mut call: impl FnMut() -> T) {
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let start = Clock::now();
        for _ in 0..calls {
            black_box(call());
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(calls));
    }
    println!("  {name:<24}{:>12.1} ns", best * 1e9);
}
