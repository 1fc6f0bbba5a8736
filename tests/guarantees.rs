//! Every test that GUARANTEES.md names exists.

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

#[test]
fn every_test_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("GUARANTEES.md")).unwrap();
    let mut code = sources(&root.join("src"));
    code += &sources(&root.join("tests"));
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        // guarantee, tests, calloop
        let tests = row.split('|').nth(2).unwrap();
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
    assert!(named > 30, "{named}");
}
