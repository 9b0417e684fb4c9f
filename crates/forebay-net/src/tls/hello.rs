//! A glance at a client's hello, before rustls reads it.

/// Where its session ID begins: after the headers of record and message, version, and random (RFC 8446 §4.1.2).
const SESSION_ID: usize = 5 + 4 + 2 + 32;
/// Suites with ChaCha20-Poly1305: of TLS 1.3, of 1.2 with RSA and with ECDSA.
const CHACHA: [[u8; 2]; 3] = [[0x13, 0x03], [0xcc, 0xa8], [0xcc, 0xa9]];

/// Whether the client would rather have ChaCha20-Poly1305 than AES: it has no hardware for the latter.
pub(crate) fn prefers_chacha(first: &[u8]) -> bool {
    first_suite(first).is_some_and(|suite| CHACHA.contains(&suite))
}

/// The cipher suite it likes best.
fn first_suite(first: &[u8]) -> Option<[u8; 2]> {
    let rest = first.get(SESSION_ID..)?;
    let suites = rest.get(1 + usize::from(*rest.first()?)..)?;
    let (length, suites) = suites.split_first_chunk::<2>()?;
    let suites = suites.get(..usize::from(u16::from_be_bytes(*length)).min(suites.len()))?;
    // Some begin with one that does not exist (RFC 8701).
    suites.chunks_exact(2).map(|suite| [suite[0], suite[1]]).find(|[a, b]| a != b || a & 0x0f != 0x0a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_suite_that_exists_counts() {
        let check = |session_id: usize, suites: &[u8], expected: bool| {
            let mut hello = vec![0; SESSION_ID];
            hello.push(u8::try_from(session_id).unwrap());
            hello.resize(hello.len() + session_id, 9);
            hello.extend_from_slice(&u16::try_from(suites.len()).unwrap().to_be_bytes());
            hello.extend_from_slice(suites);
            assert_eq!(prefers_chacha(&hello), expected, "{suites:x?}");
            for cut in 0..hello.len() {
                let _ = prefers_chacha(&hello[..cut]);
            }
        };
        check(32, &[0x13, 3, 0x13, 1], true);
        check(0, &[0x6a, 0x6a, 0xcc, 0xa9], true);
        check(32, &[0x6a, 0x6a, 0x13, 1, 0x13, 3], false);
        check(255, &[], false);
        check(1, &[0x13], false);
    }
}
