//! Cookies of the gateway's own: finding one among a client's, and giving one.

use std::time::Duration;

use forebay_net::h1::{Field, RequestHead};

/// The value of the first cookie of this name (RFC 6265 §4.2); surrounding quotes are not part of it.
pub(crate) fn find<'h>(request: &RequestHead, head: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let is_cookie = |field: &&Field| field.name.of_head(head).eq_ignore_ascii_case(b"cookie");
    request.fields.iter().filter(is_cookie).find_map(|field| of_pairs(field.value.of_head(head), name))
}

fn of_pairs<'h>(pairs: &'h [u8], name: &str) -> Option<&'h [u8]> {
    pairs.split(|byte| *byte == b';').find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// Appends a `Set-Cookie` line for the whole site, out of reach of scripts. `name` and `value` are cookie text.
pub(crate) fn set(lines: &mut Vec<u8>, name: &str, value: &str, max_age: Option<Duration>) {
    lines.extend_from_slice(b"Set-Cookie: ");
    lines.extend_from_slice(name.as_bytes());
    lines.push(b'=');
    lines.extend_from_slice(value.as_bytes());
    lines.extend_from_slice(b"; Path=/; HttpOnly; SameSite=Lax");
    if let Some(max_age) = max_age {
        lines.extend_from_slice(b"; Max-Age=");
        lines.extend_from_slice(max_age.as_secs().max(1).to_string().as_bytes());
    }
    lines.extend_from_slice(b"\r\n");
}

/// Removes the line that `set` appended for this name, if there is one.
pub(crate) fn take_back(lines: &mut Vec<u8>, name: &str) {
    let start = format!("Set-Cookie: {name}=");
    let others: Vec<u8> = lines
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(start.as_bytes()))
        .flatten()
        .copied()
        .collect();
    *lines = others;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        for (pairs, expected) in [
            ("a=1", Some("1")),
            ("b=2; a=1", Some("1")),
            ("b=2;a=1;a=3", Some("1")),
            ("a=\"1\"", Some("1")),
            ("a=", Some("")),
            ("aa=1; xa=2", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(of_pairs(pairs.as_bytes(), "a"), expected.map(str::as_bytes), "{pairs}");
        }
    }

    #[test]
    fn a_cookie_lasts_at_least_a_second() {
        let mut lines = Vec::new();
        set(&mut lines, "a", "1", None);
        set(&mut lines, "b", "2", Some(Duration::from_millis(10)));
        let expected = "Set-Cookie: a=1; Path=/; HttpOnly; SameSite=Lax\r\n\
                        Set-Cookie: b=2; Path=/; HttpOnly; SameSite=Lax; Max-Age=1\r\n";
        assert_eq!(lines, expected.as_bytes());
    }
}
