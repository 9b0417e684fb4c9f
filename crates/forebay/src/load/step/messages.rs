//! Steps that are more than a request: calls of gRPC, and messages over a WebSocket.

use std::time::Duration;

use forebay_base::base64;
use forebay_load::plan::{Body, Echo, Grpc, Kind, Step, WebSocket};
use forebay_load::template::Template;

use super::super::files;
use super::super::lower::{Lower, texts};
use super::super::names::Names;
use super::{Usual, body_of, filled, headers_of, think};
use crate::config::problems::Spanned;
use crate::config::read::short;
use crate::config::value::Fields;

/// Bytes in front of a message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A unary call; `fields` is the step, `asked` its `grpc`.
pub(super) fn grpc(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    asked: &Fields,
    usual: &Usual,
    names: &Names,
) -> Option<Step> {
    let method = asked.text("method")?;
    if !is_method(method.value) {
        let what = format!("`{}` is no service and method", short(method.value));
        lower.problems.error_fix(method.at, what, "write, for example, `shop.Cart/Add`");
        return None;
    }
    let metadata = headers_of(lower, asked.map("metadata"), names);
    let own = headers_of(lower, fields.map("headers"), names);
    let headers = usual.headers_with(own.into_iter().chain(metadata).collect());
    let message = asked.table("message").map_or_else(|| Some(Vec::new()), |from| message(lower, from))?;
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.push(0);
    // Files have far fewer bytes than 4 GiB.
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    Some(Step {
        kind: Kind::Grpc(Grpc { status: asked.count("status").unwrap_or(0) }),
        method: "POST".to_owned(),
        path: Template::text(format!("/{}", method.value)),
        headers,
        body: Body::Bytes(framed.into()),
        ..common(lower, fields, usual, || format!("grpc {}", method.value))?
    })
}

/// Messages over a WebSocket; `fields` is the step, `asked` its `websocket`.
pub(super) fn websocket(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    asked: &Fields,
    usual: &Usual,
    names: &Names,
) -> Option<Step> {
    let path = asked.text("path")?;
    let template = super::path(lower, path, names);
    let headers = usual.headers_with(headers_of(lower, fields.map("headers"), names));
    let (send, text) = match (asked.text("send"), asked.text("send_file")) {
        (Some(text), _) => (body_of(filled(lower, text, names)?), true),
        (None, Some(name)) => (Body::Bytes(file(lower, name)?.into()), false),
        (None, None) => return None,
    };
    let expect = match asked.text("regex") {
        Some(pattern) => match Echo::matching(pattern.value) {
            Ok(echo) => echo,
            Err(error) => {
                lower.problems.error(pattern.at, error);
                return None;
            }
        },
        None if asked.word("expect") == Some("none") => Echo::Nothing,
        None => Echo::Same,
    };
    let socket = WebSocket {
        send,
        text,
        expect,
        messages: asked.count("messages").unwrap_or(1),
        interval: asked.time("interval"),
    };
    Some(Step {
        kind: Kind::WebSocket(Box::new(socket)),
        path: template?,
        headers,
        ..common(lower, fields, usual, || format!("websocket {}", path.value))?
    })
}

/// What these steps have like all others.
fn common(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    usual: &Usual,
    name: impl FnOnce() -> String,
) -> Option<Step> {
    let pause =
        fields.text("think").map_or(Some((Duration::ZERO, Duration::ZERO)), |text| think(lower, text));
    Some(Step {
        kind: Kind::Http,
        name: fields.text("name").map_or_else(name, |name| name.value.to_owned()),
        method: "GET".to_owned(),
        path: Template::text("/"),
        headers: Vec::new(),
        body: Body::None,
        timeout: fields.time("timeout").unwrap_or(usual.timeout),
        think: pause?,
        capture: Vec::new(),
        expect: Vec::new(),
        tags: texts(fields.map("tags")),
    })
}

/// The bytes of a message of gRPC, without what goes before them.
fn message(lower: &mut Lower<'_, '_>, from: &Fields) -> Option<Vec<u8>> {
    if let Some(name) = from.text("file") {
        return file(lower, name);
    }
    let (text, bytes, what) = match (from.text("hex"), from.text("base64")) {
        (Some(text), _) => (text, unhex(text.value), "pairs of hexadecimal digits"),
        (None, Some(text)) => (text, base64::decode(text.value), "base64"),
        (None, None) => return None,
    };
    if bytes.is_none() {
        lower.problems.error(text.at, format!("`{}` is not {what}", short(text.value)));
    }
    bytes
}

fn file(lower: &mut Lower<'_, '_>, name: Spanned<&str>) -> Option<Vec<u8>> {
    match files::read(&lower.base.join(name.value), files::BODY_MAX) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let what = format!("cannot read the message in `{}`: {error}", short(name.value));
            lower.problems.error(name.at, what);
            None
        }
    }
}

/// Whether it is the full name of a service, and the name of a method of it.
fn is_method(text: &str) -> bool {
    let name = |name: &str, marks: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
    };
    text.split_once('/').is_some_and(|(service, method)| name(service, "._") && name(method, "_"))
}

/// The bytes that pairs of digits stand for; spaces between them are passed over.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_that_of_a_service() {
        for (text, is) in [
            ("a.B_1/C_d", true),
            ("B/c", true),
            ("a.B", false),
            ("/c", false),
            ("a/", false),
            ("a/b/c", false),
        ] {
            assert_eq!(is_method(text), is, "{text}");
        }
        assert!(!is_method("a/b HTTP/1.1\r\nx: y"));
    }

    #[test]
    fn digits_become_bytes() {
        assert_eq!(unhex("0a 02\n48FF"), Some(vec![10, 2, 0x48, 0xff]));
        assert_eq!(unhex(""), Some(Vec::new()));
        assert_eq!(unhex("0a0"), None);
        assert_eq!(unhex("0g"), None);
    }
}
