//! Every test that GUARANTEES.md and the feature table of README.md name exists, and every row names one.

use std::fs;
use std::path::Path;

/// The text of all Rust files at or below `path`.
fn text(path: &Path) -> String {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.map(|entry| text(&entry.unwrap().path())).collect();
    }
    let is_code = path.extension().is_some_and(|extension| extension == "rs");
    if is_code { fs::read_to_string(path).unwrap() } else { String::new() }
}

/// The code that a row means by `file`: a test program or a module, and what is below it.
fn code_of(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = [
        format!("tests/{file}.rs"),
        format!("tests/{file}"),
        format!("{file}.rs"),
        format!("ui-tests/tests/{file}.rs"),
        format!("src/{file}.rs"),
        format!("src/{file}"),
    ];
    let places = places.iter().map(|place| root.join(place)).filter(|place| place.exists());
    places.map(|place| text(&place)).collect()
}

/// The cells of the rows of the tables in `page` below `heading`, up to the next heading of its kind.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let section = page.split("\n## ").skip(1).filter(|section| section.starts_with(heading));
    let lines = section.flat_map(str::lines);
    let tables = lines.filter(|line| line.starts_with('|')).map(|line| {
        let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        cells.collect::<Vec<_>>()
    });
    // What is above the line of dashes is the title.
    let mut rows: Vec<Vec<String>> = Vec::new();
    for cells in tables {
        if cells[0].starts_with("--") {
            rows.pop();
        } else {
            rows.push(cells);
        }
    }
    rows
}

/// Checks each row: it has three cells, says what soloop does, and names tests that exist, in its `column`.
fn check(rows: &[Vec<String>], column: usize) {
    // Compile-fail tests are a crate of their own, which is not in the packaged archive.
    let has_ui_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-tests").exists();
    for row in rows {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "an empty cell: {row:?}");
        assert!(!row[1].starts_with('–'), "soloop has nothing to say: {row:?}");
        let tests: Vec<_> = row[column].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row:?}");
        for name in tests.into_iter().filter(|name| has_ui_tests || !name.starts_with("ui")) {
            let (file, test) =
                name.split_once("::").unwrap_or_else(|| panic!("{name}: file::test"));
            let found = code_of(file).contains(&format!("fn {test}()"));
            assert!(found, "{name}: no such test");
        }
    }
}

#[test]
fn every_test_named_exists() {
    // guarantee, tests, calloop
    let guarantees = rows("GUARANTEES.md", "");
    assert!(guarantees.len() > 25, "{}", guarantees.len());
    check(&guarantees, 1);
    // calloop, soloop, test
    let features = rows("README.md", "calloop and soloop, feature by feature");
    assert!(features.len() > 35, "{}", features.len());
    check(&features, 2);
}
