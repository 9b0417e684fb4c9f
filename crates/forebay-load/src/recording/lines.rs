//! The lines of a recording, read and written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FIELDS_MAX, LINE_BYTES_MAX, Payload, Recording, Request};
use crate::base64;

/// Version of the format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct First {
    forebay_recording: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_unix_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<f64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    at_us: u64,
    method: String,
    target: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    host: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default)]
    body_bytes: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    body_omitted: bool,
}

/// Takes one line into `recording`; the first one is about the recording itself.
pub(super) fn read(line: &[u8], begun: bool, recording: &mut Recording) -> Result<(), String> {
    if line.len() > LINE_BYTES_MAX {
        if !begun {
            return Err(format!("it has {} bytes; at most {LINE_BYTES_MAX} are read", line.len()));
        }
        recording.skipped.long += 1;
        return Ok(());
    }
    let line = line.trim_ascii();
    if !begun {
        return read_first(line, recording);
    }
    if line.is_empty() {
        return Ok(());
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| column(&error))?;
    let Line { at_us, method, target, host, headers, body, body_bytes, body_omitted } = line;
    let body = match body {
        Some(text) => Payload::Kept(base64::decode(&text).ok_or("`body` is not base64")?),
        None if body_omitted => Payload::Omitted(body_bytes),
        None => Payload::default(),
    };
    let mut request = Request { method, target, host, headers, body };
    request.keep_headers();
    if request.headers.len() > FIELDS_MAX {
        recording.skipped.fields += 1;
        return Ok(());
    }
    recording.push(Duration::from_micros(at_us), request).map_err(|error| error.what)
}

fn read_first(line: &[u8], recording: &mut Recording) -> Result<(), String> {
    let none = "this is not a recording: its first line begins with {\"forebay_recording\":1";
    let first: First = serde_json::from_slice(line).map_err(|_| none)?;
    let First { forebay_recording, started_unix_ms, sample, note } = first;
    if forebay_recording != VERSION {
        return Err(format!("it is of version {forebay_recording}; version {VERSION} is read"));
    }
    recording.started_unix_ms = started_unix_ms;
    recording.sample = sample;
    recording.note = note;
    Ok(())
}

/// Whether the line is the beginning of one.
pub(super) fn is_cut(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// The line about the recording itself.
pub(super) fn first(recording: &Recording) -> Vec<u8> {
    let Recording { started_unix_ms, sample, note, .. } = recording;
    let first = First {
        forebay_recording: VERSION,
        started_unix_ms: *started_unix_ms,
        sample: *sample,
        note: note.clone(),
    };
    let mut out = Vec::new();
    append(&first, &mut out);
    out
}

/// Appends the line of one request.
pub(super) fn request(at: Duration, request: &Request, out: &mut Vec<u8>) {
    let Request { method, target, host, headers, body } = request.clone();
    let (body, body_bytes, body_omitted) = match body {
        Payload::Kept(body) => ((!body.is_empty()).then(|| base64::encode(&body)), body.len() as u64, false),
        Payload::Omitted(bytes) => (None, bytes, true),
    };
    let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
    append(&Line { at_us, method, target, host, headers, body, body_bytes, body_omitted }, out);
}

fn append(line: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, line).expect("a vector takes everything, and all keys are texts");
    out.push(b'\n');
}

/// The error without its line, which is always the first.
fn column(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("column {column}: {what}"),
        None => text,
    }
}
