//! `*` inside one segment.

use std::fmt;

/// Text with `*` in it, for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::route) struct Glob {
    /// What stands between the stars; at least two pieces, and only the first and last may be empty.
    pieces: Box<[Box<str>]>,
}

impl Glob {
    /// `pieces` as [`Glob`] holds them.
    pub(super) fn new(pieces: Box<[Box<str>]>) -> Self {
        debug_assert!(pieces.len() >= 2, "a glob has a star");
        Self { pieces }
    }

    /// Whether `text` matches. Never if it is empty. Linear in its length per piece, without backtracking.
    pub(in crate::route) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.pieces else { return false };
        let inside = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
        let Some(mut rest) = inside.filter(|_| !text.is_empty()) else { return false };
        for piece in middle {
            match rest.find(&**piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        true
    }

    /// Whether every text that `other` matches is matched by `self` too; may say no when it is hard to tell.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // No piece holds a star, so the stars of `other` can only fall to stars of `self`.
        self.matches(&other.to_string())
    }

    /// Whether some text matches both.
    pub(in crate::route) fn overlaps(&self, other: &Self) -> bool {
        overlap(self.to_string().as_bytes(), other.to_string().as_bytes())
    }

    /// `*` alone.
    pub(super) fn is_any(&self) -> bool {
        self.pieces.iter().all(|piece| piece.is_empty())
    }

    /// What comes before the first star.
    pub(in crate::route) fn head(&self) -> &str {
        &self.pieces[0]
    }

    /// Bytes that are not stars.
    pub(in crate::route) fn literal_len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    pub(super) fn push_sample(&self, out: &mut String) {
        for (n, piece) in self.pieces.iter().enumerate() {
            out.push_str(if n == 0 { "" } else { "~" });
            out.push_str(piece);
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, piece) in self.pieces.iter().enumerate() {
            write!(f, "{}{piece}", if n == 0 { "" } else { "*" })?;
        }
        Ok(())
    }
}

/// Whether some text matches both patterns: the classic table, one row at a time.
fn overlap(a: &[u8], b: &[u8]) -> bool {
    // `row[j]`: the pattern left of `i` in `a` and left of `j` in `b` can match the same text.
    let mut row = vec![false; b.len() + 1];
    for i in 0..=a.len() {
        let mut diagonal = false;
        for j in 0..=b.len() {
            let above = row[j];
            let left = j > 0 && row[j - 1];
            let is_start = i == 0 && j == 0;
            let is_same = i > 0 && j > 0 && a[i - 1] == b[j - 1] && diagonal;
            // A star takes nothing more, or one more byte (or star) of the other.
            let by_a = i > 0 && a[i - 1] == b'*' && (above || left);
            let by_b = j > 0 && b[j - 1] == b'*' && (above || left);
            row[j] = is_start || is_same || by_a || by_b;
            diagonal = above;
        }
    }
    row[b.len()]
}
