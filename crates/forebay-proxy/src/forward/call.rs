//! What a call in gRPC needs beside what every request does: its status is known at the end only, and that of browsers
//! is translated.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use forebay_base::time::Instant;
use forebay_net::h1::ResponseHead;

use super::{Call, edited_trailers};
use crate::exchange::Record;
use crate::grpc::{self, Asked, Code, Web, web};
use crate::refusal::Refusal;
use crate::upstream::Endpoint;

/// See the module. For one request, whatever endpoints it goes to.
pub(super) struct Grpc {
    pub(super) asked: Asked,
    decoder: RefCell<web::Decoder>,
    /// When the last piece of either body came: while one side speaks, the other may listen.
    active: Cell<Instant>,
    /// The response has begun, and its status is to come behind the body.
    pending: Cell<bool>,
    /// The response's body is translated to this.
    pub(super) bridged: Cell<Option<Web>>,
    /// Trailers that came in the head.
    early: RefCell<Vec<u8>>,
}

impl Grpc {
    pub(super) fn new(asked: Asked, now: Instant) -> Box<Self> {
        Box::new(Self {
            asked,
            active: Cell::new(now),
            decoder: RefCell::default(),
            pending: Cell::new(false),
            bridged: Cell::new(None),
            early: RefCell::default(),
        })
    }

    /// Whether the body of the request comes in base64.
    pub(super) fn is_text(&self) -> bool {
        self.asked.web.is_some_and(|web| web.text_in)
    }

    /// Makes what services understand of a piece of the request's body, in place; `end`: the last one. Returns its
    /// length.
    pub(super) fn decode(&self, data: &mut [u8], end: bool) -> Result<usize, Refusal> {
        if !self.is_text() {
            return Ok(data.len());
        }
        self.decoder.borrow_mut().decode(data, end).map_err(|web::NotBase64| Refusal::BodyMalformed)
    }

    /// The caller has waited as long as it wanted to.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        now >= self.asked.deadline
    }

    /// Looks at the head of the response. Says whether the endpoint has failed; `None`: that is not known yet.
    pub(super) fn begin(&self, record: &Record<'_>, response: &ResponseHead, head: &[u8]) -> Option<bool> {
        let of = |name: &'static [u8]| {
            let mut fields = response.fields.iter();
            let field = fields.find(|field| field.name.of_head(head).eq_ignore_ascii_case(name))?;
            Some(field.value.of_head(head))
        };
        let code = grpc::in_head(response, head);
        record.grpc_status.set(code);
        let is_grpc = of(b"content-type").is_some_and(grpc::is_grpc);
        if is_grpc {
            self.bridged.set(self.asked.web);
            grpc::push_from_head(&mut self.early.borrow_mut(), response, head);
        }
        match code {
            _ if response.status >= 500 => Some(true),
            Some(code) => Some(self.is_failure(code)),
            None => {
                self.pending.set(is_grpc);
                (!is_grpc).then_some(false)
            }
        }
    }

    /// The response has ended with these trailers.
    pub(super) fn end(&self, record: &Record<'_>, endpoint: &Endpoint, trailers: &[u8]) {
        if !self.pending.replace(false) {
            return;
        }
        let code = grpc::in_trailers(trailers);
        record.grpc_status.set(code);
        // Callers take a response without a status for UNKNOWN.
        if self.is_failure(code.unwrap_or(Code::UNKNOWN)) { endpoint.failed() } else { endpoint.succeeded() }
    }

    /// The response has broken off.
    pub(super) fn broke_off(&self, endpoint: &Endpoint, now: Instant) {
        if self.pending.replace(false) && !self.is_late(now) {
            endpoint.failed();
        }
    }

    fn is_failure(&self, code: Code) -> bool {
        code.is_failure(self.asked.deadline != Instant::NEVER)
    }
}

impl Call<'_> {
    /// A piece of either body has come.
    #[inline]
    pub(super) fn stir(&self) {
        if let Some(grpc) = self.grpc {
            grpc.active.set(Instant::now());
        }
    }

    /// When it has been quiet for too long, given since when the next piece is waited for: calls go both ways, so theirs
    /// counts from the last piece of either.
    #[inline]
    pub(super) fn quiet_until(&self, since: Instant) -> Instant {
        let since = self.grpc.map_or(since, |grpc| grpc.active.get().max(since));
        (since + self.times.idle).min(self.times.total)
    }

    /// Makes of a piece of the response's body and what ends it, if anything does (`end`), what the client understands:
    /// mostly the same. Returns what is left for it behind the body.
    #[inline]
    pub(super) fn translate<'d>(
        &self,
        data: &'d [u8],
        end: bool,
        trailers: Cow<'d, [u8]>,
    ) -> (Cow<'d, [u8]>, Cow<'d, [u8]>) {
        match self.grpc {
            None => (Cow::Borrowed(data), trailers),
            Some(grpc) => self.translate_grpc(grpc, data, end, trailers),
        }
    }

    #[cold]
    fn translate_grpc<'d>(
        &self,
        grpc: &Grpc,
        data: &'d [u8],
        end: bool,
        trailers: Cow<'d, [u8]>,
    ) -> (Cow<'d, [u8]>, Cow<'d, [u8]>) {
        if end {
            grpc.end(self.record, self.endpoint, &trailers);
        }
        let Some(kind) = grpc.bridged.get() else { return (Cow::Borrowed(data), trailers) };
        let mut body = Cow::Borrowed(data);
        if end {
            let mut lines = grpc.early.take();
            lines.extend_from_slice(&trailers);
            let lines = edited_trailers(&lines, self.record.response_edits());
            web::push_trailers(body.to_mut(), &lines);
        }
        if kind.text_out {
            let mut text = Vec::new();
            web::encode(&mut text, &body);
            body = Cow::Owned(text);
        }
        (body, Cow::default())
    }
}
