//! What ARCHITECTURE.md says of `src/` is true: which concept may import from which, how long a file is, what names mean.
//!
//! Tests in files are left out: they use the whole crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The concepts from the top to the bottom: each imports only from those below it.
const FLOORS: [&str; 18] = [
    "inspector",
    "event_loop",
    "dispatch",
    "operations",
    "insight",
    "hosting",
    "tasks",
    "sources",
    "handle",
    "registry",
    "threads",
    "kernel",
    "error",
    "token",
    "interest",
    "clock",
    "shrink",
    "sync",
];

/// The map, and the guide for users.
const NO_CONCEPTS: [&str; 2] = ["guide", "lib"];

/// What goes up all the same: the signature of `LoopHandle::inspect` names the loop, of which the handle calls nothing.
const NAMED_ABOVE: [(&str, &str); 1] = [("handle", "EventLoop")];

/// How many lines of code a file may have.
const LINES: usize = 400;

struct SourceFile {
    path: PathBuf,
    /// Without comments and tests.
    code: String,
}

impl SourceFile {
    /// The folder or file below `src/` that it belongs to.
    fn concept(&self) -> String {
        let below = self.path.strip_prefix(root().join("src")).unwrap();
        let first = below.components().next().unwrap();
        Path::new(&first).file_stem().unwrap().to_str().unwrap().to_owned()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source_files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = code(&fs::read_to_string(&path).unwrap());
                files.push(SourceFile { path, code });
            }
        }
    }
    // Models of what happens between threads are tests.
    files.retain(|file| !file.path.ends_with("loom.rs"));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// `text` without comments and blank lines, and without the tests at its end.
fn code(text: &str) -> String {
    let tests = ["#[cfg(test)]\nmod ", "#[cfg(all(test"].iter().filter_map(|test| text.find(test));
    let tests = tests.min().unwrap_or(text.len());
    let lines = text[..tests].lines().map(|line| match line.trim_start().starts_with("//") {
        true => "",
        false => line.split(" // ").next().unwrap(),
    });
    lines.filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

/// The paths below `crate::` in `code`, those in braces one by one.
fn crate_paths(code: &str) -> BTreeSet<Vec<String>> {
    let mut paths = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let after_name = code[..at].ends_with(|c: char| c.is_alphanumeric() || "_$".contains(c));
        if !after_name {
            read_path(&code[at + "crate::".len()..], &mut Vec::new(), &mut paths);
        }
    }
    paths
}

/// Reads the path at the beginning of `text`, which follows `before`; what is behind it.
fn read_path<'a>(
    text: &'a str,
    before: &mut Vec<String>,
    paths: &mut BTreeSet<Vec<String>>,
) -> &'a str {
    let depth = before.len();
    if let Some(mut list) = text.strip_prefix('{') {
        loop {
            list = list.trim_start_matches([' ', '\n', ',']);
            if let Some(behind) = list.strip_prefix('}') {
                return behind;
            }
            list = read_path(list, before, paths);
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    before.push(name.to_owned());
    let behind = match behind.strip_prefix("::") {
        Some(more) if more.starts_with(|c: char| c.is_alphabetic() || c == '{') => {
            read_path(more, before, paths)
        }
        _ => {
            paths.insert(before.clone());
            behind.strip_prefix(" as ").map_or(behind, |alias| {
                alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            })
        }
    };
    before.truncate(depth);
    behind
}

/// Where the names come from that `lib.rs` and the files below it re-export: name → concept.
fn exports() -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    let declared = ["struct ", "enum ", "trait ", "type ", "fn ", "mod "];
    for file in source_files() {
        for line in file.code.lines().filter(|line| line.starts_with("pub ")) {
            for keyword in declared {
                if let Some(rest) = line["pub ".len()..].strip_prefix(keyword) {
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                    exports.insert(rest[..end.unwrap_or(rest.len())].to_owned(), file.concept());
                }
            }
        }
    }
    exports
}

#[test]
fn imports_go_down() {
    let exports = exports();
    let floor = |concept: &str| FLOORS.iter().position(|floor| *floor == concept);
    let mut faults = Vec::new();
    for file in source_files() {
        let concept = file.concept();
        if NO_CONCEPTS.contains(&&*concept) {
            continue;
        }
        let here = floor(&concept).unwrap_or_else(|| panic!("{concept}: on no floor"));
        for path in crate_paths(&file.code) {
            let first = &path[0];
            // A concept by its name, or what `lib.rs` re-exports.
            let target = floor(first).map(|_| first).or_else(|| exports.get(first));
            let target =
                target.unwrap_or_else(|| panic!("{}: what is {first}?", file.path.display()));
            let named = NAMED_ABOVE.contains(&(&*concept, &**first));
            if floor(target).is_none_or(|there| there < here) && !named {
                faults.push(format!("{}: {} is above", file.path.display(), path.join("::")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_floor_is_there() {
    let concepts: BTreeSet<_> = source_files().iter().map(SourceFile::concept).collect();
    let floors: BTreeSet<_> = FLOORS.iter().map(|floor| floor.to_string()).collect();
    let others: Vec<_> = concepts.difference(&floors).map(String::as_str).collect();
    assert_eq!(others, NO_CONCEPTS);
    assert!(floors.is_subset(&concepts));
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = source_files()
        .iter()
        .map(|file| (file.code.lines().count(), file.path.clone()))
        .filter(|(lines, _)| *lines > LINES)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn a_name_means_one_type() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in source_files() {
        for line in file.code.lines() {
            let line = line.trim_start();
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            let line = line.trim_start_matches("pub ");
            let name =
                ["struct ", "enum ", "trait ", "union "].iter().find_map(|k| line.strip_prefix(k));
            if let Some(name) = name {
                let end =
                    name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                places.entry(name[..end].to_owned()).or_default().push(file.path.clone());
            }
        }
    }
    // Each platform, or each set of features, compiles one of two. The closure of a callback takes an `Event`, as the
    // messages of calloop's channel are called: that one is public.
    let two = |name: &str| ["Alarm", "Poller", "Ready", "Arrivals", "Event"].contains(&name);
    let twice: Vec<_> =
        places.iter().filter(|(name, places)| places.len() > 1 + usize::from(two(name))).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}
