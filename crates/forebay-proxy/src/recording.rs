//! Requests picked to be written down: their heads as clients sent them, and their bodies as they pass by.

use forebay_net::h1::{Framing, Name};
use forebay_telemetry::recording::{Head, Sink};

use crate::exchange::{Record, Scratch};

/// Begins to record a request of `route`, if its turn has come. `head` is the request head's bytes.
#[cold]
#[inline(never)]
pub(crate) fn begin(record: &Record<'_>, sink: &Sink, route: usize, scratch: &Scratch, head: &[u8]) {
    let chosen = record.active.plan.record.as_ref().is_some_and(|settings| settings.wants(route));
    if !chosen || !sink.picks() {
        return;
    }
    let request = &scratch.request;
    let body_len = match request.framing {
        Framing::None => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::UntilClose => None,
    };
    let fields = request.fields.iter().filter(|field| !field.hop_by_hop && !is_remade(field.known));
    let fields = fields.map(|field| (field.name.of_head(head), field.value.of_head(head)));
    let line = Head {
        arrived: record.started,
        method: request.method.of_head(head),
        target: scratch.target.path_and_query(),
        host: &scratch.host,
        port: scratch.port,
        body_len,
    };
    record.tape.set(sink.open(&line, fields).map(Box::new));
}

/// A piece of the body has come; or nothing, and it has only ended.
#[cold]
#[inline(never)]
pub(crate) fn take(record: &Record<'_>, sink: &Sink, data: &[u8], end: bool) {
    let Some(mut tape) = record.tape.take() else { return };
    tape.take(data);
    if end {
        sink.close(*tape, true);
    } else {
        record.tape.set(Some(tape));
    }
}

/// No more of the body will be read.
#[cold]
#[inline(never)]
pub(crate) fn end(record: &Record<'_>, sink: &Sink) {
    if let Some(tape) = record.tape.take() {
        sink.close(*tape, false);
    }
}

/// Whoever sends the request again writes this field anew, from what else the recording says.
fn is_remade(name: Name) -> bool {
    matches!(name, Name::Host | Name::ContentLength | Name::Expect | Name::Trailer)
}
