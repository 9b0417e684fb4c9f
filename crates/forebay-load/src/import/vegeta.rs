//! Targets of Vegeta, as text or as JSON lines.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::redact::redact;
use super::{Gather, Imported, Options, Refused, TARGETS_MAX, check_size, url};
use crate::base64;
use crate::recording::{Payload, Request};

/// A target of the JSON form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    method: String,
    url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    header: Option<BTreeMap<String, Vec<String>>>,
}

/// Reads targets; they are sent at the pace of `options`. Cookies, credentials and secrets in queries are redacted
/// unless `options` says otherwise. Bodies in files (`@name`) are asked of `body_file`.
///
/// # Errors
/// Every line that is none of a target, and hosts that differ unless one is chosen.
pub fn parse(
    text: &str,
    options: &Options,
    body_file: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Imported, Refused> {
    check_size(text.len())?;
    let gather = Gather::new(options, "Vegeta targets");
    let mut reader = Reader { gather, requests: Vec::new(), open: None, body_file };
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let json = first.is_some_and(|line| line.starts_with('{'));
    for (number, line) in text.lines().enumerate() {
        if json {
            reader.json(number + 1, line.trim())
        } else {
            reader.text(number + 1, line.trim())
        }
        if reader.requests.len() > TARGETS_MAX {
            reader.gather.problems.at(number + 1, format!("there are more than {TARGETS_MAX} targets"));
            break;
        }
    }
    reader.close();
    let Reader { mut gather, mut requests, .. } = reader;
    if !options.secrets {
        let redacted = requests.iter_mut().filter_map(|(_, request)| redact(request).then_some(())).count();
        if redacted > 0 {
            gather.note(format!("{redacted} requests had cookies or credentials, which were redacted"));
        }
    }
    gather.paced(&requests);
    gather.finish()
}

struct Reader<'o, 'f> {
    gather: Gather<'o>,
    requests: Vec<(usize, Request)>,
    /// The target whose headers and body may follow, and the line it began on.
    open: Option<(usize, Request)>,
    body_file: &'f mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
}

impl Reader<'_, '_> {
    fn json(&mut self, number: usize, line: &str) {
        if line.is_empty() {
            return;
        }
        let Target { method, url, body, header } = match serde_json::from_str(line) {
            Ok(target) => target,
            Err(error) => return self.gather.problems.at(number, format!("this is not a target: {error}")),
        };
        let body = match base64::decode(body.as_deref().unwrap_or_default()) {
            Some(body) => Payload::Kept(body),
            None => return self.gather.problems.at(number, "`body` is not base64"),
        };
        let headers = header
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
            .collect();
        self.begin(number, &method, &url);
        if let Some((_, request)) = &mut self.open {
            request.headers = headers;
            request.body = body;
        }
        self.close();
    }

    fn text(&mut self, number: usize, line: &str) {
        if line.starts_with('#') {
            return;
        }
        if line.is_empty() {
            return self.close();
        }
        if let Some((method, address)) = request_line(line) {
            self.close();
            return self.begin(number, method, address);
        }
        let Some((_, request)) = &mut self.open else {
            let what = "this is not a target, which begins with a method and a URL: `GET http://shop.test/`";
            return self.gather.problems.at(number, what);
        };
        if let Some(file) = line.strip_prefix('@') {
            match (self.body_file)(file) {
                Ok(body) => request.body = Payload::Kept(body),
                Err(error) => self.gather.problems.at(number, format!("cannot read `{file}`: {error}")),
            }
        } else if let Some((name, value)) = line.split_once(':') {
            request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            self.gather.problems.at(number, "this is not a header (`name: value`), a `@file` or a target");
        }
    }

    fn begin(&mut self, number: usize, method: &str, address: &str) {
        match url::parse(address) {
            Ok(url) if self.gather.wants(&url.scheme, &url.host) => {
                let request = Request {
                    method: method.to_owned(),
                    target: url.target,
                    host: url.host,
                    ..Request::default()
                };
                self.open = Some((number, request));
            }
            // Its headers and body are read, and left out with it.
            Ok(_) => self.open = Some((0, Request::default())),
            Err(error) => {
                self.gather.problems.at(number, error);
                self.open = Some((0, Request::default()));
            }
        }
    }

    fn close(&mut self) {
        let Some((number, mut request)) = self.open.take() else { return };
        if number == 0 {
            return;
        }
        // A `Host` header names the host, whatever the URL says.
        if let Some((_, host)) = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.host.clone_from(host);
        }
        self.requests.push((number, request));
    }
}

/// `GET http://shop.test/`: a header has a colon in its first word.
fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, address) = line.split_once(char::is_whitespace)?;
    let address = address.trim_start();
    let is_method =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    (is_method && (address.contains("://") || address.starts_with('/'))).then_some((method, address))
}
