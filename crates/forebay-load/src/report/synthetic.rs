//! Made-up runs that look like real ones: a target of two endpoints that stalls once, with or without bad luck.

use std::time::Duration;

use forebay_base::seed::Random;

use crate::lab::{
    Captured, CapturedKind, Episode, LabOutcome, Leak, LeakVerdict, Part, Recovery, Sample, Usage, Watched,
};
use crate::outcome::{
    ErrorKind, FORMAT, Generator, HEAT_BUCKETS, Machine, Outcome, Series, Tally, Window, heat_bucket,
};
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
        let lean: f64 =
            (0..4).map(|_| 0.5 + super::figures::float(self.random.below(1_000)) / 700.0).product();
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

    /// The window a moment belongs to.
    fn window_at(&mut self, at: Duration) -> &mut (Window, Vec<u64>) {
        let index = usize::try_from(at.as_secs()).unwrap_or(0);
        while self.windows.len() <= index {
            let start_ms = self.windows.len() as u64 * 1_000;
            let heat = vec![0; HEAT_BUCKETS];
            self.windows.push((Window { start_ms, length_ms: 1_000, heat, ..Window::default() }, Vec::new()));
        }
        &mut self.windows[index]
    }

    fn window(&mut self, planned: Duration, response: Duration, bad: bool) {
        self.window_at(planned + response).0.finished += 1;
        let (window, times) = self.window_at(planned);
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
            let at = |share: usize| {
                times.get((times.len() * share / 1_000).min(times.len().saturating_sub(1))).copied()
            };
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
            protocols: vec!["HTTP/1.1".to_owned()],
            users_max: self.story.users,
            stages,
            took: Duration::from_millis(40_120),
            loaded: Duration::from_secs(40),
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
            lab: LabOutcome::default(),
            verdict: verdict::Verdict::default(),
        };
        let thresholds =
            ["p(95)<100ms", "p(99)<200ms", "avg<50ms", "max<500ms", "rate<0.1%", "throughput>300/s"];
        let thresholds = thresholds.map(|text| Threshold::parse(text).expect("it is a threshold"));
        outcome.verdict = verdict::judge(&thresholds, &outcome);
        outcome
    }
}

/// The stalled run, as the lab saw it: the stall is a process that was paused.
pub(crate) fn with_lab() -> Outcome {
    let mut outcome = outcome(&Story::stalled());
    let mut random = Random::from_seed(3);
    let (on, length) = Story::stalled().stall.unwrap_or_default();
    let recovery = Recovery {
        end: crate::lab::End::Recovered,
        ttd: Some(Duration::ZERO),
        ttr_off: Some(Duration::from_secs(2)),
        watched: Duration::from_secs(14),
        bad_requests: 38,
        notes: vec!["3 windows of 1 s were bad".to_owned()],
        ..Recovery::default()
    };
    let what = "pause api".to_owned();
    outcome.lab.episodes = vec![Episode { what, cycle: 0, on, off: Some(on + length), recovery }];
    let mut watched = |name: &str, cores: f64, memory: u64| Watched {
        name: name.to_owned(),
        stages: vec![
            Usage {
                seen: Duration::from_secs(10),
                cpu: Duration::from_secs_f64(cores * 7.0),
                cores_max: cores,
                memory_min: memory,
                memory_max: memory + 1_000_000,
                threads_max: 9,
                descriptors_max: 84,
            };
            3
        ],
        curve: (0..40)
            .map(|second| {
                let load = if second < 10 {
                    0.25
                } else {
                    (0.25 + super::figures::float(second - 10) * 0.075).min(1.0)
                };
                let noise = super::figures::float(random.below(100)) / 1_000.0;
                Sample {
                    at_ms: second * 1_000,
                    cores: if second == 24 { 0.02 } else { cores * (load + noise) },
                    memory: memory + second * 20_000 + random.below(200_000),
                    threads: 9,
                    descriptors: 84,
                }
            })
            .collect(),
        leak: Leak {
            verdict: LeakVerdict::TooShort,
            per_hour: Some(72e6),
            interval: Some((-4e6, 150e6)),
            matters: 2.4e6,
            length: Duration::from_secs(30),
        },
        profiles: Vec::new(),
    };
    outcome.lab.watched = vec![watched("generator", 0.35, 21_000_000), watched("api", 1.6, 48_000_000)];
    let frame = |name: &str, depth, start, value| crate::pprof::Frame {
        name: name.to_owned(),
        depth,
        start,
        value,
        own: value / 3,
    };
    let flame = crate::pprof::Flame {
        kind: "cpu".to_owned(),
        unit: "nanoseconds".to_owned(),
        total: 9_000_000_000,
        nanos: 10_000_000_000,
        frames: vec![
            frame("main", 0, 0, 9_000_000_000),
            frame("http.serve", 1, 0, 7_500_000_000),
            frame("orders.place", 2, 0, 3_000_000_000),
            frame("json.encode", 2, 3_000_000_000, 2_400_000_000),
            frame("gc", 1, 7_500_000_000, 1_500_000_000),
        ],
    };
    outcome.lab.watched[1].profiles = vec![
        Captured {
            kind: CapturedKind::Cpu,
            during: Part::Stage(2),
            file: "api-2-cpu.pb.gz".to_owned(),
            flame: Some(flame),
            ..Captured::default()
        },
        Captured {
            kind: CapturedKind::Heap,
            during: Part::End,
            file: "api-end-heap.pb.gz".to_owned(),
            error: Some("the target answered 404".to_owned()),
            ..Captured::default()
        },
    ];
    outcome
}

/// A run whose every name is meant to break what shows it.
pub(crate) fn hostile() -> Outcome {
    let mut outcome = with_lab();
    let nasty = "</script><img src=x onerror=alert(1)>\"'&]]>\n\x1b[2J\u{202e}\0";
    outcome.name = nasty.to_owned();
    outcome.target = format!("http://me:secret@shop.test/{nasty}?token=secret");
    outcome.model = nasty.to_owned();
    outcome.machine.system = nasty.to_owned();
    outcome.tags = vec![(nasty.to_owned(), nasty.to_owned())];
    for stage in &mut outcome.stages {
        stage.name = nasty.repeat(3);
    }
    for watched in &mut outcome.lab.watched {
        watched.name = nasty.to_owned();
    }
    outcome.lab.episodes[0].what = nasty.to_owned();
    outcome.lab.notes = vec![nasty.to_owned()];
    outcome.verdict.reasons.push(nasty.to_owned());
    outcome.verdict.thresholds[0].threshold = nasty.to_owned();
    for series in &mut outcome.series {
        series.step = nasty.repeat(500);
        series.tags = vec![(nasty.to_owned(), nasty.to_owned())];
    }
    outcome
}
