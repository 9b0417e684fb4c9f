//! Names as each form of report may show them: no markup, no control of the reader's terminal, no end.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::NAME_MAX;

/// The name on one line: control characters and those that turn the direction of text replaced, cut after
/// `NAME_MAX` letters.
pub(crate) fn plain(name: &str) -> String {
    shorten(name, NAME_MAX)
}

/// As [`plain`], cut after `letters` letters.
pub(crate) fn shorten(name: &str, letters: usize) -> String {
    let mut shown: String = name.chars().take(letters).map(visible).collect();
    if name.chars().nth(letters).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// The text for HTML, in elements and in quoted attributes. Cut as [`plain`] does.
pub(crate) fn html(name: &str) -> String {
    markup(&plain(name))
}

/// A sentence of a report for HTML; not cut.
pub(crate) fn html_text(text: &str) -> String {
    markup(&text.chars().map(visible).collect::<String>())
}

/// As [`html_text`], with what stands between backticks as code.
pub(crate) fn html_said(text: &str) -> String {
    let text = html_text(text);
    let mut parts = text.split('`');
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        let _ = match parts.next() {
            Some(after) => write!(out, "<code>{code}</code>{after}"),
            // One alone is just a backtick.
            None => write!(out, "`{code}"),
        };
    }
    out
}

/// The text for XML 1.0, in elements and in quoted attributes: what XML has no way to say is replaced.
pub(crate) fn xml(name: &str) -> String {
    markup(&plain(name))
}

/// The value of a label of the Prometheus text format, without its quotes.
pub(crate) fn label(value: &str) -> String {
    plain(value).replace('\\', "\\\\").replace('"', "\\\"")
}

fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        let entity = match letter {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => {
                out.push(letter);
                continue;
            }
        };
        out.push_str(entity);
    }
    out
}

/// The letter, or what stands for it.
fn visible(letter: char) -> char {
    match letter {
        '\n' | '\r' | '\t' => ' ',
        // Controls of terminals, of the direction of text, and what is no character at all.
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => '\u{fffd}',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            '\u{fffd}'
        }
        '\u{fff0}'..='\u{fffc}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        _ => letter,
    }
}

/// The URL without what must not be mailed: a password in it, and whatever follows a `?`.
pub(crate) fn without_secrets(url: &str) -> Cow<'_, str> {
    let bare = url.split(['?', '#']).next().unwrap_or(url);
    let Some((scheme, rest)) = bare.split_once("://") else { return Cow::Borrowed(bare) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        None => Cow::Borrowed(bare),
        Some((_, host)) => {
            let mut shown = String::with_capacity(bare.len());
            let _ = write!(shown, "{scheme}://{host}{path}");
            Cow::Owned(shown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            html("</script><b a=\"x\" b='y'>&"),
            "&lt;/script&gt;&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;"
        );
    }

    #[test]
    fn backticks_in_pairs_are_code() {
        assert_eq!(html_said("`a<b` did, `c` not"), "<code>a&lt;b</code> did, <code>c</code> not");
        assert_eq!(html_said("`a` b ` c"), "<code>a</code> b ` c");
    }

    #[test]
    fn terminals_are_not_told_what_to_do() {
        assert_eq!(plain("a\x1b[2J\nb\u{9b}c\u{202e}d"), "a\u{fffd}[2J b\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn long_names_end() {
        let shown = plain(&"ü".repeat(10_000));
        assert_eq!((shown.chars().count(), shown.ends_with("ü…")), (NAME_MAX, true));
        assert_eq!(plain(&"x".repeat(NAME_MAX)), "x".repeat(NAME_MAX));
    }

    #[test]
    fn labels_keep_their_quotes_closed() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c d");
    }

    #[test]
    fn passwords_and_queries_are_not_mailed() {
        for (url, shown) in [
            ("http://shop.test/a", "http://shop.test/a"),
            ("http://me:secret@shop.test/a@b?token=1", "http://shop.test/a@b"),
            ("http://me@shop.test", "http://shop.test"),
            ("shop.test:80/a#x", "shop.test:80/a"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
