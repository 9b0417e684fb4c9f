//! Reads thresholds.

use super::show::tidy;
use super::words::{self, CLOCKS, MEASURES, OPERATORS, STATISTICS, UNITS};
use super::{Clock, Error, Measure, Op, Statistic, TEXT_MAX, Threshold, Unit};
use forebay_base::nearest::nearest;

/// Most key-value pairs of a selector.
const SELECT_MAX: usize = 16;

const EXAMPLES: &str = "`p(95)<100ms`, `errors<0.1%` or `throughput>1000/s`";

/// A threshold, cut up.
pub(super) struct Parts {
    pub(super) text: String,
    /// In lower case and without spaces.
    pub(super) word: String,
    pub(super) select: Vec<(String, String)>,
    pub(super) op: Op,
    /// With its unit, as written.
    pub(super) limit: String,
}

pub(super) fn threshold(text: &str) -> Result<Threshold, Error> {
    let parts = Parts::of(text)?;
    let measure = measure(&parts.word).map_err(|what| parts.error(what))?;
    if parts.word == "rate" && matches!(parts.op, Op::More | Op::AtLeast) {
        let what = "`rate` is the share of bad requests; for the good ones say `availability>99.9%`, for \
                    requests per second `throughput>1000/s`";
        return Err(parts.error(what));
    }
    parts.finish(measure)
}

impl Parts {
    pub(super) fn of(text: &str) -> Result<Self, Error> {
        let short: String = text.trim().chars().take(TEXT_MAX).collect();
        let wrong = |what: String| Error { text: short.clone(), what };
        if text.len() > TEXT_MAX {
            return Err(wrong(format!("it is longer than {TEXT_MAX} bytes")));
        }
        let at = operator_at(&short)
            .ok_or_else(|| wrong(format!("it compares nothing; write for example {EXAMPLES}")))?;
        let (left, right) = short.split_at(at);
        let (sign, op) = words::begins(&OPERATORS, right).ok_or_else(|| {
            wrong("unknown comparison; use one of `<`, `<=`, `>`, `>=`, `==`, `!=`".to_owned())
        })?;
        let limit = right[sign.len()..].trim().to_owned();
        if limit.is_empty() {
            return Err(wrong(format!("no limit after `{sign}`; write for example {EXAMPLES}")));
        }
        let (word, select) = measured(left).map_err(wrong)?;
        Ok(Self { text: short, word, select, op, limit })
    }

    pub(super) fn finish(self, measure: Measure) -> Result<Threshold, Error> {
        let limit = limit(&self.limit, measure).map_err(|what| self.error(what))?;
        let Self { text, word: _, select, op, limit: _ } = self;
        let threshold = Threshold { measure, select, op, limit };
        never_or_always(&threshold).map_or(Ok(threshold), |what| Err(Error { text, what: what.to_owned() }))
    }

    pub(super) fn error(&self, what: impl Into<String>) -> Error {
        Error { text: self.text.clone(), what: what.into() }
    }
}

/// Where the comparison begins: a tag may hold any sign, so braces are passed over.
fn operator_at(text: &str) -> Option<usize> {
    let mut within = false;
    text.char_indices().find_map(|(at, letter)| {
        match letter {
            '{' => within = true,
            '}' => within = false,
            _ => {}
        }
        (!within && "<>=!".contains(letter)).then_some(at)
    })
}

/// What is left of the comparison: a word and perhaps a selector.
pub(super) fn measured(left: &str) -> Result<(String, Vec<(String, String)>), String> {
    let squeezed = |text: &str| text.to_lowercase().split_whitespace().collect::<String>();
    let Some((word, rest)) = left.split_once('{') else { return Ok((squeezed(left), Vec::new())) };
    let Some((inside, "")) = rest.trim().split_once('}') else {
        return Err(
            "the selector must end with `}` before the comparison: `p(99){step:login}<200ms`".to_owned()
        );
    };
    Ok((squeezed(word), selector(inside)?))
}

fn selector(inside: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for pair in inside.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
        let (key, value) = (key.trim(), value.trim().trim_matches(['"', '\'']));
        if key.is_empty() || value.is_empty() {
            return Err(format!(
                "`{pair}` selects nothing: write `{{step:NAME}}`, `{{stage:NAME}}` or `{{TAG:VALUE}}`"
            ));
        }
        pairs.push((key.to_owned(), value.to_owned()));
    }
    match pairs.len() {
        0 => Err("the selector is empty: write `{step:NAME}`, `{stage:NAME}` or `{TAG:VALUE}`".to_owned()),
        1..=SELECT_MAX => Ok(pairs),
        _ => Err(format!("a selector has at most {SELECT_MAX} pairs")),
    }
}

pub(super) fn measure(word: &str) -> Result<Measure, String> {
    if let Some(measure) = words::find(&MEASURES, word) {
        return Ok(measure);
    }
    let (prefix, clock) = words::begins(&CLOCKS, word).unwrap_or(("", Clock::Response));
    if let Some(statistic) = statistic(&word[prefix.len()..])? {
        return Ok(Measure::Time(clock, statistic));
    }
    let measures = MEASURES.iter().flat_map(|word| word.names);
    let known = measures.chain(STATISTICS.iter().flat_map(|word| word.names)).copied();
    Err(match nearest(word, known) {
        _ if word.is_empty() => format!("nothing is left of the comparison; write for example {EXAMPLES}"),
        Some(meant) => format!("`{word}` is not measured; did you mean `{meant}`?"),
        None => {
            let times = STATISTICS.iter().map(|word| word.names[0]);
            let all: Vec<&str> = times.chain(MEASURES.iter().map(|word| word.names[0])).collect();
            let (last, others) = all.split_last().unwrap_or((&"", &[]));
            format!("`{word}` is not measured; known are {} and {last}, as in {EXAMPLES}", others.join(", "))
        }
    })
}

pub(super) fn statistic(word: &str) -> Result<Option<Statistic>, String> {
    words::find(&STATISTICS, word).map_or_else(|| percentile(word), |statistic| Ok(Some(statistic)))
}

/// `p(99.9)` or `p99.9`.
fn percentile(word: &str) -> Result<Option<Statistic>, String> {
    let Some(rest) = word.strip_prefix('p') else { return Ok(None) };
    let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if inner.is_none() && !rest.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Ok(None);
    }
    let number = inner.unwrap_or(rest);
    let percent = number.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent));
    let percent =
        percent.ok_or_else(|| format!("`{number}` is not a percentile; write 0 to 100 as in `p(99.9)`"))?;
    Ok(Some(match tidy(percent / 100.0) {
        0.0 => Statistic::Min,
        1.0 => Statistic::Max,
        quantile => Statistic::Quantile(quantile),
    }))
}

/// A number with a unit that fits the measure.
fn limit(text: &str, measure: Measure) -> Result<f64, String> {
    let end =
        text.find(|letter: char| !(letter.is_ascii_digit() || "+-._".contains(letter))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (number, unit) = (number.replace('_', ""), unit.trim());
    let number = number.parse::<f64>().map_err(|_| format!("`{text}` does not begin with a number"))?;
    let scale = scale(unit, measure)?;
    let limit = tidy(number * scale);
    if !limit.is_finite() || limit < 0.0 {
        return Err(format!("`{text}` is no limit: it must be 0 or more"));
    }
    if measure.unit() == Unit::Share && limit > 1.0 {
        return Err(format!("`{text}` is more than everything; a share is written `0.1%` or `0.001`"));
    }
    Ok(limit)
}

fn scale(unit: &str, measure: Measure) -> Result<f64, String> {
    let of = measure.unit();
    let fits = |known: &&words::Word<(Unit, f64)>| known.means.0 == of && known.names.contains(&unit);
    let found = match (unit, of) {
        // k6 has times in milliseconds; recovery it does not have.
        ("", Unit::Seconds) => (measure != Measure::Recovery).then_some(1e-3),
        ("", _) => Some(1.0),
        _ => UNITS.iter().find(fits).map(|known| known.means.1),
    };
    found.ok_or_else(|| {
        let help = match measure.unit() {
            Unit::Seconds => "a time has one of ns, us, ms, s, m and h, as in `200ms`",
            Unit::Share => "a share is written `0.1%` or `0.001`",
            Unit::PerSecond => "a rate is written `1000/s`",
            Unit::Number => "a number has no unit",
        };
        if unit.is_empty() {
            format!("the limit has no unit: {help}")
        } else {
            format!("unknown unit `{unit}`: {help}")
        }
    })
}

/// A condition that says nothing is a slip.
fn never_or_always(threshold: &Threshold) -> Option<&'static str> {
    let top = if threshold.measure.unit() == Unit::Share { 1.0 } else { f64::INFINITY };
    match threshold.op {
        Op::Less if threshold.limit == 0.0 => Some("nothing is below 0; say `<=0` or `==0`"),
        Op::More if threshold.limit >= top => Some("nothing is above 100 %; say `>=100%` or `==100%`"),
        Op::AtLeast if threshold.limit == 0.0 => Some("everything is at least 0"),
        Op::AtMost if threshold.limit >= top => Some("everything is at most 100 %"),
        _ => None,
    }
}
