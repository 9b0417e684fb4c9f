//! Reads a file of endpoints: JSON or YAML, with the strictness of settings.

use std::path::Path;

use forebay_net::address::Address;
use forebay_proxy::supervisor::{ENDPOINTS_MAX, Found};

use super::keys::ENDPOINTS;
use super::problems::{Problems, Spanned};
use super::read::{self, short};
use super::value::{Fields, Value};
use super::yaml::{self, Entry, Kind, Node};

/// What a file of endpoints lists: a list, or a map with `endpoints`, of addresses such as `10.0.0.7:8080` or of
/// maps with `address` and perhaps `weight` and `priority`. `path` is for messages.
///
/// # Errors
/// The first problem, with its place, and how many more there are.
pub fn read_endpoints(content: &[u8], path: &Path) -> Result<Vec<Found>, String> {
    let name = path.display().to_string();
    let text = std::str::from_utf8(content).map_err(|_| format!("{name}: it is not UTF-8"))?;
    let mut problems = Problems::new(&name);
    let tree = yaml::parse(text, ENDPOINTS.hints, &mut problems);
    let fields = tree.and_then(|tree| read::read(whole(tree), &ENDPOINTS, &mut problems));
    let found = fields.map(|fields| endpoints(&fields, &mut problems)).unwrap_or_default();
    let problems = problems.sorted();
    match problems.as_slice() {
        [] => Ok(found),
        [first] => Err(first.to_string()),
        [first, more @ ..] => Err(format!("{first}; and {} more", more.len())),
    }
}

/// A list alone means `endpoints`.
fn whole(tree: Node) -> Node {
    let at = tree.at;
    match tree.kind {
        Kind::List(_) => {
            let entry = Entry { key: "endpoints".into(), at, value: tree };
            Node { at, kind: Kind::Map(vec![entry]) }
        }
        _ => tree,
    }
}

fn endpoints(fields: &Fields, problems: &mut Problems) -> Vec<Found> {
    let items = fields.list("endpoints");
    if let Some(one_more) = items.get(ENDPOINTS_MAX) {
        problems.error(one_more.at, format!("more than {ENDPOINTS_MAX} endpoints"));
        return Vec::new();
    }
    let mut all: Vec<Found> = Vec::with_capacity(items.len());
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    for item in items {
        let (text, weight, priority) = match &item.value {
            Value::Text(text) => (item.with(text.as_str()), 1, 0),
            Value::Table(long) => match long.text("address") {
                Some(text) => (text, long.count("weight").unwrap_or(1), long.count("priority").unwrap_or(0)),
                None => continue,
            },
            _ => continue,
        };
        match address(&text) {
            Some(address) if seen.insert(address.clone()) => all.push(Found { address, weight, priority }),
            Some(address) => {
                problems.error_fix(text.at, format!("{address} stands twice"), "keep one of them")
            }
            None => problems.error_fix(
                text.at,
                format!("`{}` is no IP address with a port", short(text.value)),
                "write, for example, `10.0.0.7:8080`; names belong into the settings",
            ),
        }
    }
    all
}

fn address(text: &Spanned<&str>) -> Option<Address> {
    Address::parse(text.value).filter(|address| address.ip().is_none_or(|address| address.port() != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &str, expected: Result<&[(&str, u32, u8)], &str>) {
        let found = read_endpoints(content.as_bytes(), Path::new("e.json"));
        let found = found.map(|found| {
            let shown = found.iter().map(|found| (found.address.to_string(), found.weight, found.priority));
            shown.collect::<Vec<_>>()
        });
        let expected = expected.map_err(str::to_owned).map(|all| {
            let all = all.iter().map(|(address, weight, priority)| (address.to_string(), *weight, *priority));
            all.collect::<Vec<_>>()
        });
        assert_eq!(found, expected, "{content}");
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let both: &[(&str, u32, u8)] = &[("10.0.0.7:80", 1, 0), ("[::1]:80", 3, 1)];
        check(r#"["10.0.0.7:80", {"address": "[::1]:80", "weight": 3, "priority": 1}]"#, Ok(both));
        check(
            r#"{"endpoints": ["10.0.0.7:80", {"address": "[::1]:80", "weight": 3, "priority": 1}]}"#,
            Ok(both),
        );
        check("- 10.0.0.7:80\n- {address: \"[::1]:80\", weight: 3, priority: 1}\n", Ok(both));
        check("endpoints: []\n", Ok(&[]));
        check("[]", Ok(&[]));
    }

    #[test]
    fn a_mistake_says_where_it_is() {
        check("", Err("e.json: error: the file is empty; write `[]` for no endpoints"));
        check(
            "- a.test:80\n- 10.0.0.7\n",
            Err(
                "e.json:1:3: error: `a.test:80` is no IP address with a port; write, for example, `10.0.0.7:8080`; \
                 names belong into the settings; and 1 more",
            ),
        );
        check(
            r#"{"endpoints": [{"adress": "10.0.0.7:80"}]}"#,
            Err("e.json:1:17: error: unknown key `adress`; did you mean `address`?"),
        );
        check(
            "[10.0.0.7:80, 10.0.0.7:80]",
            Err("e.json:1:15: error: 10.0.0.7:80 stands twice; keep one of them"),
        );
        check("a: b\n", Err("e.json:1:1: error: unknown key `a`; known here: `endpoints`; and 1 more"));
        assert_eq!(read_endpoints(b"\xff", Path::new("e.json")), Err("e.json: it is not UTF-8".to_owned()));
        let many: Vec<_> = (1..=1_001).map(|port| format!("10.0.0.7:{port}")).collect();
        let found = read_endpoints(format!("[{}]", many.join(",")).as_bytes(), Path::new("e.json"));
        assert!(found.is_err_and(|wrong| wrong.ends_with("error: more than 1000 endpoints")));
    }
}
