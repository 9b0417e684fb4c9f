//! Names that settings give to headers and cookies, checked, and spans of time that stand in cookies.

use std::time::Duration;

use forebay_base::units::show_duration;

use super::lower::Lower;
use super::problems::{Mark, Spanned};
use super::read::short;

/// Whether a text is a token (RFC 9110 section 5.6.2), as names of headers and of cookies (RFC 6265 section
/// 4.1.1) have to be.
pub(super) fn is_token(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter)
}

/// The name of a header in lower case.
pub(super) fn header(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Box<str>> {
    if is_token(text.value) {
        return Some(text.value.to_ascii_lowercase().into());
    }
    lower.problems.error(text.at, format!("`{}` is not the name of a header", short(text.value)));
    None
}

/// The name of a cookie, as written: case counts.
pub(super) fn cookie(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Box<str>> {
    if is_token(text.value) {
        return Some(text.value.into());
    }
    let what = format!("`{}` is not the name of a cookie", short(text.value));
    lower.problems.error_fix(text.at, what, "use letters, digits, `-` and `_`");
    None
}

/// Refuses what `Max-Age` of a cookie cannot say.
pub(super) fn whole_seconds(lower: &mut Lower<'_, '_>, at: Mark, key: &str, time: Duration) {
    if time.subsec_nanos() > 0 {
        let up = Duration::from_secs(time.as_secs() + 1);
        let what = format!("`{key}` is in whole seconds, not {}", show_duration(time));
        lower.problems.error_fix(at, what, format!("write, for example, `{}`", show_duration(up)));
    }
}
