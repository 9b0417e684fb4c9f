//! What the functions are called whose addresses were seen.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::Modules;

/// Characters of a name that are kept: some name every type they are made for.
const NAME_MAX: usize = 400;

/// Names by address.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<u64, String>,
}

/// Looks up all of them. A function that has no name is called by its file; those that were inlined are part of
/// the function they are in.
pub(super) fn find(modules: &Modules, addresses: BTreeSet<u64>) -> Names {
    let mut known = BTreeMap::new();
    for module in modules.iter() {
        let own: Vec<u64> = addresses
            .range(module.start..module.end)
            .map(|address| address.wrapping_sub(module.bias))
            .collect();
        let functions = module.image.as_ref().map(|image| image.functions(&own)).unwrap_or_default();
        for address in own {
            let name = functions.get(&address).map_or_else(|| module.name().to_owned(), |raw| readable(raw));
            known.insert(address.wrapping_add(module.bias), name);
        }
    }
    Names { known }
}

impl Names {
    pub(super) fn of(&self, address: u64) -> &str {
        self.known.get(&address).map_or("unknown code", |name| name)
    }
}

/// As it stands in the source, without the hash the compiler adds.
fn readable(raw: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(raw)).chars().take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_in_the_source() {
        let check = |raw, expected| assert_eq!(readable(raw), expected);
        check(
            "_ZN7forebay5admin3api6answer28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
            "forebay::admin::api::answer::{{closure}}",
        );
        check("_RNvCs1234_7mycrate3foo", "mycrate::foo");
        check("epoll_wait", "epoll_wait");
        assert_eq!(readable(&"x".repeat(10_000)).len(), NAME_MAX);
    }

    #[test]
    fn the_running_test_knows_its_name() {
        let modules = Modules::load().unwrap();
        let here = the_running_test_knows_its_name as fn() as usize as u64;
        let names = find(&modules, BTreeSet::from([here, 1]));
        assert_eq!(
            names.of(here),
            "forebay_telemetry::profile::names::tests::the_running_test_knows_its_name"
        );
        assert_eq!(names.of(1), "unknown code");
    }
}
