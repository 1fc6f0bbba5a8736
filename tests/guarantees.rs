//! Every test that GUARANTEES.md and the feature table of README.md name exists.

use std::path::Path;

/// The text of all Rust files below `folder`.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &std::fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// Checks the tests in the `column` of the tables of `page`; how many there are.
fn check(page: &str, column: usize) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join(page)).unwrap();
    let mut code = sources(&root.join("src"));
    code += &sources(&root.join("tests"));
    let mut named = 0;
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 4);
    for row in rows.filter(|row| row.contains("::")) {
        let tests = row.split('|').nth(column).unwrap();
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            let (file, test) =
                name.split_once("::").unwrap_or_else(|| panic!("{name}: file::test"));
            let file_exists = root.join(format!("tests/{file}.rs")).exists()
                || root.join(format!("src/{file}.rs")).exists()
                || root.join(format!("src/{file}/loom.rs")).exists();
            assert!(file_exists, "{name}: no such file");
            assert!(code.contains(&format!("fn {test}()")), "{name}: no such test");
            named += 1;
        }
    }
    named
}

#[test]
fn every_test_named_exists() {
    // guarantee, tests, calloop
    let named = check("GUARANTEES.md", 2);
    assert!(named > 30, "{named}");
    // calloop, soloop, test
    let named = check("README.md", 3);
    assert!(named > 30, "{named}");
}
