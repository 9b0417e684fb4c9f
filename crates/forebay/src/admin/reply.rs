//! Answers of the admin server, with the headers that keep browsers out of trouble.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// What every endpoint returns.
pub(super) type Reply = Response<Full<Bytes>>;

/// A body of a given type. Nothing here may be cached, framed or taken for another type.
pub(super) fn body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    set(&mut reply, CONTENT_TYPE, content_type);
    set(&mut reply, CACHE_CONTROL, "no-store");
    set(&mut reply, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut reply, X_FRAME_OPTIONS, "DENY");
    set(&mut reply, REFERRER_POLICY, "no-referrer");
    reply
}

/// One word for a probe.
pub(super) fn text(status: StatusCode, word: &str) -> Reply {
    body(status, "text/plain; charset=utf-8", format!("{word}\n"))
}

/// JSON for tools.
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    body(status, "application/json", value.to_string())
}

/// Bytes to be kept under a name that is plain ASCII.
pub(super) fn file(name: &str, bytes: Vec<u8>) -> Reply {
    let mut reply = body(StatusCode::OK, "application/octet-stream", bytes);
    let kept = format!("attachment; filename=\"{name}\"");
    let kept = HeaderValue::from_str(&kept).expect("the names of our files are plain");
    reply.headers_mut().insert(CONTENT_DISPOSITION, kept);
    reply
}

/// The page. Its only script and style are its own: they carry `nonce`.
pub(super) fn page(html: String, nonce: &str) -> Reply {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut reply = body(StatusCode::OK, "text/html; charset=utf-8", html);
    let policy = HeaderValue::from_str(&policy).expect("a nonce is hexadecimal");
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    reply
}

/// A refusal as RFC 9457 wants it. `detail` says what to do about it.
pub(super) fn problem(status: StatusCode, reason: &str, detail: &str) -> Reply {
    problem_with(status, reason, detail, Value::Null)
}

/// A refusal with one more member, named `problems`, unless it is null.
pub(super) fn problem_with(status: StatusCode, reason: &str, detail: &str, problems: Value) -> Reply {
    let mut value = json!({
        "status": status.as_u16(),
        "title": status.canonical_reason(),
        "reason": reason,
        "detail": detail,
    });
    if !problems.is_null() {
        value["problems"] = problems;
    }
    body(status, "application/problem+json", value.to_string())
}

/// Says when to try again.
pub(super) fn retry_after(mut reply: Reply, seconds: u64) -> Reply {
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    reply
}

/// The method does not fit the resource.
pub(super) fn method_not_allowed(allow: &'static str) -> Reply {
    let mut reply = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        &format!("this resource knows {allow} only"),
    );
    set(&mut reply, ALLOW, allow);
    reply
}

/// No token, or a wrong one.
pub(super) fn unauthorized() -> Reply {
    let detail = "send the admin token: Authorization: Bearer TOKEN";
    let mut reply = problem(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    set(&mut reply, WWW_AUTHENTICATE, "Bearer realm=\"forebay admin\"");
    reply
}

fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}
