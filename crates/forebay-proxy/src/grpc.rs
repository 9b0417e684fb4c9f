//! gRPC on its way through: what a call asks for, how long it may take, and how it has ended.
//!
//! gRPC is HTTP/2 with trailers, so calls pass like other requests. What is special is in here: the time that callers
//! grant (`grpc-timeout`), the status that stands behind the body, and the dialect of browsers (gRPC-Web), which has to
//! be translated.

mod refusal;
mod status;
mod timeout;
pub(crate) mod web;

use forebay_base::time::Instant;
use forebay_net::h1::{Field, RequestHead};

use crate::exchange::Record;
use crate::refusal::Refusal;
use crate::route::HeaderEdits;

pub(crate) use refusal::write as write_refusal;
pub(crate) use status::{Code, in_head, in_trailers, push_from_head};
pub(crate) use timeout::{STAMP, stamp};

/// The HTTP status of everything in gRPC.
pub(crate) const STATUS: u16 = 200;

const CONTENT_TYPE: &[u8] = b"content-type";
const TIMEOUT: &[u8] = b"grpc-timeout";
const GRPC: &[u8] = b"application/grpc";
const PROTO: &[u8] = b"+proto";
const WEB: &[u8] = b"application/grpc-web";
const WEB_TEXT: &[u8] = b"application/grpc-web-text";

/// A request in gRPC, or in gRPC-Web where that is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// How the caller speaks it, if it is gRPC-Web.
    pub(crate) web: Option<Web>,
    /// When the caller stops waiting; `NEVER`: it does not say.
    pub(crate) deadline: Instant,
}

/// gRPC-Web comes in two encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Web {
    /// The request's body is in base64.
    pub(crate) text_in: bool,
    /// The response's body is to be.
    pub(crate) text_out: bool,
    /// The caller names the format of its messages: `+proto`.
    pub(crate) proto: bool,
}

impl Asked {
    /// Whether a field of the request is written by the gateway instead.
    pub(crate) fn replaces(&self, name: &[u8]) -> bool {
        match name.len() {
            12 => name.eq_ignore_ascii_case(TIMEOUT) || (self.web.is_some() && is_content_type(name)),
            _ => false,
        }
    }
}

/// Finds out whether a request is in gRPC, once its head has come. Only HTTP/2 and HTTP/3 carry it.
///
/// # Errors
/// It is, but how long it may take cannot be understood.
#[inline]
pub(crate) fn recognise(record: &Record<'_>, request: &RequestHead, head: &[u8]) -> Result<(), Refusal> {
    if request.version.is_framed() && request.method.of_head(head) == b"POST" {
        let kind = value(request, head, CONTENT_TYPE).and_then(kind_of);
        if kind == Some(Kind::Grpc) {
            return ask(record, request, head, None);
        }
    }
    Ok(())
}

/// Finds out whether a request is in gRPC-Web, once its route, which is for such requests, is known.
///
/// # Errors
/// It is, but how long it may take cannot be understood.
pub(crate) fn recognise_web(record: &Record<'_>, request: &RequestHead, head: &[u8]) -> Result<(), Refusal> {
    if request.method.of_head(head) != b"POST" {
        return Ok(());
    }
    let Some(said) = value(request, head, CONTENT_TYPE) else { return Ok(()) };
    let (text_in, name) = match kind_of(said) {
        Some(Kind::Web) => (false, WEB),
        Some(Kind::WebText) => (true, WEB_TEXT),
        Some(Kind::Grpc) | None => return Ok(()),
    };
    let proto = said.get(name.len()..).is_some_and(|rest| rest.starts_with(PROTO));
    let text_out = match value(request, head, b"accept").and_then(kind_of) {
        Some(Kind::WebText) => true,
        Some(Kind::Web) => false,
        Some(Kind::Grpc) | None => text_in,
    };
    ask(record, request, head, Some(Web { text_in, text_out, proto }))
}

fn ask(record: &Record<'_>, request: &RequestHead, head: &[u8], web: Option<Web>) -> Result<(), Refusal> {
    let mut asked = Asked { web, deadline: Instant::NEVER };
    record.grpc.set(Some(asked));
    let mut fields = values(request, head, TIMEOUT);
    if let Some(value) = fields.next() {
        let timeout = timeout::parse(value).filter(|_| fields.next().is_none());
        asked.deadline = record.started + timeout.ok_or(Refusal::BadGrpcTimeout)?;
        record.grpc.set(Some(asked));
    }
    Ok(())
}

/// A media type of the gRPC family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Grpc,
    Web,
    WebText,
}

/// What a `Content-Type` says: `application/grpc`, maybe with `+format` or parameters, or gRPC-Web likewise.
fn kind_of(value: &[u8]) -> Option<Kind> {
    let is = |name: &[u8]| {
        value.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && matches!(value.get(name.len()), None | Some(b'+' | b';' | b' ' | b'\t' | b','))
    };
    let kinds = [(GRPC, Kind::Grpc), (WEB, Kind::Web), (WEB_TEXT, Kind::WebText)];
    kinds.into_iter().find(|(name, _)| is(name)).map(|(_, kind)| kind)
}

/// Whether a `Content-Type` is that of gRPC.
pub(crate) fn is_grpc(value: &[u8]) -> bool {
    kind_of(value) == Some(Kind::Grpc)
}

pub(crate) fn is_content_type(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(CONTENT_TYPE)
}

/// Whether a field of a response's head is not passed on as it is: the content type is written into `out` as that of
/// gRPC-Web, and what is a trailer there too is left for the end of the body.
pub(crate) fn translate_field(
    out: &mut Vec<u8>,
    web: Web,
    name: &[u8],
    value: &[u8],
    edits: Option<&HeaderEdits>,
) -> bool {
    if !is_content_type(name) {
        return status::is_trailer(name);
    }
    if !edits.is_some_and(|edits| edits.drops(name)) {
        out.extend_from_slice(b"Content-Type: ");
        push_web_type(out, web, value);
        out.extend_from_slice(b"\r\n");
    }
    true
}

/// The content type of a response in gRPC-Web: as `of`, that of the gRPC it was made from; what is the usual format
/// there is named for callers that do so.
pub(crate) fn push_web_type(out: &mut Vec<u8>, web: Web, of: &[u8]) {
    out.extend_from_slice(if web.text_out { WEB_TEXT } else { WEB });
    let rest = of.get(GRPC.len()..).unwrap_or_default();
    out.extend_from_slice(if rest.is_empty() && web.proto { PROTO } else { rest });
}

/// Ends the head of a request in `out`, whose empty line stands there already, with the fields that are the gateway's
/// own. Returns where the time that is left is to be written by `stamp`, if the caller has said how much there is.
pub(crate) fn finish_head(
    out: &mut Vec<u8>,
    asked: &Asked,
    request: &RequestHead,
    head: &[u8],
    wanted: impl Fn(&[u8]) -> bool,
) -> Option<usize> {
    out.truncate(out.len() - 2);
    if let Some(web) = asked.web
        && wanted(CONTENT_TYPE)
    {
        let said = value(request, head, CONTENT_TYPE).unwrap_or_default();
        out.extend_from_slice(b"content-type: ");
        out.extend_from_slice(GRPC);
        let name = if web.text_in { WEB_TEXT } else { WEB };
        out.extend_from_slice(said.get(name.len()..).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
    let at = (asked.deadline != Instant::NEVER && wanted(TIMEOUT)).then(|| {
        out.extend_from_slice(b"grpc-timeout: ");
        let at = out.len();
        out.extend_from_slice(b"00000001n\r\n");
        at
    });
    out.extend_from_slice(b"\r\n");
    at
}

fn values<'a>(
    request: &'a RequestHead,
    head: &'a [u8],
    name: &'static [u8],
) -> impl Iterator<Item = &'a [u8]> {
    // Lengths first: most fields are out at once.
    let is_it = move |field: &&Field| {
        let other = field.name.of_head(head);
        other.len() == name.len() && other.eq_ignore_ascii_case(name)
    };
    request.fields.iter().filter(is_it).map(|field| field.value.of_head(head))
}

fn value<'a>(request: &'a RequestHead, head: &'a [u8], name: &'static [u8]) -> Option<&'a [u8]> {
    values(request, head, name).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_of_media_types_count() {
        for (value, kind) in [
            ("application/grpc", Some(Kind::Grpc)),
            ("application/grpc+proto", Some(Kind::Grpc)),
            ("Application/GRPC+json", Some(Kind::Grpc)),
            ("application/grpc;charset=utf-8", Some(Kind::Grpc)),
            ("application/grpc ; x=y", Some(Kind::Grpc)),
            ("application/grpc-web", Some(Kind::Web)),
            ("application/grpc-web+proto", Some(Kind::Web)),
            ("application/grpc-web-text", Some(Kind::WebText)),
            ("application/grpc-web-text+proto", Some(Kind::WebText)),
            ("application/grpc-web-texts", None),
            ("application/grpc-webs", None),
            ("application/grpcs", None),
            ("application/grp", None),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(kind_of(value.as_bytes()), kind, "{value}");
        }
    }

    #[test]
    fn the_format_stays_behind_the_name() {
        for (text_out, proto, of, expected) in [
            (false, false, "application/grpc", "application/grpc-web"),
            (false, true, "application/grpc", "application/grpc-web+proto"),
            (false, false, "application/grpc+proto", "application/grpc-web+proto"),
            (true, true, "application/grpc+json; x=y", "application/grpc-web-text+json; x=y"),
        ] {
            let mut out = Vec::new();
            push_web_type(&mut out, Web { text_in: true, text_out, proto }, of.as_bytes());
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
