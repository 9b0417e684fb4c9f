//! One user at work: the steps of a scenario, one after another.

mod websocket;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::link::Link;
use forebay_net::wheel::Alarm;

use crate::answer::Answer;
use crate::arrival::choices;
use crate::client::{self, Failure, Kept, Message, Progress};
use crate::dial::{self, Dialled, Securing};
use crate::expect;
use crate::lanes::{Lanes, Lease, Opening, Turn};
use crate::outcome::ErrorKind;
use crate::plan::{Grpc, Kind, When};
use crate::prepare::{Ready, Request};
use crate::recorder::{Ending, Started, Times};
use crate::scope::Variables;
use crate::worker::{Task, Worker};

/// A user: a connection, if it has one, and what it knows.
pub(crate) struct User {
    worker: Rc<Worker>,
    alarm: Alarm,
    link: Option<Link>,
    number: u64,
    /// Made when a step first needs it: most plans have requests that are always the same.
    own: Option<Box<Own>>,
}

/// What only users of plans with values and conditions need.
struct Own {
    variables: Variables,
    scratch: Vec<u8>,
    request: Vec<u8>,
    kept: Kept,
}

/// What came of a run of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It was answered, as expected or not.
    Answered,
    /// Its last request was not answered; perhaps nothing was waited for.
    Unanswered,
    /// A feeder has no more rows.
    Exhausted,
}

/// Whether a scenario goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Next,
    /// It makes no sense without what the step was to give.
    Stop,
    /// There was no answer.
    Unanswered,
}

/// What a request goes over.
enum Carrier<'a> {
    /// A connection of its own.
    Link(Link),
    /// A part of a connection.
    Lease(Lease<'a>),
}

impl User {
    pub(crate) fn new(worker: &Rc<Worker>, number: usize) -> Self {
        Self {
            worker: Rc::clone(worker),
            alarm: worker.wheel.alarm(),
            link: None,
            number: number as u64,
            own: None,
        }
    }

    /// Runs a scenario. Its first step has been counted as planned already.
    pub(crate) async fn run(&mut self, task: Task) -> Ran {
        let worker = Rc::clone(&self.worker);
        let Some(scenario) = worker.shared.prepared.scenarios.get(task.scenario) else {
            return Ran::Exhausted;
        };
        let fed = self.begin(task);
        for (index, step) in scenario.steps.iter().enumerate() {
            let now = worker.now();
            let started = if index == 0 {
                Started { series: step.series, planned: task.planned, at: now }
            } else {
                // Later steps have no instant of their own in the plan: they start when the user gets there.
                worker.recorder.borrow_mut().plan(step.series, now);
                Started { series: step.series, planned: now, at: now }
            };
            worker.recorder.borrow_mut().start(started, task.free && index == 0);
            if !fed {
                let tell = || "a feeder has no more rows".to_owned();
                worker.recorder.borrow_mut().example(started, ErrorKind::Template, tell);
                self.settle(started, Times::default(), Ending::Error(ErrorKind::Template), worker.now());
                return Ran::Exhausted;
            }
            let then = match &step.step.kind {
                Kind::WebSocket(asked) => Box::pin(self.converse(step, asked, started)).await,
                Kind::Http | Kind::Grpc(_) => self.step(step, started).await,
            };
            match then {
                Then::Next => {}
                Then::Stop => return Ran::Answered,
                Then::Unanswered => return Ran::Unanswered,
            }
            let last = index + 1 == scenario.steps.len();
            if !(last && worker.shared.plan.is_open()) {
                self.think(step).await;
            }
            if !last && worker.is_over() {
                return Ran::Answered;
            }
        }
        Ran::Answered
    }

    /// Forgets the last run and takes rows from feeders; `false`: one has no more.
    fn begin(&mut self, task: Task) -> bool {
        let shared = &self.worker.shared;
        if shared.prepared.plain {
            return true;
        }
        let number = self.number;
        let Own { variables, .. } = &mut **self.own.get_or_insert_with(|| Own::new(shared, number));
        variables.begin(task.index, shared.started + task.planned);
        *variables.random() = choices(shared.plan.seed, task.index);
        // The first choice was that of the scenario.
        let _ = variables.random().next_u64();
        shared.plan.feeders.iter().all(|feeder| feeder.feed(task.index, variables))
    }

    /// One request and its answer, counted.
    async fn step(&mut self, step: &Ready, started: Started) -> Then {
        let mut times = Times::default();
        let mut own = self.own.take();
        // Without an answer, or without what it was to give, the next step makes no sense.
        let exchange = self.exchange(step, started, own.as_deref_mut(), &mut times).await;
        let now = self.worker.now();
        // Deadlines are looked at every few milliseconds: what came after its time came too late all the same.
        let late = now > started.at.saturating_add(step.timeout);
        let (ending, then) = match exchange {
            Ok(_) if late => (Ending::Timeout, Then::Unanswered),
            Ok(Some(wrong)) => (Ending::Error(wrong), Then::Next),
            Ok(None) => judge(step, own.as_deref_mut(), times.status),
            Err(Failure::Timeout) => (Ending::Timeout, Then::Unanswered),
            Err(Failure::Error(kind)) => (Ending::Error(kind), Then::Unanswered),
        };
        if let (Ending::Error(kind), Some(own), Some(status)) = (ending, own.as_deref(), times.status)
            && step.keeps
        {
            let tell = || own.explain(step, kind, status);
            self.worker.recorder.borrow_mut().example(started, kind, tell);
        }
        self.own = own;
        self.settle(started, times, ending, now);
        then
    }

    /// Sends the request and reads the answer; the connection is kept if it may be. Returns what is wrong with the
    /// answer where its protocol says so.
    async fn exchange(
        &mut self,
        step: &Ready,
        started: Started,
        mut own: Option<&mut Own>,
        times: &mut Times,
    ) -> Result<Option<ErrorKind>, Failure> {
        let worker = Rc::clone(&self.worker);
        let until = worker.shared.start + started.at + step.timeout;
        let deadline = || until.min(worker.cut());
        if let (Request::Rendered(parts), Some(own)) = (&step.request, own.as_deref_mut()) {
            let rendered = parts.render(&mut own.variables, &mut own.scratch, &mut own.request);
            rendered.map_err(|fault| {
                let mut recorder = worker.recorder.borrow_mut();
                recorder.example(started, ErrorKind::Template, || fault.to_string());
                Failure::Error(ErrorKind::Template)
            })?;
        }
        // A connection on which something has arrived since is at its end: the server has closed it.
        let carrier = match self.link.take().filter(Link::is_quiet) {
            Some(link) => Carrier::Link(link),
            None => match &worker.lanes {
                None => Carrier::Link(self.connect(started, times, deadline).await?.link),
                Some(lanes) => self.board(lanes, started, times, deadline).await?,
            },
        };
        let (bytes, kept): (&[u8], _) = match (&step.request, own) {
            (Request::Bytes(bytes), own) => (bytes, own.map(|own| &mut own.kept)),
            (Request::Rendered(_), Some(own)) => (&own.request, Some(&mut own.kept)),
            (Request::Rendered(_), None) => return Err(Failure::Error(ErrorKind::Template)),
        };
        let grpc = match step.step.kind {
            Kind::Grpc(grpc) => Some(grpc),
            Kind::Http | Kind::WebSocket(_) => None,
        };
        let message = Message { bytes, head_only: step.head_only, grpc: grpc.is_some() };
        let kept = kept.filter(|_| step.keeps);
        let progress = Progress::default();
        let (reading, alarm) = (&worker.reading, &self.alarm);
        let answer = match &carrier {
            Carrier::Link(_) if message.grpc => {
                progress.why.replace("calls need HTTP/2, and the server speaks HTTP/1.1".to_owned());
                Err(Failure::Error(ErrorKind::Protocol))
            }
            Carrier::Link(link) => {
                client::exchange(link, message, reading, &progress, kept, alarm, deadline).await
            }
            Carrier::Lease(lease) => {
                let stream = lease.stream();
                client::exchange_over(stream, message, reading, &progress, kept, alarm, deadline).await
            }
        };
        times.first_byte = progress.first_byte.get().map(|at| at.since(worker.shared.start));
        times.bytes_in = progress.bytes_in.get();
        times.bytes_out = progress.bytes_out.get();
        let answer = answer.inspect_err(|failure| self.tell(started, *failure, &progress))?;
        times.status = Some(answer.status);
        if let Carrier::Link(link) = carrier
            && answer.keep
            && worker.shared.plan.keep_alive
        {
            self.link = Some(link);
        }
        Ok(grpc.and_then(|grpc| self.judge_call(started, grpc, answer.status, &progress)))
    }

    /// Finds a request its way, where requests may share connections.
    async fn board<'a>(
        &self,
        lanes: &'a Lanes,
        started: Started,
        times: &mut Times,
        deadline: impl Fn() -> Instant,
    ) -> Result<Carrier<'a>, Failure> {
        match lanes.turn(&self.alarm, &deadline).await? {
            Turn::Stream(lease) => Ok(Carrier::Lease(lease)),
            Turn::Single => Ok(Carrier::Link(self.connect(started, times, deadline).await?.link)),
            Turn::Open(opening) => Box::pin(self.open_lane(opening, started, times, deadline)).await,
        }
    }

    /// Opens a connection that others may share, if both sides agree to it.
    async fn open_lane<'a>(
        &self,
        opening: Opening<'a>,
        started: Started,
        times: &mut Times,
        deadline: impl Fn() -> Instant,
    ) -> Result<Carrier<'a>, Failure> {
        let Dialled { link, secured } = self.connect(started, times, deadline).await?;
        let plan = &self.worker.shared.plan;
        let agreed = Dialled::speaks_http2(secured.as_ref(), plan.http2.when);
        if !agreed && plan.http2.when == When::On {
            let tell = || "the server did not agree to HTTP/2".to_owned();
            self.worker.recorder.borrow_mut().example(started, ErrorKind::Protocol, tell);
            return Err(Failure::Error(ErrorKind::Protocol));
        }
        if agreed {
            return opening.shared(link, &self.worker).map(Carrier::Lease);
        }
        opening.single();
        Ok(Carrier::Link(link))
    }

    /// Opens a connection for requests, and notes what it took and what is spoken over it.
    async fn connect(
        &self,
        started: Started,
        times: &mut Times,
        deadline: impl Fn() -> Instant,
    ) -> Result<Dialled, Failure> {
        let plan = &self.worker.shared.plan;
        let tls = plan.target.tls.as_deref();
        let securing = tls.map(|tls| Securing { client: &tls.client, host: &tls.host });
        let dialled = self.dial(securing, started, times, deadline).await?;
        let http2 = Dialled::speaks_http2(dialled.secured.as_ref(), plan.http2.when);
        self.worker.recorder.borrow_mut().protocols.insert(dialled.protocol(http2));
        Ok(dialled)
    }

    /// Opens a connection to the next address that accepts one.
    async fn dial(
        &self,
        securing: Option<Securing<'_>>,
        started: Started,
        times: &mut Times,
        deadline: impl Fn() -> Instant,
    ) -> Result<Dialled, Failure> {
        let from = Instant::now();
        let mut left = self.worker.addresses();
        loop {
            left -= 1;
            match dial::dial(self.worker.address(), securing, &self.alarm, &deadline).await {
                Err(refused) if refused.is_of_address() && left > 0 => {}
                Err(dial::Refused { failure, why }) => {
                    if let (Failure::Error(kind), Some(why)) = (failure, why) {
                        self.worker.recorder.borrow_mut().example(started, kind, || why);
                    }
                    return Err(failure);
                }
                Ok(dialled) => {
                    times.connect = Some(Instant::now().since(from));
                    times.handshake = dialled.secured.as_ref().map(|(took, _)| *took);
                    self.worker.recorder.borrow_mut().resumed += u64::from(dialled.is_resumed());
                    return Ok(dialled);
                }
            }
        }
    }

    /// What is wrong with how a call of gRPC ended.
    fn judge_call(
        &self,
        started: Started,
        grpc: Grpc,
        status: u16,
        progress: &Progress,
    ) -> Option<ErrorKind> {
        let end = progress.grpc.borrow();
        let (kind, why) = match end.status {
            Some(status) if status == u32::from(grpc.status) => return None,
            Some(0) => (ErrorKind::Check, format!("grpc-status {} was expected; it is 0", grpc.status)),
            Some(number) => (ErrorKind::of_grpc(number), format!("grpc-status {number} {}", end.message)),
            None if status == 200 => (ErrorKind::Protocol, "there is no grpc-status".to_owned()),
            None => (ErrorKind::Status, format!("the answer has status {status} and no grpc-status")),
        };
        self.worker.recorder.borrow_mut().example(started, kind, || why.trim_end().to_owned());
        Some(kind)
    }

    /// Why there is no answer, as an example of its kind, where there is more to say.
    fn tell(&self, started: Started, failure: Failure, progress: &Progress) {
        let why = progress.why.take();
        if let Failure::Error(kind) = failure
            && !why.is_empty()
        {
            self.worker.recorder.borrow_mut().example(started, kind, || why);
        }
    }

    fn settle(&self, started: Started, times: Times, ending: Ending, now: Duration) {
        self.worker.recorder.borrow_mut().settle(started, times, ending, now);
    }

    /// The pause after a step.
    async fn think(&mut self, step: &Ready) {
        let (least, most) = step.think;
        if most.is_zero() {
            return;
        }
        let spread = u64::try_from((most.saturating_sub(least)).as_nanos()).unwrap_or(u64::MAX);
        let more = match &mut self.own {
            Some(own) if spread > 0 => own.variables.random().below(spread.saturating_add(1)),
            _ => 0,
        };
        let until = Instant::now() + least + Duration::from_nanos(more);
        self.worker.sleep(&self.alarm, until).await;
    }
}

impl Own {
    fn new(shared: &crate::worker::Shared, number: u64) -> Box<Self> {
        let random = choices(shared.plan.seed, number);
        Box::new(Self {
            variables: Variables::new(Arc::clone(&shared.prepared.variables), number, random),
            scratch: Vec::new(),
            request: Vec::new(),
            kept: Kept::default(),
        })
    }
}

impl Own {
    /// What was wrong with the answer that was just judged, for people.
    fn explain(&self, step: &Ready, kind: ErrorKind, status: u16) -> String {
        let Kept { head, parsed, body, body_bytes } = &self.kept;
        let answer = Answer::h1(parsed, head, body, *body_bytes);
        match kind {
            ErrorKind::Capture => {
                let missing = step.step.capture.iter().find(|capture| capture.take(&answer).is_none());
                let name = missing.map_or("", |capture| &capture.name);
                format!("`{name}` was not found; {}", expect::begins(answer.body()))
            }
            ErrorKind::BodyTooLong => {
                format!("the body has {body_bytes} bytes, of which {} are looked at", body.len())
            }
            _ => expect::explain(&step.step.expect, &answer)
                .unwrap_or_else(|| format!("a status below 400 was expected; it is {status}")),
        }
    }
}

/// What an answer is worth; takes from it what later steps need.
fn judge(step: &Ready, own: Option<&mut Own>, status: Option<u16>) -> (Ending, Then) {
    let Some(own) = own.filter(|_| step.keeps) else {
        return match status {
            Some(..400) => (Ending::Ok, Then::Next),
            _ => (Ending::Error(ErrorKind::Status), Then::Next),
        };
    };
    let Own { variables, kept: Kept { head, parsed, body, body_bytes }, .. } = own;
    let answer = Answer::h1(parsed, head, body, *body_bytes);
    let expected = expect::check_all(&step.step.expect, &answer);
    for capture in &step.step.capture {
        match capture.take(&answer) {
            Some(value) => variables.set(&capture.name, &value),
            // A wrong answer explains why something is not in it.
            None => {
                let kind = expected.err().unwrap_or(ErrorKind::Capture);
                return (Ending::Error(unless_cut(kind, *body_bytes, body)), Then::Stop);
            }
        }
    }
    let ending = expected.map_err(|kind| unless_cut(kind, *body_bytes, body));
    (ending.map_or_else(Ending::Error, |()| Ending::Ok), Then::Next)
}

/// What is not in the part of a body that was kept may be in the rest.
fn unless_cut(kind: ErrorKind, bytes: u64, kept: &[u8]) -> ErrorKind {
    let cut = bytes > kept.len() as u64 && matches!(kind, ErrorKind::Check | ErrorKind::Capture);
    if cut { ErrorKind::BodyTooLong } else { kind }
}
