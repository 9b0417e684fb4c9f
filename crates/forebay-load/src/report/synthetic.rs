//! Made-up runs that look like real ones: a target of two endpoints that stalls once, with or without bad luck.

use std::time::Duration;

use forebay_base::seed::Random;

use crate::outcome::{ErrorKind, FORMAT, Generator, Machine, Outcome, Series, Tally, Window, heat_bucket, HEAT_BUCKETS};
use crate::plan::Stage;
use crate::threshold::Threshold;
use crate::verdict;

/// What a made-up run is like.
pub(crate) struct Story {
    /// Arrivals per second in the stage in the middle.
    pub(crate) rate: u64,
    /// When the target stands still, and for how long.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// One in so many answers is an error; 0: none.
    pub(crate) error_every: u64,
    /// Users at once.
    pub(crate) users: usize,
    /// Whether the generator could not keep up.
    pub(crate) late: bool,
}

impl Story {
    /// All is well.
    pub(crate) fn calm() -> Self {
        Self { rate: 400, stall: None, error_every: 0, users: 64, late: false }
    }

    /// A stall of 1.4 s, and errors.
    pub(crate) fn stalled() -> Self {
        let stall = Some((Duration::from_millis(24_300), Duration::from_millis(1_400)));
        Self { rate: 1_000, stall, error_every: 700, users: 64, late: false }
    }
}

/// The outcome of such a run: 10 s of warm-up, a ramp, and 20 s at full rate.
pub(crate) fn outcome(story: &Story) -> Outcome {
    let stage = |name: &str, seconds, from, to, warmup| Stage {
        name: name.to_owned(),
        length: Duration::from_secs(seconds),
        from,
        to,
        warmup,
    };
    let rate = super::figures::float(story.rate);
    let stages = vec![
        stage("warm-up", 10, rate / 4.0, rate / 4.0, true),
        stage("ramp", 10, rate / 4.0, rate, false),
        stage("full", 20, rate, rate, false),
    ];
    let mut run = Run::new(story, &stages);
    let mut begin = Duration::ZERO;
    for (index, stage) in stages.iter().enumerate() {
        let mut at = 0.0;
        while at < stage.length.as_secs_f64() {
            run.arrive(index, begin + Duration::from_secs_f64(at));
            at += 1.0 / (stage.from + (stage.to - stage.from) * at / stage.length.as_secs_f64());
        }
        begin += stage.length;
    }
    run.finish(stages)
}

struct Run<'a> {
    story: &'a Story,
    random: Random,
    series: Vec<Series>,
    windows: Vec<(Window, Vec<u64>)>,
    generator: Generator,
    /// When the users are free again, while the target stands still.
    stuck: usize,
    arrivals: u64,
}

impl<'a> Run<'a> {
    fn new(story: &'a Story, stages: &[Stage]) -> Self {
        let series = |step: &str| Series {
            step: step.to_owned(),
            tags: vec![("area".to_owned(), "shop".to_owned())],
            stages: vec![Tally::default(); stages.len()],
        };
        Self {
            story,
            random: Random::from_seed(7),
            series: vec![series("GET /products"), series("POST /orders")],
            windows: Vec::new(),
            generator: Generator { workers: 2, ..Generator::default() },
            stuck: 0,
            arrivals: 0,
        }
    }

    fn arrive(&mut self, stage: usize, planned: Duration) {
        self.arrivals += 1;
        let which = usize::from(self.random.below(5) == 0);
        let pacing = Duration::from_micros(2 + self.random.below(if self.story.late { 30_000 } else { 90 }));
        self.generator.pacing.record(pacing);
        self.generator.lag.record(pacing + Duration::from_micros(self.random.below(40)));
        let (delay, service) = self.times(which, planned, pacing);
        let bad = self.story.error_every > 0 && self.arrivals.is_multiple_of(self.story.error_every);
        let response = delay + service;
        self.window(planned, response, bad);
        let tally = &mut self.series[which].stages[stage];
        tally.planned += 1;
        tally.bytes_out += 180;
        tally.delay.record(delay);
        if service > Duration::from_secs(1) && self.stuck.is_multiple_of(9) {
            tally.timeouts += 1;
            tally.censored.record(response);
            return;
        }
        tally.bytes_in += 1_400;
        if bad {
            let kinds = [ErrorKind::Status, ErrorKind::Status, ErrorKind::Reset];
            let kind = kinds[usize::try_from(self.random.below(3)).unwrap_or(0)];
            *tally.errors.entry(kind).or_default() += 1;
            if kind == ErrorKind::Status {
                *tally.statuses.entry(503).or_default() += 1;
            }
            tally.failed.record(response);
            return;
        }
        tally.ok += 1;
        *tally.statuses.entry(if which == 1 { 201 } else { 200 }).or_default() += 1;
        tally.response.record(response);
        tally.service.record(service);
        tally.first_byte.record(service.mul_f64(0.8));
        if self.arrivals < 64 {
            tally.connect.record(Duration::from_micros(180));
        }
    }

    /// Start delay and service time.
    fn times(&mut self, which: usize, planned: Duration, pacing: Duration) -> (Duration, Duration) {
        // The product of some draws leans to one side, as response times do.
        let lean: f64 = (0..4).map(|_| 0.5 + super::figures::float(self.random.below(1_000)) / 700.0).product();
        let usual = Duration::from_secs_f64(lean * if which == 1 { 0.009 } else { 0.0031 });
        let Some((from, length)) = self.story.stall else { return (pacing, usual) };
        let over = from + length;
        // Whoever came meanwhile is served one after the other.
        let drained = over + length.mul_f64(0.35);
        if planned < from || planned > drained {
            return (pacing, usual);
        }
        let left = (drained - planned).mul_f64(length.as_secs_f64() / (drained - from).as_secs_f64());
        if self.stuck < self.story.users {
            self.stuck += 1;
            (pacing, over.saturating_sub(planned) + usual)
        } else {
            (left, usual)
        }
    }

    fn window(&mut self, planned: Duration, response: Duration, bad: bool) {
        let index = usize::try_from(planned.as_secs()).unwrap_or(0);
        while self.windows.len() <= index {
            let start_ms = self.windows.len() as u64 * 1_000;
            let heat = vec![0; HEAT_BUCKETS];
            self.windows.push((Window { start_ms, length_ms: 1_000, heat, ..Window::default() }, Vec::new()));
        }
        let done = usize::try_from((planned + response).as_secs()).unwrap_or(0).min(self.windows.len() - 1);
        self.windows[done].0.finished += 1;
        let (window, times) = &mut self.windows[index];
        window.planned += 1;
        if bad {
            window.errors += 1;
            return;
        }
        window.ok += 1;
        let us = u64::try_from(response.as_micros()).unwrap_or(u64::MAX);
        window.heat[heat_bucket(us)] += 1;
        times.push(us);
    }

    fn finish(self, stages: Vec<Stage>) -> Outcome {
        let mut backlog = 0_u64;
        let timeline = self.windows.into_iter().map(|(mut window, mut times)| {
            times.sort_unstable();
            let at = |share: usize| times.get((times.len() * share / 1_000).min(times.len() - 1)).copied();
            backlog = (backlog + window.planned).saturating_sub(window.finished);
            window.backlog = backlog;
            window.p50_us = at(500).unwrap_or(0);
            window.p95_us = at(950).unwrap_or(0);
            window.p99_us = at(990).unwrap_or(0);
            window.max_us = at(1_000).unwrap_or(0);
            window
        });
        let mut outcome = Outcome {
            format: FORMAT,
            name: "checkout at peak".to_owned(),
            target: "http://shop.test".to_owned(),
            tags: vec![("build".to_owned(), "4f1c2ab".to_owned())],
            started_unix_ms: 1_795_269_789_000,
            machine: Machine { forebay: "0.1.0".to_owned(), system: "Linux 6.12".to_owned(), cores: 8 },
            seed: 7,
            model: "open".to_owned(),
            keep_alive: true,
            users_max: self.story.users,
            stages,
            took: Duration::from_millis(40_120),
            interrupted: false,
            series: self.series,
            timeline: timeline.collect(),
            generator: Generator {
                cpu: Duration::from_millis(9_400),
                busiest: if self.story.late { 0.99 } else { 0.31 },
                connects: 66,
                in_flight_max: self.story.users as u64,
                memory_max: 21_400_000,
                ..self.generator
            },
            lab: crate::lab::LabOutcome::default(),
            verdict: verdict::Verdict::default(),
        };
        let thresholds = ["p(95)<100ms", "p(99)<200ms", "avg<50ms", "max<500ms", "rate<0.1%", "throughput>300/s"];
        let thresholds = thresholds.map(|text| Threshold::parse(text).expect("it is a threshold"));
        outcome.verdict = verdict::judge(&thresholds, &outcome);
        outcome
    }
}

/// A run whose every name is meant to break what shows it.
pub(crate) fn hostile() -> Outcome {
    let mut outcome = outcome(&Story::stalled());
    let nasty = "</script><img src=x onerror=alert(1)>\"'&]]>\n\x1b[2J\u{202e}\0";
    outcome.name = nasty.to_owned();
    outcome.target = format!("http://me:secret@shop.test/{nasty}?token=secret");
    outcome.model = nasty.to_owned();
    outcome.machine.system = nasty.to_owned();
    outcome.tags = vec![(nasty.to_owned(), nasty.to_owned())];
    for stage in &mut outcome.stages {
        stage.name = nasty.repeat(3);
    }
    for series in &mut outcome.series {
        series.step = nasty.repeat(500);
        series.tags = vec![(nasty.to_owned(), nasty.to_owned())];
    }
    outcome
}
