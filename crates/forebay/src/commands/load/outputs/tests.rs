//! Where results go: found out before the run, and no file takes another with it.

use forebay_testkit::scratch::Scratch;

use super::*;

fn check(folder: &Path, names: &[&str], wrong: Option<&str>) {
    let files: Vec<_> = names.iter().map(|name| ("--save", folder.join(name))).collect();
    let result = writable(&files).map_err(|error| error.to_string());
    match (result, wrong) {
        (Ok(()), None) => {}
        (Err(said), Some(wrong)) => assert!(said.contains(wrong), "{said}"),
        (result, wrong) => panic!("{names:?}: {result:?}, not {wrong:?}"),
    }
}

#[test]
fn what_cannot_be_written_is_told_beforehand_and_nothing_is_left() {
    let folder = Scratch::new("outputs");
    let folder = folder.path();
    fs::create_dir(folder.join("dir")).expect("it is ours");
    check(folder, &["a.json", "b.json"], None);
    check(folder, &["a.json", "dir/../a.json"], Some("would both go into"));
    check(folder, &["a.json", "dir"], Some("it is a folder"));
    check(folder, &["none/a.json", "none/b.json"], Some("none/b.json: there is no folder"));
    let left = fs::read_dir(folder).expect("it is ours").count();
    assert_eq!(left, 1, "only the folder that was made");
}

#[test]
fn one_file_that_fails_does_not_keep_others_from_being_written() {
    let folder = Scratch::new("outputs");
    let mut files = Files::default();
    let good = folder.path().join("good");
    files.write(&folder.path().join("none/bad"), "x");
    files.write(&good, "one");
    files.write(&good, "two");
    assert_eq!(files.replaced.len(), 1);
    assert_eq!(fs::read_to_string(&good).ok().as_deref(), Some("two"));
    assert!(files.finish().is_err_and(|error| error.to_string().contains("none/bad")));
}
