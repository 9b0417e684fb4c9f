//! Which known word did the writer mean?

/// Words longer than this are compared by their beginning only.
const WORD_MAX: usize = 40;

/// The known word that is closest to `word`, if one is close enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(WORD_MAX).collect();
    let allowed = (word.len() / 3).clamp(1, 3);
    let close = known.into_iter().map(|known| (distance(&word, known), known));
    close.filter(|(edits, _)| *edits <= allowed).min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// How many letters to insert, delete or replace.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            this.push(replaced.min(last[column + 1] + 1).min(this[column] + 1));
        }
        last = this;
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["errors", "throughput", "avg"];
        let found = |word| nearest(word, known);
        assert_eq!(found("error"), Some("errors"));
        assert_eq!(found("troughput"), Some("throughput"));
        assert_eq!(found("agv"), None);
        assert_eq!(found(""), None);
    }
}
