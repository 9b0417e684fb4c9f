//! Text broken at words, whatever colours are in it.

use super::Ink;

/// Adds lines of at most `room` letters, each ending with a newline; all but the first begin with `hang` spaces.
/// Only a word that is longer than a line is broken.
pub(super) fn lines(
    out: &mut String,
    paint: &dyn Fn(Ink, &str) -> String,
    room: usize,
    hang: usize,
    pieces: &[(Option<Ink>, &str)],
) {
    let letters: Vec<Letter> =
        pieces.iter().flat_map(|(ink, text)| text.chars().map(|letter| (letter, *ink))).collect();
    let mut line: Vec<Letter> = Vec::new();
    for word in words(&letters) {
        let width =
            line.len() + word.iter().rposition(|(letter, _)| *letter != ' ').map_or(0, |last| last + 1);
        if width > room && line.iter().any(|(letter, _)| *letter != ' ') {
            put(out, paint, &line);
            line = vec![(' ', None); hang];
        }
        for letter in word {
            if line.len() >= room && letter.0 != ' ' {
                put(out, paint, &line);
                line = vec![(' ', None); hang];
            }
            line.push(*letter);
        }
    }
    put(out, paint, &line);
}

type Letter = (char, Option<Ink>);

/// Words, each with the spaces behind it; spaces before the first are a word.
fn words(letters: &[Letter]) -> impl Iterator<Item = &[Letter]> {
    letters.chunk_by(|(one, _), (next, _)| *one != ' ' || *next == ' ')
}

fn put(out: &mut String, paint: &dyn Fn(Ink, &str) -> String, line: &[Letter]) {
    let end = line.iter().rposition(|(letter, _)| *letter != ' ').map_or(0, |last| last + 1);
    for run in line[..end].chunk_by(|(_, one), (_, next)| one == next) {
        let text: String = run.iter().map(|(letter, _)| letter).collect();
        match run.first().and_then(|(_, ink)| *ink) {
            Some(ink) => out.push_str(&paint(ink, &text)),
            None => out.push_str(&text),
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(room: usize, pieces: &[(Option<Ink>, &str)], expected: &str) {
        let mut out = String::new();
        lines(&mut out, &|_, text| format!("<{text}>"), room, 2, pieces);
        assert_eq!(out, expected);
    }

    #[test]
    fn lines_break_at_words_and_colours_with_them() {
        let pieces = [(None, "one "), (Some(Ink::Bad), "two three"), (None, ", four  ")];
        check(99, &pieces, "one <two three>, four\n");
        check(10, &pieces, "one <two>\n  <three>,\n  four\n");
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken_and_nothing_is_lost() {
        check(6, &[(None, "  abcdefghij k")], "  abcd\n  efgh\n  ij k\n");
        check(6, &[], "\n");
    }
}
