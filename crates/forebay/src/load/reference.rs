//! What the reference page says of the languages within a plan: values, thresholds, places in JSON.

use forebay_load::template;
use forebay_load::threshold::words::{CLOCKS, MEASURES, OPERATORS, SELECTORS, STATISTICS, UNITS, Word};
use forebay_load::threshold::{Threshold, Unit};

/// Conditions whose fewest samples the page tells.
const FLOORS: [&str; 9] = [
    "p(50)<1s",
    "p(90)<1s",
    "p(95)<1s",
    "p(99)<1s",
    "p(99.9)<1s",
    "avg<1s",
    "errors<1%",
    "errors<0.1%",
    "availability>99.99%",
];

/// What follows the tables of keys, in Markdown.
pub(super) fn languages() -> String {
    let mut page = String::new();
    values(&mut page);
    thresholds(&mut page);
    samples(&mut page);
    answers(&mut page);
    page
}

fn values(page: &mut String) {
    page.push_str(
        "
## Values

Between braces in paths, headers, `body`, `json` and `-d`:

| written | stands for |
|---|---|
| `{{ name }}` | an entry of `variables`, a column of a feeder, or what an earlier step captured |
",
    );
    for (written, doc) in template::BUILTINS {
        page.push_str(&format!("| `{{{{ {written} }}}}` | {doc} |\n"));
    }
    page.push_str(
        "| `{{{{` | two braces |

- What is by chance follows from `seed`: the same seed, the same values.
- In a path, what cannot stand there is percent-encoded; `/`, `?`, `&` and `%` of a value mean what they mean there. In
  a body a value is put in as it is, without escapes.
- An entry of `variables` may use those above it; it is filled in once, when the plan is read.
- A `json` body keeps the order of its keys and every digit of its numbers. A value in it is part of a text:
  `json: {id: \"{{ n }}\"}` sends `{\"id\":\"7\"}`. For a number write the text yourself, and the header
  `content-type: application/json`: `body: '{\"id\": {{ n }}}'`.
",
    );
}

fn thresholds(page: &mut String) {
    page.push_str(
        "
## Thresholds

A measure, perhaps a selector, a comparison, a limit: `p(99){step:login}<200ms`, `errors<0.1%`, `throughput>1000/s`. The
same in `thresholds`, `--threshold` and `--slo`. A step, stage or tag that the plan does not have is an error when it is
read.

| measure | what is looked at |
|---|---|
",
    );
    rows(page, &STATISTICS, |name| format!("`{name}`"), |word| format!("of response times: {}", word.doc));
    rows(page, &MEASURES, |name| format!("`{name}`"), |word| word.doc.to_owned());
    page.push_str("\nBefore a statistic of times stands which time, as in `service_p(99)<50ms`:\n\n");
    page.push_str("| prefix | time |\n|---|---|\n");
    rows(page, &CLOCKS, |name| format!("`{name}`"), |word| word.doc.to_owned());
    page.push_str("\n| comparison | |\n|---|---|\n");
    rows(page, &OPERATORS, |name| format!("`{name}`"), |word| word.doc.to_owned());
    page.push_str("\n| unit | of | |\n|---|---|---|\n");
    let of = |unit: Unit| match unit {
        Unit::Seconds => "a time",
        Unit::Share => "a share",
        Unit::PerSecond => "a rate",
        Unit::Number => "`count`",
    };
    let unit = |name: &str| if name.is_empty() { "none".to_owned() } else { format!("`{name}`") };
    rows(page, &UNITS, unit, |word| format!("{} | {}", of(word.means.0), word.doc));
    page.push_str(
        "\nWithout a selector it is all requests, warm-up left out. Of several, with commas, all must fit.\n",
    );
    page.push_str("\n| selector | which requests |\n|---|---|\n");
    rows(page, &SELECTORS, |name| format!("`{name}`"), |word| word.doc.to_owned());
}

fn rows<T>(
    page: &mut String,
    words: &[Word<T>],
    name: impl Fn(&str) -> String,
    doc: impl Fn(&Word<T>) -> String,
) {
    for word in words {
        let names: Vec<_> = word.names.iter().map(|one| name(one)).collect();
        page.push_str(&format!("| {} | {} |\n", names.join(", "), doc(word)));
    }
}

fn samples(page: &mut String) {
    page.push_str(
        "
### How many requests a verdict takes

Of each threshold it is told between which values the true one lies, with a confidence of 95 %. It **passes** if all of
that range is within the limit, **fails** if none of it is, and is **inconclusive** in between or with too few requests:
then the run shows neither, and it takes more of them, that is a higher rate or more time. `==` and `!=`, `min` and `max`
speak of the run alone. With fewer requests than these a threshold never passes, even if all of them are good:

| threshold | requests |
|---|---|
",
    );
    for text in FLOORS {
        if let Ok(threshold) = Threshold::parse(text) {
            page.push_str(&format!("| `{text}` | {} |\n", grouped(threshold.samples_min())));
        }
    }
    page.push_str(
        "
The run passes if all thresholds do, fails if one does, and is otherwise inconclusive. If no threshold for all requests
is about errors, `availability`, `not_started` or `throughput`, `errors<1%` is implied; a run in which nothing was ok
always fails. It is **invalid**, whatever its thresholds say, if the generator itself was late or busy: then the figures
say nothing about the target.
",
    );
}

fn answers(page: &mut String) {
    page.push_str(
        "
## Places in JSON

`capture` and `expect` name a value by the path to it: `$.items[0].id`, `$['unit-price']`; the `$` may be left out. What
could stand for several values (`..`, `*`, slices, filters) is refused.

- **Captured** is a text as it is, without its quotes, and anything else as it is written: `42`, `true`, `[1, 2]`, up to
  64 KiB.
- **Expected** is just this value, numbers by what they are worth: `{$.amount: 2}`. `*` expects that there is one,
  whatever it is; `null` expects null. `~` or nothing means null as well, and is warned of.
",
    );
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_every_word_and_the_fewest_samples() {
        let page = languages();
        let words =
            MEASURES.iter().flat_map(|word| word.names).chain(CLOCKS.iter().flat_map(|word| word.names));
        for word in words.chain(SELECTORS.iter().flat_map(|word| word.names)) {
            assert!(page.contains(&format!("`{word}`")), "{word}");
        }
        for (condition, least) in [("p(95)<1s", "59"), ("p(99)<1s", "299"), ("p(99.9)<1s", "2,995")] {
            assert!(page.contains(&format!("| `{condition}` | {least} |")), "{page}");
        }
        assert_eq!(page.matches(" | 1 |").count(), 0, "every one of them needs more than one");
    }
}
