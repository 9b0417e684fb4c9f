//! What is said about conditions that could never hold.

use super::*;

/// Two steps, three stages, a scenario nobody runs.
const SHOP: &str = "\
target: http://127.0.0.1:8080
stages: [{duration: 5s, rate: 10, warmup: true, name: warm}, {duration: 30s, rate: 50, name: low}, {duration: 30s, rate: 90, name: high}]
scenarios:
  - {name: browse, tags: {kind: read}, steps: [{get: /items, name: list}]}
  - {name: buy, tags: {kind: write}, steps: [{post: /cart, name: cart}]}
  - {name: admin, weight: 0, steps: [{get: /admin, name: admin}]}
processes: {api: {command: api, restart: 1s}}
";

/// What is said of a condition, besides where it stands and how it is written.
fn said(plan: &str, condition: &str) -> String {
    let found = problems(&format!("{plan}thresholds: ['{condition}']\n"));
    let at = format!("{}:14: error: `{condition}`: ", plan.lines().count() + 1);
    match found.as_slice() {
        [] => String::new(),
        [one] => one.strip_prefix(&at).unwrap_or_else(|| panic!("{one}")).to_owned(),
        more => panic!("{condition}: {more:#?}"),
    }
}

fn check(condition: &str, expected: &str) {
    assert_eq!(said(SHOP, condition), expected, "{condition}");
}

#[test]
fn what_the_plan_has_can_be_selected() {
    for select in
        ["step:list", "name:cart", "stage:high", "kind:read", "scenario:buy", "step:cart,kind:write"]
    {
        check(&format!("p(50){{{select}}}<1s"), "");
    }
    check("p(50){stage:low,step:list}<1s", "");
}

#[test]
fn what_the_plan_does_not_have_is_told_with_what_was_meant() {
    check("p(50){step:lisst}<1s", "there is no step `lisst`; did you mean `list`?");
    check("p(50){step:nope}<1s", "there is no step `nope`; there are `list` and `cart`");
    check("p(50){stage:hihg}<1s", "there is no stage `hihg`; did you mean `high`?");
    check("p(50){stage:nope}<1s", "there is no stage `nope`; there are `low` and `high`");
    check("p(50){kind:rad}<1s", "there is no tag `kind` with the value `rad`; did you mean `read`?");
    check("p(50){knd:read}<1s", "there is no tag `knd`; did you mean `kind`?");
    check("p(50){scenario:by}<1s", "there is no scenario `by`; did you mean `buy`?");
    let one = said(BASE, "max{step:nope}<1s");
    assert_eq!(one, "there is no step `nope`; there is only `GET /`");
}

#[test]
fn what_is_never_sent_or_judged_is_told() {
    check("p(50){stage:warm}<1s", "the stage `warm` is warm-up, which is not judged; name another stage");
    check(
        "p(50){step:admin}<1s",
        "what has the step `admin` is never sent: its scenario has the weight 0; give the scenario a `weight`, or \
         leave the threshold out",
    );
    check("p(50){stage:low,stage:high}<1s", "no request is in two stages; write a threshold for each");
    check("p(50){step:list,kind:write}<1s", "no step is all of this at once; write a threshold for each");
    let idle = BASE.replace("30s@50", "'30s@50, 30s@0'");
    assert_eq!(said(&idle, "max{stage:0/s}<1s"), "nothing is sent in the stage `0/s`; name another stage");
}

#[test]
fn recovery_needs_something_to_recover_from() {
    check(
        "recovery<30s",
        "the plan breaks nothing, so there is nothing to recover from; add `faults`, or leave it out",
    );
    let broken = format!("{SHOP}faults: [{{at: 20s, kill: api}}]\n");
    assert_eq!(said(&broken, "recovery<30s"), "");
    assert_eq!(
        said(&broken, "recovery{step:list}<30s"),
        "recovery is of the whole test, not of some requests; leave out the braces"
    );
}

#[test]
fn conditions_of_flags_are_held_against_the_plan_as_well() {
    let plan = load_ok(SHOP);
    let given =
        ["p(50){step:lisst}<1s", "recovery<1s", "max<1s"].map(|text| threshold(text).expect("it is one"));
    assert_eq!(
        lines(&unmet(&plan, "--threshold", &given)),
        [
            "--threshold: error: `p(50){step:lisst}<1s`: there is no step `lisst`; did you mean `list`?",
            "--threshold: error: `recovery<1s`: the plan breaks nothing, so there is nothing to recover from; add \
             `faults`, or leave it out",
        ]
    );
}

#[test]
fn stages_that_flags_have_replaced_are_told_of() {
    let changes = Changes { levels: levels::parse("5", levels::Unit::Rate).ok(), ..Changes::default() };
    let text = format!("{SHOP}thresholds: ['p(50){{stage:low}}<1s']\n");
    let found =
        read_with(&text, Path::new("/nowhere"), &changes).expect_err("there is no such stage any more");
    assert_eq!(
        lines(&found),
        [
            "plan.yaml:8:14: error: `p(50){stage:low}<1s`: there is no stage `low`; there is only `5/s`; flags have \
             replaced the stages of the plan"
        ]
    );
}

#[test]
fn faults_come_while_the_test_lasts_and_leave_time_to_heal() {
    let check = |lines: &str, expected: &str| {
        let found = problems(&format!("{SHOP}{lines}\n"));
        assert_eq!(found.concat(), expected, "{lines}");
    };
    check("faults: [{at: 64s, kill: api}]", "");
    check(
        "faults: [{at: 1s, kill: api}, {at: 65s, kill: api}]",
        "8:36: error: the fault would begin after 1m5s, and the test takes 1m5s; make the stages longer, or break \
         things earlier",
    );
    check(
        "faults: [{at: 1s, kill: api}]\ncycles: {count: 3, every: 1m}",
        "9:1: error: the last cycle would begin after 2m1s, and the test takes 1m5s; make the stages longer, or break \
         things earlier",
    );
    check("faults: [{at: 20s, kill: api}]\nrecovered: {hold: 40s}", "");
    check(
        "faults: [{at: 20s, kill: api}]\nrecovered: {hold: 1h}",
        "8:15: error: recovered is what has been well for 1h, and after the end of this fault, at 21s, there is less \
         until the next one or the end of the test, at 1m5s; leave more time after the fault, or shorten `hold` of \
         `recovered`",
    );
    check(
        "faults: [{at: 20s, kill: api}, {at: 30s, pause: api, for: 1s}]\nthresholds: [recovery<1m]",
        "8:15: error: recovered is what has been well for 10s, and after the end of this fault, at 21s, there is less \
         until the next one or the end of the test, at 30s; leave more time after the fault, or shorten `hold` of \
         `recovered`",
    );
}

#[test]
fn what_is_about_faults_or_processes_needs_some() {
    let check = |line: &str, expected: &str| {
        let found = problems(&format!("{BASE}{line}\n"));
        assert_eq!(found, [format!("4:1: error: {expected}")], "{line}");
    };
    check(
        "cycles: {count: 2, every: 1s}",
        "`cycles` goes through the faults again, and there are none; add `faults`, or leave it out",
    );
    check(
        "recovered: {hold: 5s}",
        "`recovered` says when a fault is over, and there is none; add `faults`, or leave it out",
    );
    check(
        "logs: folder",
        "`logs` is for the output of processes, and none are started; add `processes`, or leave it out",
    );
    let found = problems(&format!("{SHOP}faults: [{{at: 1s, kill: apo}}]\nwatch: {{w: {{process: aip}}}}\n"));
    assert_eq!(
        found,
        [
            "8:25: error: there is no process `apo`; did you mean `api`?",
            "9:22: error: there is no process `aip`; did you mean `api`?",
        ]
    );
}

#[test]
fn every_selector_of_the_reference_selects() {
    let plan = "\
target: http://127.0.0.1:8080
stages: [{duration: 30s, rate: 50, name: peak}]
scenarios: [{name: buy, tags: {kind: write}, steps: [{get: /items, name: login}]}]
";
    for word in &forebay_load::threshold::words::SELECTORS {
        for select in word.names {
            assert_eq!(said(plan, &format!("p(50){select}<1s")), "", "{select}");
        }
    }
}
