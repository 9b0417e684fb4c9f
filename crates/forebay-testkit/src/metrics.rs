//! Reading Prometheus text, for checks that numbers add up.

/// The sum of all series of `text` that `series` means: `name` or `name{label="value",…}`; series with more
/// labels than asked for are meant too. `None` when there is none.
#[must_use]
pub fn sum(text: &str, series: &str) -> Option<f64> {
    let (name, wanted) = parts(series);
    let mut total = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((found, value)) = line.rsplit_once(' ') else { continue };
        let (found_name, labels) = parts(found);
        if found_name == name && wanted.iter().all(|label| labels.contains(label)) {
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("not a sample: {line}"));
            total = Some(total.unwrap_or(0.0) + value);
        }
    }
    total
}

/// A series' name and its labels as `name="value"`.
fn parts(series: &str) -> (&str, Vec<&str>) {
    let Some((name, labels)) = series.trim().split_once('{') else { return (series.trim(), Vec::new()) };
    (name, split_labels(labels.trim_end_matches('}')))
}

/// Splits at the commas between labels, not at those inside of values.
fn split_labels(labels: &str) -> Vec<&str> {
    let (mut found, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                found.push(labels[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(labels[start..].trim());
    found.retain(|label| !label.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a b\na_total{x=\"1\",y=\"p,q\"} 2\na_total{x=\"2\",y=\"p,q\"} 3\nb 4.5\n";

    #[test]
    fn labels_choose_and_the_rest_adds_up() {
        assert_eq!(sum(TEXT, "a_total"), Some(5.0));
        assert_eq!(sum(TEXT, "a_total{x=\"2\"}"), Some(3.0));
        assert_eq!(sum(TEXT, "a_total{y=\"p,q\"}"), Some(5.0));
        assert_eq!(sum(TEXT, "b"), Some(4.5));
        assert_eq!(sum(TEXT, "a_total{x=\"3\"}"), None);
    }
}
