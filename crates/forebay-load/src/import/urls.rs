//! A list of URLs, one on each line, a method before it if it is not GET.

use crate::recording::Request;

use super::{Gather, Imported, Options, Refused, TARGETS_MAX, check_size, url};

/// Reads lines such as `http://shop.test/a`, `POST http://shop.test/b` or `/c`; `#` begins a comment. They are
/// sent at the pace of `options`.
///
/// # Errors
/// Every line that is no URL, and hosts that differ unless one is chosen.
pub fn parse(text: &str, options: &Options) -> Result<Imported, Refused> {
    check_size(text.len())?;
    let mut gather = Gather::new(options, "URL list");
    let mut requests = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if requests.len() == TARGETS_MAX {
            gather.problems.at(number + 1, format!("there are more than {TARGETS_MAX} requests"));
            break;
        }
        let (method, address) = line.split_once(char::is_whitespace).unwrap_or(("GET", line));
        match url::parse(address.trim()) {
            Ok(url) if gather.wants(&url.scheme, &url.host) => {
                let request = Request {
                    method: method.to_owned(),
                    target: url.target,
                    host: url.host,
                    ..Request::default()
                };
                requests.push((number + 1, request));
            }
            Ok(_) => {}
            Err(error) => gather.problems.at(number + 1, error),
        }
    }
    gather.paced(&requests);
    gather.finish()
}
