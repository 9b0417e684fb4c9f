//! What the documents show: settings in them are settings.

use std::path::Path;

/// The text of every block of this kind in a document of the repository.
fn blocks(document: &str, kind: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = std::fs::read_to_string(&path).expect("the document is there");
    let opening = format!("\n```{kind}\n");
    let inside = text.split(&opening).skip(1);
    inside.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_settings_in_the_readme_are_complete_and_without_a_mistake() {
    let files = blocks("README.md", "yaml");
    assert!(!files.is_empty());
    for file in files {
        match forebay::config::load_str(&file) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{:#?}", loaded.warnings),
            Err(problems) => panic!("{problems:#?}\n{file}"),
        }
    }
}

#[test]
fn the_readme_names_every_command() {
    use clap::CommandFactory as _;
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))
        .expect("the document is there");
    let cli = forebay::cli::Cli::command();
    for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        assert!(readme.contains(&format!("| `forebay {name}")), "{name} is not in the table of README.md");
    }
}
