//! Servers, clients, time and trouble.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use forebay_base::seed::Random;
use forebay_base::time::Instant;
use forebay_policy::health::{Health, State};

use crate::control::{Control, HEALTH, Member, Outcome};
use crate::judge::{Judge, Sums, check_bound, check_ejected, check_in_flight, check_pick};
use crate::picker::{Picker, Rule};
use crate::story::Story;

/// Between two looks at what time has changed.
const TICK: Duration = Duration::from_secs(1);
/// Between two comparisons of endpoints.
const WINDOW: Duration = Duration::from_secs(2);
/// How long a client waits.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Endpoints there are at most, and at least, when they come and go by chance.
const ENDPOINTS: (usize, usize) = (1, 16);

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) rule: Rule,
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    /// In the beginning, with the ids from 0 on.
    pub(crate) endpoints: u64,
    /// Each with a balancer of its own; requests in flight are counted over all of them.
    pub(crate) workers: u64,
    /// Weights are 1 and all are in one tier if this is 1; else both are by chance.
    pub(crate) tiers: u64,
    pub(crate) requests_per_second: f64,
    /// By chance, beside the script.
    pub(crate) troubles_per_second: f64,
    /// What happens in which second.
    pub(crate) script: Vec<(u64, Trouble)>,
    pub(crate) slow_start: Duration,
    pub(crate) panic_below: u8,
}

impl Scenario {
    /// Four equal endpoints and nothing that happens.
    pub(crate) fn calm(rule: Rule, seed: u64) -> Self {
        Self {
            rule,
            seed,
            length: Duration::from_secs(60),
            endpoints: 4,
            workers: 1,
            tiers: 1,
            requests_per_second: 520.0,
            troubles_per_second: 0.0,
            script: Vec::new(),
            slow_start: Duration::ZERO,
            panic_below: 50,
        }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// An endpoint is added.
    Come,
    /// It is taken away.
    Go(u64),
    /// It behaves in another way.
    Turn(u64, Mode),
}

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Well,
    /// Answers take twenty times as long.
    Slow,
    /// Answers are errors; checks notice.
    Failing,
    /// Connections are refused.
    Refusing,
    /// Nothing comes, until the client gives up; checks notice nothing.
    Hanging,
    /// Requests are answered, checks by chance.
    Flapping,
}

const MODES: [Mode; 6] =
    [Mode::Well, Mode::Slow, Mode::Failing, Mode::Refusing, Mode::Hanging, Mode::Flapping];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    End(u64),
    Check(u64),
    Tick,
    Window,
    Chance,
    Script(Trouble),
}

/// A request in flight.
struct Request {
    worker: usize,
    endpoint: u64,
    started: Instant,
    outcome: Outcome,
}

struct World<'a> {
    scenario: &'a Scenario,
    now: Instant,
    random: Random,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    event_count: u64,
    servers: BTreeMap<u64, Mode>,
    next_server: u64,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    control: Control,
    pickers: Vec<Picker>,
    roster: Vec<(u64, u32)>,
    panic: bool,
    judge: Judge,
    story: Story,
}

/// Runs it to the end; what was wrong, if anything.
pub(crate) fn run(scenario: &Scenario) -> Result<Story, String> {
    let mut world = World::new(scenario)?;
    let end = world.now + scenario.length;
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        if now >= end {
            break;
        }
        world.now = now;
        let step = world.step(event).and_then(|()| world.check());
        step.map_err(|wrong| format!("at {now:?}, {event:?}: {wrong}"))?;
    }
    Ok(world.story)
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Result<Self, String> {
        let mut world = Self {
            scenario,
            now: Instant::from_nanos(0),
            random: Random::from_seed(scenario.seed),
            events: BinaryHeap::new(),
            event_count: 0,
            servers: BTreeMap::new(),
            next_server: 0,
            requests: BTreeMap::new(),
            next_request: 0,
            control: Control::new(scenario.slow_start, scenario.panic_below),
            pickers: (0..scenario.workers)
                .map(|n| Picker::new(scenario.rule, scenario.seed ^ (n << 32)))
                .collect(),
            roster: Vec::new(),
            panic: false,
            judge: Judge::default(),
            story: Story::default(),
        };
        for _ in 0..scenario.endpoints {
            world.come();
        }
        for event in [Event::Arrival, Event::Tick, Event::Window] {
            world.plan(Duration::from_millis(1), event);
        }
        if scenario.troubles_per_second > 0.0 {
            world.plan(TICK, Event::Chance);
        }
        for (second, trouble) in &scenario.script {
            world.plan(Duration::from_secs(*second), Event::Script(*trouble));
        }
        world.publish()?;
        Ok(world)
    }

    fn plan(&mut self, wait: Duration, event: Event) {
        self.event_count += 1;
        self.events.push(Reverse((self.now + wait, self.event_count, event)));
    }

    /// A wait for something that happens so often, by chance.
    fn wait(&mut self, per_second: f64) -> Duration {
        let chance = (self.random.below(1 << 32) as f64 + 0.5) / (1_u64 << 32) as f64;
        Duration::from_secs_f64(-chance.ln() / per_second)
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Arrival => {
                let wait = self.wait(self.scenario.requests_per_second);
                self.plan(wait, Event::Arrival);
                return self.send();
            }
            Event::End(request) if !self.end(request) => return Ok(()),
            Event::End(_) => {}
            Event::Check(endpoint) => self.examine(endpoint)?,
            Event::Tick => {
                self.plan(TICK, Event::Tick);
                self.control.tick(self.now);
            }
            Event::Window => {
                self.plan(WINDOW, Event::Window);
                self.control.compare(self.now, &mut self.story);
            }
            Event::Chance => {
                let wait = self.wait(self.scenario.troubles_per_second);
                self.plan(wait, Event::Chance);
                let trouble = self.any_trouble();
                self.suffer(trouble);
            }
            Event::Script(trouble) => self.suffer(trouble),
        }
        self.publish()
    }

    /// A request arrives and goes to an endpoint.
    fn send(&mut self) -> Result<(), String> {
        // Some keys are asked for far more often than others.
        let most = self.random.below(1_000) + 1;
        let key = self.random.below(most);
        let worker = self.random.below(self.scenario.workers) as usize;
        let sums = Sums::of(&self.roster, &self.control.members);
        let Some((endpoint, overflowed)) = self.pickers[worker].pick(key, &self.control.members, self.now)
        else {
            let nobody = self.roster.is_empty();
            return if nobody { Ok(()) } else { Err("nobody is picked although somebody may be".to_owned()) };
        };
        check_pick(endpoint, &self.control.members, self.panic)?;
        let second = self.now.as_nanos() / 1_000_000_000;
        self.story.pick(second, endpoint);
        self.story.panicked += u64::from(self.panic);
        self.story.overflowed += u64::from(overflowed);
        let Some(member) = self.control.members.get_mut(&endpoint) else { return Ok(()) };
        member.in_flight += 1;
        if self.scenario.rule.is_bounded() {
            check_bound(endpoint, member.in_flight, &self.roster, &sums)?;
        }
        let (latency, outcome) = self.treat(endpoint);
        let request = self.next_request;
        self.next_request += 1;
        self.requests.insert(request, Request { worker, endpoint, started: self.now, outcome });
        self.plan(latency, Event::End(request));
        Ok(())
    }

    /// What a server makes of a request.
    fn treat(&mut self, endpoint: u64) -> (Duration, Outcome) {
        let usual = Duration::from_micros(5_000 + self.random.below(10_000));
        match self.servers.get(&endpoint) {
            Some(Mode::Well | Mode::Flapping) => (usual, Outcome::Answered),
            Some(Mode::Slow) => (usual * 20, Outcome::Answered),
            Some(Mode::Failing) => (usual / 10, Outcome::Failed),
            Some(Mode::Hanging) => (TIMEOUT, Outcome::TimedOut),
            Some(Mode::Refusing) | None => (usual / 50, Outcome::NotConnected),
        }
    }

    /// Whether an endpoint was ejected because of it.
    fn end(&mut self, request: u64) -> bool {
        let Some(Request { worker, endpoint, started, outcome }) = self.requests.remove(&request) else {
            return false;
        };
        let latency = self.now.since(started);
        if matches!(outcome, Outcome::Answered | Outcome::TimedOut) {
            self.pickers[worker].observe(endpoint, self.now, latency);
        }
        self.control.ended(endpoint, outcome, latency, self.now, &mut self.story)
    }

    /// An endpoint is checked.
    fn examine(&mut self, endpoint: u64) -> Result<(), String> {
        let Some(mode) = self.servers.get(&endpoint) else { return Ok(()) };
        let ok = match mode {
            Mode::Well | Mode::Slow | Mode::Hanging => true,
            Mode::Failing | Mode::Refusing => false,
            Mode::Flapping => self.random.below(3) > 0,
        };
        let state =
            |control: &Control| control.members.get(&endpoint).map_or(State::Unchecked, |m| m.health.state());
        let before = state(&self.control);
        let changed = self.control.checked(endpoint, ok, self.now);
        let after = state(&self.control);
        self.judge.check_health(endpoint, before, ok, after)?;
        self.story.turned += u64::from(changed.is_some() && before != State::Unchecked);
        self.story.contradicted += u64::from(ok != (before == State::Up));
        let health = self.control.members.get(&endpoint).map_or(Health::new(), |member| member.health);
        let wait = health.next_in(&HEALTH, self.random.next_u64());
        self.plan(wait, Event::Check(endpoint));
        Ok(())
    }

    fn any_trouble(&mut self) -> Trouble {
        let ids: Vec<u64> = self.servers.keys().copied().collect();
        let endpoint = ids[self.random.below(ids.len() as u64) as usize];
        match self.random.below(10) {
            0 | 1 if ids.len() < ENDPOINTS.1 => Trouble::Come,
            2 | 3 if ids.len() > ENDPOINTS.0 => Trouble::Go(endpoint),
            // Nobody stays in trouble for ever.
            4..=6 => Trouble::Turn(endpoint, Mode::Well),
            _ => Trouble::Turn(endpoint, MODES[self.random.below(MODES.len() as u64) as usize]),
        }
    }

    fn suffer(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Come => {
                let endpoint = self.come();
                self.control.start_slowly(endpoint, self.now);
            }
            Trouble::Go(endpoint) => {
                self.servers.remove(&endpoint);
                if let Some(gone) = self.control.remove(endpoint, self.now) {
                    self.story.gone += 1;
                    self.story.gone_busy += u64::from(gone.in_flight > 0);
                }
            }
            Trouble::Turn(endpoint, mode) => {
                if let Some(server) = self.servers.get_mut(&endpoint) {
                    *server = mode;
                }
            }
        }
    }

    fn come(&mut self) -> u64 {
        let endpoint = self.next_server;
        self.next_server += 1;
        let (weight, priority) = match self.scenario.tiers {
            1 => (1, 0),
            tiers => (self.random.below(4) as u32 + 1, self.random.below(tiers) as u8),
        };
        self.servers.insert(endpoint, Mode::Well);
        self.control.members.insert(endpoint, Member::new(weight, priority));
        self.plan(Duration::from_millis(1), Event::Check(endpoint));
        self.story.came += 1;
        endpoint
    }

    /// Tells the picker who may be picked now.
    fn publish(&mut self) -> Result<(), String> {
        let (selection, roster) = self.control.select(self.now);
        self.panic = selection.panic;
        if roster != self.roster {
            self.roster.clone_from(&roster);
            for picker in &mut self.pickers {
                picker.change(roster.clone(), &self.control.members)?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        check_ejected(&self.control)?;
        // All of it costs more than the rest of a step.
        if self.event_count.is_multiple_of(16) {
            let outstanding = self.requests.values().map(|request| request.endpoint);
            check_in_flight(&self.control.members, outstanding)?;
        }
        Ok(())
    }
}
