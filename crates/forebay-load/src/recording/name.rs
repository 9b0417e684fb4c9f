//! What reports call a recorded request: its method and path, with `*` for what looks like an identifier.

/// Longest name, in characters; the rest becomes `…`.
const NAME_MAX: usize = 120;
/// Hexadecimal digits in a row that are taken for an identifier.
const HEX_MIN: usize = 12;
/// Letters and digits in a row that are taken for one if both are among them.
const MIXED_MIN: usize = 20;

/// `GET /items/*` for `GET /items/17?full=yes`.
pub(super) fn name(method: &str, target: &str) -> String {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let mut name = format!("{method} ");
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            name.push('/');
        }
        name.push_str(if is_identifier(segment) { "*" } else { segment });
    }
    if let Some((end, _)) = name.char_indices().nth(NAME_MAX) {
        name.truncate(end);
        name.push('…');
    }
    name
}

/// Whether a segment stands for one of many things: a number, a UUID, a hash, a long random text.
fn is_identifier(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return false;
    }
    let all = |fits: fn(&u8) -> bool| bytes.iter().all(fits);
    all(u8::is_ascii_digit)
        || bytes.len() >= HEX_MIN && all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
        || bytes.len() >= MIXED_MIN
            && all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
            && !looks_like_words(segment)
}

/// Words and short numbers between dashes, such as `summer-sale-2024-shoes`.
fn looks_like_words(segment: &str) -> bool {
    segment.split(['-', '_']).all(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits == 0 && word.len() < MIXED_MIN || digits == word.len() && word.len() < 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_stars_and_words_stay() {
        for (target, expected) in [
            ("/", "GET /"),
            ("/items/17?full=yes", "GET /items/*"),
            ("/items/17/parts/4", "GET /items/*/parts/*"),
            ("/u/3f2504e0-4f89-41d3-9a0c-0305e82c3301", "GET /u/*"),
            ("/blob/9f86d081884c7d65", "GET /blob/*"),
            ("/job/01ARZ3NDEKTSV4RRFFQ69G5FAV", "GET /job/*"),
            ("/facade", "GET /facade"),
            ("/feedbeefcafe", "GET /feedbeefcafe"),
            ("/v1/health", "GET /v1/health"),
            ("/summer-sale-2024-shoes-and-more", "GET /summer-sale-2024-shoes-and-more"),
            ("/app.3f2a9c.js", "GET /app.3f2a9c.js"),
        ] {
            assert_eq!(name("GET", target), expected);
        }
        assert_eq!(name("GET", &format!("/{}", "a".repeat(500))).chars().count(), NAME_MAX + 1);
    }
}
