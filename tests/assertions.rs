//! Every public type says what it is and what it is not: see `src/assertions.rs`.

use std::fs;
use std::path::{Path, PathBuf};

const TRAITS: [&str; 6] = ["Send", "Sync", "Copy", "Unpin", "UnwindSafe", "RefUnwindSafe"];

/// `pub` is what users reach, because the lint `unreachable_pub` refuses any other.
#[test]
fn every_public_type_says_what_it_is() {
    let (mut types, mut undecided) = (0, Vec::new());
    for file in files(Path::new("src")) {
        let source = fs::read_to_string(&file).unwrap();
        let assertions = assertions(&source);
        for name in public_types(&source) {
            types += 1;
            let traits = || assertions.iter().filter(|it| it.0 == name).flat_map(|it| &it.1);
            let missing = TRAITS.iter().filter(|wanted| !traits().any(|named| named == *wanted));
            undecided.extend(missing.map(|it| format!("{}: is `{name}` {it}?", file.display())));
        }
    }
    assert!(types > 50, "{types} public types");
    assert!(undecided.is_empty(), "no `assert_traits!` in the same file says:\n{undecided:#?}");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let inside = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(inside).collect()
}

fn public_types(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let line = line.trim_start();
        let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
        Some(identifier(rest))
    })
}

/// The types that the file asserts something of, and the traits that it names for them.
fn assertions(source: &str) -> Vec<(&str, Vec<&str>)> {
    let bodies = source.split("assert_traits!(").skip(1).map(|rest| rest.split(");").next());
    bodies
        .map(|body| {
            let (name, traits) = body.unwrap().split_once(": ").unwrap();
            let words = traits.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty());
            (identifier(name.trim_start()), words.collect())
        })
        .collect()
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}
