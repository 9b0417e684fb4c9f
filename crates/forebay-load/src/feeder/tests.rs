//! Files that are read, and files that are refused.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn feeder(text: &str, order: Order) -> Result<Feeder, Error> {
    Feeder::parse("accounts", text, &Format::default(), order)
}

/// All rows, `|` between values.
fn rows(feeder: &Feeder) -> Vec<String> {
    let mut random = Random::from_seed(1);
    let row = |turn| {
        let row = feeder.row(turn, &mut random).unwrap();
        row.values().map(|(_, value)| value).collect::<Vec<_>>().join("|")
    };
    (0..feeder.rows() as u64).map(row).collect()
}

#[track_caller]
fn check(text: &str, columns: &[&str], expected: &[&str]) {
    let feeder = feeder(text, Order::Sequential).unwrap();
    assert_eq!(
        (feeder.columns(), rows(&feeder)),
        (
            &columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()[..],
            expected.iter().map(|r| (*r).to_owned()).collect()
        ),
        "{text:?}"
    );
}

#[test]
fn rows_are_read_as_the_rfc_has_them() {
    check("id,name\n1,a\n2,b\n", &["id", "name"], &["1|a", "2|b"]);
    check("id,name\r\n1,a\r\n2,b", &["id", "name"], &["1|a", "2|b"]);
    check("\u{feff}id\n1\n\n2\n\r\n", &["id"], &["1", "2"]);
    check("id,name\n,\n1,\n", &["id", "name"], &["|", "1|"]);
    check("id,name\n\"a,b\",\"c\"\"d\ne\"\n", &["id", "name"], &["a,b|c\"d\ne"]);
    check("id,name\n\"\",\" x \"\n", &["id", "name"], &["| x "]);
    check("id,name\n1,é\r", &["id", "name"], &["1|é"]);
}

#[test]
fn what_is_not_so_is_refused_with_its_line() {
    for (text, line, says) in [
        ("", 1, "the file is empty"),
        ("id,name\n", 0, "no row"),
        ("id,name\n1\n", 2, "1 values, but there are 2 columns"),
        ("id,name\n1,2\n\n1,2,3\n", 4, "3 values, but there are 2 columns"),
        ("id,name\n\"1\n2\",x\ny\n", 4, "1 values"),
        ("id\na\"b\n", 2, "a quote within a value"),
        ("id\n\"a\"b\n", 2, "something stands between"),
        ("id\n1\n\"a\n\n", 3, "no closing quote"),
        ("id,\n1,2\n", 1, "column 2: a name is missing"),
        ("id,id\n1,2\n", 1, "two columns are called `id`"),
        ("1,2\n3,4\n", 1, "column 1: `1` is not a name"),
        ("a b\n1\n", 1, "is not a name"),
    ] {
        let error = feeder(text, Order::Once).unwrap_err();
        assert!(error.line == line && error.what.contains(says), "{text:?}: {error}");
    }
    let wide = (0..=COLUMNS_MAX).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    assert!(feeder(&wide, Order::Once).unwrap_err().what.contains("columns"));
}

#[test]
fn delimiters_and_columns_may_be_given() {
    let parse = |delimiter, columns: Option<&[&str]>, text| {
        let columns = columns.map(|columns| columns.iter().map(|c| (*c).to_owned()).collect());
        Feeder::parse("x", text, &Format { delimiter, columns }, Order::Sequential)
            .map(|feeder| rows(&feeder))
    };
    assert_eq!(parse(';', None, "a;b\n1,5;2\n"), Ok(vec!["1,5|2".to_owned()]));
    assert_eq!(parse('\t', Some(&["a", "b"]), "1\t2\n"), Ok(vec!["1|2".to_owned()]));
    for delimiter in ['"', '\n', 'é'] {
        assert!(parse(delimiter, None, "a\n1\n").is_err());
    }
}

#[test]
fn the_order_says_which_row_is_next() {
    let taken = |order| {
        let feeder = feeder("id\n1\n2\n3\n", order).unwrap();
        let mut variables = Variables::new(Arc::from([]), 0, Random::from_seed(1));
        (0..60)
            .map(|turn| feeder.feed(turn, &mut variables).then(|| variables.get("id").unwrap()[0] - b'0'))
            .collect::<Vec<_>>()
    };
    assert_eq!(taken(Order::Sequential)[..5], [Some(1), Some(2), Some(3), Some(1), Some(2)]);
    assert_eq!(taken(Order::Once)[..5], [Some(1), Some(2), Some(3), None, None]);
    let random = taken(Order::Random);
    assert!((1..=3).all(|id| random.iter().filter(|taken| **taken == Some(id)).count() > 5), "{random:?}");
}

proptest! {
    #[test]
    fn whatever_is_quoted_comes_back(values in prop::collection::vec("[a-c\",\n\r é]{0,6}", 1..12)) {
        let quoted = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
        let lines: Vec<_> = values.chunks_exact(2).map(|pair| format!("{},{}", quoted(&pair[0]), quoted(&pair[1]))).collect();
        prop_assume!(!lines.is_empty());
        let feeder = feeder(&format!("a,b\n{}\n", lines.join("\n")), Order::Sequential).unwrap();
        let mut random = Random::from_seed(1);
        let read: Vec<_> = (0..feeder.rows() as u64)
            .flat_map(|turn| feeder.row(turn, &mut random).unwrap().values().map(|(_, value)| value.to_owned()).collect::<Vec<_>>())
            .collect();
        prop_assert_eq!(&read[..], &values[..read.len()]);
    }

    #[test]
    fn no_text_is_a_panic(text in "[a\",\n\r;é]{0,30}") {
        let _ = feeder(&format!("a,b\n{text}"), Order::Once);
    }
}
