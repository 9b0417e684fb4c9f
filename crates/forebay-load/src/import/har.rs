//! HAR files (1.2), as browsers and proxies save them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::error::Category;

use super::redact::redact;
use super::{Gather, Imported, Options, Refused, check_size, time, url};
use crate::base64;
use crate::recording::{Payload, Request};

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    request: Asked,
    /// Browsers say so where no request was made.
    #[serde(default, rename = "_fromCache")]
    from_cache: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default)]
    post_data: Option<Post>,
    #[serde(default)]
    body_size: Option<i64>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
    /// `base64` where a text cannot hold the body.
    #[serde(default)]
    encoding: Option<String>,
}

/// Reads a HAR file; requests keep their distance in time. Cookies, credentials and secrets in queries are
/// redacted unless `options` says otherwise.
///
/// # Errors
/// If the text is no HAR; every request that cannot be sent again; hosts that differ unless one is chosen.
pub fn parse(text: &str, options: &Options) -> Result<Imported, Refused> {
    check_size(text.len())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let File { log } = serde_json::from_str(text).map_err(|error| Refused::from(not_har(&error)))?;
    let mut gather = Gather::new(options, "HAR file");
    let (mut cached, mut other, mut redacted, mut bodies) = (0, 0, 0, 0);
    let times: Vec<_> = log.entries.iter().map(|entry| time::rfc3339(&entry.started_date_time)).collect();
    let start = times.iter().flatten().min().copied().unwrap_or_default();
    for ((number, entry), at) in (1..).zip(log.entries).zip(times) {
        let named =
            |what: &str| format!("entry {number} ({} {}): {what}", entry.request.method, entry.request.url);
        if entry.from_cache.is_some() {
            cached += 1;
            continue;
        }
        if !entry.request.url.starts_with("http:") && !entry.request.url.starts_with("https:") {
            other += 1;
            continue;
        }
        let (at, url) = match (at, url::parse(&entry.request.url)) {
            (Some(at), Ok(url)) => (Duration::from_micros((at - start).unsigned_abs()), url),
            (None, _) => {
                gather.problems.add(named(&format!("`{}` is not a time", entry.started_date_time)));
                continue;
            }
            (_, Err(error)) => {
                gather.problems.add(named(&error));
                continue;
            }
        };
        if !gather.wants(&url.scheme, &url.host) {
            continue;
        }
        let body = match body(&entry.request) {
            Ok(body) => body,
            Err(what) => {
                gather.problems.add(named(&what));
                continue;
            }
        };
        bodies += usize::from(body != Payload::default());
        let headers = entry.request.headers.iter();
        let headers =
            headers.map(|pair| (pair.name.clone(), pair.value.clone().unwrap_or_default())).collect();
        let method = entry.request.method.clone();
        let mut request = Request { method, target: url.target, host: url.host, headers, body };
        if !options.secrets && redact(&mut request) {
            redacted += 1;
        }
        request.keep_headers();
        if let Err(error) = gather.recording.push(at, request) {
            gather.problems.add(named(&error.what));
        }
    }
    for (count, what) in [
        (cached, "requests that a browser answered from its cache were left out"),
        (other, "entries that are not http or https were left out"),
        (redacted, "requests had cookies or credentials, which were redacted"),
        (bodies, "requests have bodies, which are kept as they are, secrets in them too"),
    ] {
        if count > 0 {
            gather.note(format!("{count} {what}"));
        }
    }
    gather.finish()
}

/// Why it is none, without what the reader calls its own parts.
fn not_har(error: &serde_json::Error) -> String {
    let at = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            let said = error.to_string();
            // `missing field` names the file's own words; the others name ours.
            let missing = said.split(" at line").next().filter(|said| said.starts_with("missing field"));
            let what = missing.unwrap_or("something else stands where HAR has an object, a list or a text");
            format!("this is not a HAR file, which is JSON with `log.entries`: {what}, {at}")
        }
        _ => format!("this is not a HAR file, which is JSON: it cannot be read from {at} on"),
    }
}

fn body(request: &Asked) -> Result<Payload, String> {
    let Some(Post { mime_type, text, params, encoding }) = &request.post_data else {
        return Ok(match request.body_size {
            Some(bytes @ 1..) => Payload::Omitted(bytes.unsigned_abs()),
            _ => Payload::default(),
        });
    };
    match (text, encoding.as_deref()) {
        (Some(text), Some("base64")) => {
            base64::decode(text).map(Payload::Kept).ok_or_else(|| "the body is not base64".to_owned())
        }
        (Some(_), Some(other)) => Err(format!("the body is encoded as `{other}`")),
        (Some(text), None) if !text.is_empty() || params.is_empty() => {
            Ok(Payload::Kept(text.clone().into_bytes()))
        }
        _ if mime_type.starts_with("application/x-www-form-urlencoded") => Ok(Payload::Kept(form(params))),
        _ if params.is_empty() => Ok(Payload::default()),
        _ => Err(format!("a body of `{mime_type}` is not in the file")),
    }
}

/// Parameters as HAR has them: decoded in most tools' files, so they are encoded again.
fn form(params: &[Pair]) -> Vec<u8> {
    let pairs: Vec<_> = params
        .iter()
        .map(|pair| {
            format!(
                "{}={}",
                super::yaml::form(&pair.name),
                super::yaml::form(pair.value.as_deref().unwrap_or_default())
            )
        })
        .collect();
    pairs.join("&").into_bytes()
}
