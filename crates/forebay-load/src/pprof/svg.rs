//! A flame graph as a picture that needs nothing else: no script, no font, no other file.

use std::fmt::Write as _;

use super::Profile;
use super::flame::{Flame, Frame};

/// Width of the picture, in its own units; it is scaled to where it is shown.
const WIDTH: f64 = 1_200.0;
/// Height of one frame.
const ROW: u32 = 17;
/// Room above for the title and the total.
const TOP: u32 = 44;
/// Depth that is drawn.
const DEPTH_MAX: u32 = 100;
/// Width of a letter: those of the font are at most as wide.
const LETTER: f64 = 6.8;
/// A frame narrower than this is not drawn.
const NARROWEST: f64 = 0.4;

/// The profile as a flame graph: callers on top, width by value, an explanation under the pointer.
#[must_use]
pub fn flame_svg(profile: &Profile, title: &str) -> String {
    profile.flame().svg(title)
}

impl Flame {
    /// The picture, as an `svg` element that can stand within a page or in a file.
    #[must_use]
    pub fn svg(&self, title: &str) -> String {
        let deepest = self.drawn().map(|frame| frame.depth + 1).max().unwrap_or(1);
        let height = TOP + deepest * ROW + 6;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" role=\"img\" \
             font-family=\"ui-monospace, monospace\" font-size=\"11\" aria-label=\"{}\">",
            escaped(title)
        );
        svg.push_str("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
        text(&mut svg, 6.0, 18, title, WIDTH - 12.0);
        text(&mut svg, 6.0, 36, &self.caption(), WIDTH - 12.0);
        for frame in self.drawn() {
            self.draw(&mut svg, frame);
        }
        svg.push_str("</svg>");
        svg
    }

    /// An amount in words: `1.52 s`, `3.1 MiB`, `42 objects`.
    #[must_use]
    pub fn amount(&self, value: u64) -> String {
        amount(value, &self.unit)
    }

    fn caption(&self) -> String {
        let all = self.amount(self.total);
        match self.nanos {
            _ if self.total == 0 => format!("{}: nothing was seen", self.kind),
            0 => format!("{}: {all}", self.kind),
            nanos => format!("{}: {all} in {}", self.kind, amount(nanos, "nanoseconds")),
        }
    }

    fn drawn(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().filter(|frame| frame.depth < DEPTH_MAX && self.place(frame).1 >= NARROWEST)
    }

    /// From where, and how wide.
    fn place(&self, frame: &Frame) -> (f64, f64) {
        let scale = WIDTH / (self.total.max(1)) as f64;
        (frame.start as f64 * scale, (frame.value as f64 * scale).min(WIDTH))
    }

    fn draw(&self, svg: &mut String, frame: &Frame) {
        let (x, width) = self.place(frame);
        let y = TOP + frame.depth * ROW;
        let share = frame.value as f64 * 100.0 / self.total.max(1) as f64;
        // Writing to a string cannot fail.
        let _ = write!(
            svg,
            "<g><title>{}: {} ({share:.1} %), {} in itself</title>\
             <rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" rx=\"1\" fill=\"{}\" stroke=\"#fff\" stroke-width=\".5\"/>",
            escaped(&frame.name),
            self.amount(frame.value),
            self.amount(frame.own),
            ROW - 1,
            colour(&frame.name)
        );
        text(svg, x + 3.0, y + 12, &frame.name, width - 6.0);
        svg.push_str("</g>");
    }
}

/// As much of the text as fits; nothing when that says nothing.
fn text(svg: &mut String, x: f64, y: u32, text: &str, width: f64) {
    let fit = (width / LETTER) as usize;
    if fit < 3 {
        return;
    }
    let mut shown: String = text.chars().take(fit).collect();
    if text.chars().nth(fit).is_some() {
        shown.pop();
        shown.push('…');
    }
    // Writing to a string cannot fail.
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" fill=\"#1a1a1a\">{}</text>", escaped(&shown));
}

/// A warm colour that the same name has in every picture; dark text is readable on it.
fn colour(name: &str) -> String {
    // FNV-1a: few lines, and names that differ in a letter differ in colour.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("hsl({} {}% {}%)", 18 + hash % 38, 70 + hash / 64 % 20, 64 + hash / 4_096 % 12)
}

fn amount(value: u64, unit: &str) -> String {
    let scaled = |steps: &[(f64, &str)]| {
        let step = steps.iter().find(|(size, _)| value as f64 >= *size).or(steps.last());
        step.map_or_else(String::new, |(size, name)| format!("{:.2} {name}", value as f64 / size))
    };
    match unit {
        "nanoseconds" => scaled(&[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")]),
        "bytes" => scaled(&[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "B")]),
        "count" => value.to_string(),
        other => format!("{value} {other}"),
    }
}

/// Text that can stand in an element or an attribute. What XML has no place for is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}
