//! An answer as captures and expectations see it.

use forebay_net::h1::ResponseHead;

/// How much of a body is kept for captures and expectations, in bytes.
pub const BODY_KEPT_MAX: usize = 1 << 20;

/// An answer, borrowed from whoever received it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    status: u16,
    fields: Fields<'a>,
    body: &'a [u8],
    body_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum Fields<'a> {
    H1(&'a ResponseHead, &'a [u8]),
    Pairs(&'a [(&'a [u8], &'a [u8])]),
}

impl<'a> Answer<'a> {
    /// An answer of HTTP/1: `head` was parsed from `head_bytes`; `body` is what was kept of `body_bytes`.
    #[must_use]
    pub const fn h1(head: &'a ResponseHead, head_bytes: &'a [u8], body: &'a [u8], body_bytes: u64) -> Self {
        Self { status: head.status, fields: Fields::H1(head, head_bytes), body, body_bytes }
    }

    /// An answer from its parts.
    #[must_use]
    pub const fn of_parts(
        status: u16,
        fields: &'a [(&'a [u8], &'a [u8])],
        body: &'a [u8],
        body_bytes: u64,
    ) -> Self {
        Self { status, fields: Fields::Pairs(fields), body, body_bytes }
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The value of the first field of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers(name).next()
    }

    /// The values of all fields of that name, in order.
    pub fn headers<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let (h1, pairs): (_, &[(&[u8], &[u8])]) = match self.fields {
            Fields::H1(head, bytes) => (Some((head, bytes)), &[]),
            Fields::Pairs(pairs) => (None, pairs),
        };
        let h1 = h1.into_iter().flat_map(|(head, bytes)| {
            head.fields.iter().map(move |field| (field.name.of_head(bytes), field.value.of_head(bytes)))
        });
        h1.chain(pairs.iter().copied())
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// What was kept of its body, at most `BODY_KEPT_MAX`. What stands behind that is found by nobody: a
    /// condition on it fails.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Bytes of its body, kept or not.
    #[must_use]
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}

#[cfg(test)]
mod tests {
    use forebay_net::h1::HeadLimits;

    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case() {
        let bytes = b"HTTP/1.1 404 Not Found\r\nETag: \"v1\"\r\nVia: 1.1 a\r\nvia:  1.1 b \r\n\r\n";
        let mut head = ResponseHead::default();
        head.parse(bytes, &HeadLimits { bytes: 1_000, target: 100, fields: 10 }, false).unwrap();
        let pairs: &[(&[u8], &[u8])] = &[(b"etag", b"\"v1\""), (b"VIA", b"1.1 a"), (b"Via", b"1.1 b")];
        for answer in [Answer::h1(&head, bytes, b"x", 1), Answer::of_parts(404, pairs, b"x", 1)] {
            assert_eq!((answer.status(), answer.header("Etag")), (404, Some(&b"\"v1\""[..])));
            assert_eq!(answer.headers("via").collect::<Vec<_>>(), [b"1.1 a", b"1.1 b"]);
            assert_eq!(answer.header("age"), None);
        }
    }
}
