//! Which known name did the writer mean?

/// Names longer than this are compared by their beginning only.
const NAME_MAX: usize = 64;

/// The known name that is closest to `name`, if one is close enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = folded(name);
    let allowed = (name.len() / 3).clamp(1, 3);
    let close = known.into_iter().map(|known| (distance(&name, &folded(known)), known));
    let (edits, known) = close.min_by_key(|(edits, _)| *edits)?;
    (edits <= allowed).then_some(known)
}

/// Letters in lower case and `-` as `_`: the differences that never carry meaning.
fn folded(name: &str) -> Vec<char> {
    let fold = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    name.chars().take(NAME_MAX).map(fold).collect()
}

/// How many letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut edits = replaced.min(last[column + 1] + 1).min(this[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                edits = edits.min(before[column - 1] + 1);
            }
            this.push(edits);
        }
        before = std::mem::replace(&mut last, this);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>) {
        let known = ["listen", "limits", "routes", "services", "body_max", "to", "token"];
        assert_eq!(nearest(name, known), expected, "{name}");
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        check("lisen", Some("listen"));
        check("lsiten", Some("listen"));
        check("Routes", Some("routes"));
        check("route", Some("routes"));
        check("body-max", Some("body_max"));
        check("servcies", Some("services"));
        check("toe", Some("to"));
    }

    #[test]
    fn a_different_word_is_not() {
        check("upstream", None);
        check("x", None);
        check("", None);
    }

    #[test]
    fn distances_are_counted() {
        let count = |a: &str, b: &str| distance(&folded(a), &folded(b));
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", ""), 3);
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("ab", "ba"), 1);
        assert_eq!(count("same", "same"), 0);
    }
}
