//! Heads as they go out: always written anew, never passed through.

use forebay_net::forwarded;
use forebay_net::h1::{Field, Framing, Name, RequestHead, ResponseHead, Version};

use forebay_net::tls::ClientCertificate;

use crate::client::Client;
use crate::exchange::Record;
use crate::grpc;
use crate::plan::Underscores;
use crate::route::HeaderEdits;

/// How the gateway calls itself in `Via`.
pub(crate) const PSEUDONYM: &str = "forebay";

/// Appends `name: value` and the line's end.
#[inline]
pub(crate) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    // One reservation for the four parts: each `extend` then only copies.
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a decimal number.
#[inline]
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    const PAIRS: &[u8; 200] =
        b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940\
        4142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990\
        919293949596979899";
    let mut digits = [0; 20];
    let mut at = digits.len();
    // Two digits at a time: lengths, ports and statuses are in every head.
    while number >= 100 {
        let pair = (number % 100) as usize * 2;
        number /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if number >= 10 {
        let pair = number as usize * 2;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends the line that says how the body is delimited.
#[inline]
pub(crate) fn push_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            push_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}

/// What a request head on its way to the upstream is made of.
pub(crate) struct RequestParts<'a> {
    pub(crate) record: &'a Record<'a>,
    pub(crate) client: &'a Client,
    pub(crate) request: &'a RequestHead,
    /// The bytes `request` was parsed from.
    pub(crate) head: &'a [u8],
    /// Path and query in canonical form, after rewriting.
    pub(crate) target: &'a str,
    /// The host in canonical form.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// The service's name: the host of a request that came without one.
    pub(crate) service: &'a str,
    /// What the upstream gets to see as `Host` instead.
    pub(crate) host_override: Option<&'a str>,
    pub(crate) edits: &'a HeaderEdits,
    pub(crate) underscores: Underscores,
    /// Wait for the upstream's `100 Continue` before the body is sent.
    pub(crate) expect: bool,
    /// The protocol that the connection is to turn into.
    pub(crate) upgrade: Option<&'a str>,
    /// What it asks for as gRPC, if it does: some fields are left out, for `grpc::finish_head` writes them.
    pub(crate) grpc: Option<&'a grpc::Asked>,
    /// `Sec-WebSocket-Key`, where the client's protocol has none.
    pub(crate) websocket_key: Option<&'a [u8]>,
}

/// Writes the request head into `out`.
pub(crate) fn write_request(out: &mut Vec<u8>, parts: &RequestParts<'_>) {
    let RequestParts { request, head, target, edits, .. } = parts;
    out.extend_from_slice(request.method.of_head(head));
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    push_host(out, parts);
    let edited = !edits.is_empty();
    let mut seen = Forwarding::default();
    for field in &request.fields {
        if !passes_to_upstream(field, parts, &mut seen) {
            continue;
        }
        let name = field.name.of_head(head);
        if edited && edits.drops(name) || parts.grpc.is_some_and(|asked| asked.replaces(name)) {
            continue;
        }
        push_field(out, name, field.value.of_head(head));
    }
    if parts.grpc.is_some_and(|asked| asked.web.is_some()) {
        seen.te_trailers = true;
    }
    push_framing(out, request.framing);
    push_forwarding(out, parts, &seen);
    if edited {
        for (name, value) in edits.appended() {
            push_field(out, name.as_bytes(), value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn push_host(out: &mut Vec<u8>, parts: &RequestParts<'_>) {
    out.extend_from_slice(b"Host: ");
    match parts.host_override {
        Some(host) => out.extend_from_slice(host.as_bytes()),
        // HTTP/1.0 knows requests without a host; HTTP/1.1 does not.
        None if parts.host.is_empty() => out.extend_from_slice(parts.service.as_bytes()),
        None => push_authority(out, parts.host, parts.port),
    }
    out.extend_from_slice(b"\r\n");
}

fn push_authority(out: &mut Vec<u8>, host: &str, port: Option<u16>) {
    out.extend_from_slice(host.as_bytes());
    if let Some(port) = port {
        out.push(b':');
        push_number(out, u64::from(port));
    }
}

/// Which forwarding fields a trusted peer has sent.
#[derive(Default)]
struct Forwarding {
    via: bool,
    forwarded: bool,
    xff: bool,
    proto: bool,
    host: bool,
    te_trailers: bool,
}

/// Whether a field of the client's counts, for the router and for the upstream alike: it is meant to go
/// farther than this hop, its name is not one that servers confuse, and the client may say such a thing.
#[inline]
pub(crate) fn is_visible(field: &Field, trusted: bool, underscores: Underscores) -> bool {
    if field.hop_by_hop || (field.underscore && underscores != Underscores::Allow) {
        return false;
    }
    match field.known {
        Name::Forwarded
        | Name::XForwardedFor
        | Name::XForwardedProto
        | Name::XForwardedHost
        | Name::XForwardedOther
        | Name::XRealIp
        | Name::XRequestId => trusted,
        // Who has proved to be whom is said by the one who has seen the proof. A trusted proxy that knows nothing of
        // the field passes on what anybody has written.
        Name::XForwardedClientCert | Name::Disguised => false,
        _ => true,
    }
}

/// Whether a field of the client's goes to the upstream as it is.
#[inline]
fn passes_to_upstream(field: &Field, parts: &RequestParts<'_>, seen: &mut Forwarding) -> bool {
    if field.known == Name::Te {
        let mut codings = field.value.of_head(parts.head).split(|byte| *byte == b',');
        seen.te_trailers |= codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
        return false;
    }
    if !is_visible(field, parts.record.trusted, parts.underscores) {
        return false;
    }
    match field.known {
        Name::Other
        | Name::XForwardedOther
        | Name::Date
        | Name::UserAgent
        | Name::Referer
        | Name::StrictTransportSecurity
        | Name::Trailer => true,
        Name::XForwardedProto => !std::mem::replace(&mut seen.proto, true),
        Name::XForwardedHost => !std::mem::replace(&mut seen.host, true),
        Name::Expect => parts.expect,
        // Lists that this hop adds to are written as one field at the end.
        Name::Via => {
            seen.via = true;
            false
        }
        Name::Forwarded => {
            seen.forwarded = true;
            false
        }
        Name::XForwardedFor => {
            seen.xff = true;
            false
        }
        // Host, framing, the request id and the client's address are written by the gateway itself.
        _ => false,
    }
}

/// Who the client is and which way the request came (RFC 7239, RFC 9110 §7.6.3, and the older customs).
/// All say the same: what the gateway itself takes for the truth. Names that the route edits are left to it.
fn push_forwarding(out: &mut Vec<u8>, parts: &RequestParts<'_>, seen: &Forwarding) {
    let RequestParts { record, client, host, port, edits, .. } = parts;
    let peer = client.who.text();
    let edited = !edits.is_empty();
    let wanted = |name: &[u8]| !edited || !edits.drops(name);
    // A proxy in front that speaks only one of the two dialects, or only of `X-Real-IP`.
    let farther = record.address.get() != client.who.peer.ip().to_canonical();
    if wanted(b"x-forwarded-for") {
        out.extend_from_slice(b"X-Forwarded-For: ");
        if seen.xff {
            push_values(out, parts, Name::XForwardedFor);
        } else if farther {
            push_client(out, record, client);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(peer);
        out.extend_from_slice(b"\r\n");
    }
    if !seen.proto && wanted(b"x-forwarded-proto") {
        push_field(out, b"X-Forwarded-Proto", client.who.scheme().as_bytes());
    }
    if !seen.host && !host.is_empty() && wanted(b"x-forwarded-host") {
        out.extend_from_slice(b"X-Forwarded-Host: ");
        push_authority(out, host, *port);
        out.extend_from_slice(b"\r\n");
    }
    if wanted(b"x-real-ip") {
        out.extend_from_slice(b"X-Real-IP: ");
        push_client(out, record, client);
        out.extend_from_slice(b"\r\n");
    }
    if wanted(b"forwarded") {
        out.extend_from_slice(b"Forwarded: ");
        // Where there are both, `X-Forwarded-For` has decided who the client is.
        if seen.forwarded && !seen.xff {
            push_values(out, parts, Name::Forwarded);
        } else if farther {
            forwarded::write_for(record.address.get(), out);
            out.extend_from_slice(b", ");
        }
        push_forwarded_element(out, peer, host, *port, client.who.scheme());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(secured) = &client.who.secured
        && let Some(certificate) = &secured.client
        && wanted(b"x-forwarded-client-cert")
    {
        push_client_certificate(out, certificate);
    }
    if wanted(b"via") {
        push_via(out, parts, seen);
    }
    if wanted(b"x-request-id") {
        push_field(out, b"X-Request-Id", record.request_id());
    }
    if let Some(protocol) = parts.upgrade {
        push_field(out, b"Connection", b"upgrade");
        push_field(out, b"Upgrade", protocol.as_bytes());
        if let Some(key) = parts.websocket_key {
            push_field(out, b"Sec-WebSocket-Key", key);
        }
    } else if seen.te_trailers {
        out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n");
    }
}

/// Who the client has proved to be, in the way Envoy says it: the certificate's hash, its subject, and those of its
/// other names that there are keys for.
fn push_client_certificate(out: &mut Vec<u8>, certificate: &ClientCertificate) {
    out.extend_from_slice(b"X-Forwarded-Client-Cert: Hash=");
    out.extend_from_slice(certificate.fingerprint.as_bytes());
    out.extend_from_slice(b";Subject=\"");
    push_quoted(out, &certificate.subject);
    out.push(b'"');
    for san in &certificate.sans {
        let Some((key @ ("DNS" | "URI"), name)) = san.split_once(':') else { continue };
        out.push(b';');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"=\"");
        push_quoted(out, name);
        out.push(b'"');
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands between quotation marks. Whoever has issued a certificate could have put anything into it.
fn push_quoted(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => out.push(b'?'),
        }
    }
}

fn push_via(out: &mut Vec<u8>, parts: &RequestParts<'_>, seen: &Forwarding) {
    out.extend_from_slice(b"Via: ");
    if seen.via {
        push_values(out, parts, Name::Via);
    }
    out.extend_from_slice(match parts.request.version {
        Version::Http10 => b"1.0 ",
        Version::Http11 => b"1.1 ",
        Version::Http2 => b"2.0 ",
        Version::Http3 => b"3.0 ",
    });
    out.extend_from_slice(PSEUDONYM.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The address the request is attributed to: the peer's, or what trusted peers say.
fn push_client(out: &mut Vec<u8>, record: &Record<'_>, client: &Client) {
    let address = record.address.get();
    if address == client.who.peer.ip().to_canonical() {
        out.extend_from_slice(client.who.text());
    } else {
        forwarded::write_address(address, out);
    }
}

/// `for=192.0.2.1;host=shop.test;proto=http`, quoted where RFC 7239 §4 asks for it.
fn push_forwarded_element(out: &mut Vec<u8>, peer: &[u8], host: &str, port: Option<u16>, scheme: &str) {
    if peer.contains(&b':') {
        out.extend_from_slice(b"for=\"[");
        out.extend_from_slice(peer);
        out.extend_from_slice(b"]\"");
    } else {
        out.extend_from_slice(b"for=");
        out.extend_from_slice(peer);
    }
    if port.is_some() || host.starts_with('[') {
        out.extend_from_slice(b";host=\"");
        push_authority(out, host, port);
        out.push(b'"');
    } else if !host.is_empty() {
        out.extend_from_slice(b";host=");
        out.extend_from_slice(host.as_bytes());
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(scheme.as_bytes());
}

/// All values of the fields `name`, each followed by `, `.
fn push_values(out: &mut Vec<u8>, parts: &RequestParts<'_>, name: Name) {
    for field in parts.request.fields.iter().filter(|field| field.known == name && !field.hop_by_hop) {
        let value = field.value.of_head(parts.head);
        if !value.is_empty() {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    }
}

/// What a response head on its way to the client is made of.
pub(crate) struct ResponseParts<'a> {
    pub(crate) record: &'a Record<'a>,
    pub(crate) response: &'a ResponseHead,
    /// The bytes `response` was parsed from.
    pub(crate) head: &'a [u8],
    pub(crate) framing: Framing,
    /// The request's version; decides how keeping the connection is said.
    pub(crate) version: Version,
    pub(crate) keep_alive: bool,
    pub(crate) now: forebay_base::time::Instant,
    /// It is translated to this, so that its status stands in the body.
    pub(crate) web: Option<grpc::Web>,
}

/// Writes the response head into `out`.
pub(crate) fn write_response(out: &mut Vec<u8>, parts: &ResponseParts<'_>) {
    let ResponseParts { record, response, head, framing, .. } = parts;
    push_status_line(out, response, head);
    let edits = record.response_edits();
    let mut has_hsts = false;
    // Without a body the length is only information, as of a HEAD or a 304 (RFC 9110 §8.6).
    let length_is_information =
        response.framing == Framing::None && !matches!(response.status, 100..=199 | 204);
    for field in &response.fields {
        let passes = match field.known {
            Name::ContentLength => length_is_information && parts.web.is_none(),
            _ => !field.hop_by_hop,
        };
        let name = field.name.of_head(head);
        if let Some(web) = parts.web
            && grpc::translate_field(out, web, name, field.value.of_head(head), edits)
        {
            continue;
        }
        if passes && !edits.is_some_and(|edits| edits.drops(name)) {
            has_hsts |= field.known == Name::StrictTransportSecurity;
            push_field(out, name, field.value.of_head(head));
        }
    }
    push_framing(out, *framing);
    if !response.has_date && !edits.is_some_and(|edits| edits.drops(b"date")) {
        record.worker.push_date(parts.now, out);
    }
    push_edits(out, edits);
    push_security(out, record, has_hsts);
    record.push_cookies(out);
    push_persistence(out, parts.version, parts.keep_alive);
    out.extend_from_slice(b"\r\n");
}

/// Writes an interim response's head into `out`. The fields a route sets or adds are those of its final
/// responses, but what it removes or sets does not come from the service in any head.
pub(crate) fn write_interim(
    out: &mut Vec<u8>,
    response: &ResponseHead,
    head: &[u8],
    edits: Option<&HeaderEdits>,
) {
    push_status_line(out, response, head);
    for field in &response.fields {
        let name = field.name.of_head(head);
        let dropped = edits.is_some_and(|edits| edits.drops(name));
        if field.known != Name::ContentLength && !field.hop_by_hop && !dropped {
            push_field(out, name, field.value.of_head(head));
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head that tells the client of another protocol. On a stream, which has no such status, it is that of
/// success, and what only belongs to the handshake of HTTP/1.1 is left out (RFC 8441 §5).
pub(crate) fn write_switching(
    out: &mut Vec<u8>,
    response: &ResponseHead,
    head: &[u8],
    edits: Option<&HeaderEdits>,
    protocol: &str,
    framed: bool,
    accept: Option<&[u8]>,
) {
    out.extend_from_slice(if framed {
        b"HTTP/1.1 200 OK\r\n"
    } else {
        b"HTTP/1.1 101 Switching Protocols\r\n"
    });
    for field in &response.fields {
        let name = field.name.of_head(head);
        let handshake = framed && name.eq_ignore_ascii_case(b"sec-websocket-accept");
        let dropped = edits.is_some_and(|edits| edits.drops(name));
        if field.known != Name::ContentLength && !field.hop_by_hop && !dropped && !handshake {
            push_field(out, name, field.value.of_head(head));
        }
    }
    push_edits(out, edits);
    if !framed {
        push_field(out, b"Connection", b"upgrade");
        push_field(out, b"Upgrade", protocol.as_bytes());
        if let Some(accept) = accept {
            push_field(out, b"Sec-WebSocket-Accept", accept);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends trailers, lines of `name: value`, but for those the route removes or sets: behind the body as in
/// the head.
pub(crate) fn push_trailers(out: &mut Vec<u8>, trailers: &[u8], edits: Option<&HeaderEdits>) {
    let Some(edits) = edits else { return out.extend_from_slice(trailers) };
    for line in trailers.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if !edits.drops(name) {
            out.extend_from_slice(line);
        }
    }
}

fn push_status_line(out: &mut Vec<u8>, response: &ResponseHead, head: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, u64::from(response.status));
    out.push(b' ');
    out.extend_from_slice(response.reason.of_head(head));
    out.extend_from_slice(b"\r\n");
}

/// What clients are told of the connection's security: that they are to come by a secured one only (RFC 6797), and
/// which other way there is (RFC 7838). `has_hsts`: the head says the former already; the route may see to it as well.
#[inline]
pub(crate) fn push_security(out: &mut Vec<u8>, record: &Record<'_>, has_hsts: bool) {
    let who = &record.client.who;
    if who.secured.is_none() {
        return;
    }
    if !has_hsts
        && let Some(hsts) = record.hsts()
        && !record.response_edits().is_some_and(|edits| edits.touches(b"strict-transport-security"))
    {
        push_field(out, b"Strict-Transport-Security", hsts.as_bytes());
    }
    record.push_alternative(out);
}

/// Appends the fields the route adds to its responses.
pub(crate) fn push_edits(out: &mut Vec<u8>, edits: Option<&HeaderEdits>) {
    if let Some(edits) = edits {
        for (name, value) in edits.appended() {
            push_field(out, name.as_bytes(), value);
        }
    }
}

/// Says whether the connection lasts, where the version does not say it by itself.
#[inline]
pub(crate) fn push_persistence(out: &mut Vec<u8>, version: Version, keep_alive: bool) {
    match (version, keep_alive) {
        (Version::Http11, true) | (Version::Http10, false) | (Version::Http2 | Version::Http3, _) => {}
        (Version::Http11, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_hear_who_a_client_is_by_the_names_there_are_keys_for() {
        let check = |subject: &str, sans: &[&str], expected: &str| {
            let certificate = ClientCertificate {
                subject: subject.into(),
                sans: sans.iter().map(|san| (*san).into()).collect(),
                fingerprint: "0a1b".into(),
                der: Box::default(),
            };
            let mut out = Vec::new();
            push_client_certificate(&mut out, &certificate);
            let expected = format!("X-Forwarded-Client-Cert: Hash=0a1b;{expected}\r\n");
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check("CN=client1", &["DNS:client1"], "Subject=\"CN=client1\";DNS=\"client1\"");
        check("", &["URI:spiffe://shop.test/a"], "Subject=\"\";URI=\"spiffe://shop.test/a\"");
        check("CN=a\\\"b", &["DNS:a\"b"], r#"Subject="CN=a\\\"b";DNS="a\"b""#);
        check(
            "CN=all",
            &["DNS:a", "email:a://b@c", "IP:::1", "URI:urn:x:DNS", "DNS:*.b"],
            "Subject=\"CN=all\";DNS=\"a\";URI=\"urn:x:DNS\";DNS=\"*.b\"",
        );
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in (0..2_000).chain([9_999, 10_000, 65_535, 99_999, 1 << 20, u64::MAX - 1, u64::MAX]) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
