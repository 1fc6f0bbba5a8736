//! MIGRATING.md names every public item of calloop: its table is compared with the sources of the calloop that the tests
//! are built with. What calloop makes with macros of its own (`signals::Signal`, most of `signals::Event`) is not seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::{Attribute, Fields, ImplItem, Item, TraitItem, Type, Visibility};

/// Where Cargo has the sources.
fn calloop() -> PathBuf {
    // Without a platform, it fetches what others need.
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "calloop").unwrap();
    assert!(package["version"].as_str().unwrap().starts_with("0.14."), "the guide is for 0.14");
    Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|name| name.to_str()).unwrap() {
            _ if path.is_dir() => files(&path, found),
            // What is not for anybody else, and the same items for other systems.
            "list.rs" | "token.rs" | "iocp.rs" | "pipe.rs" => {}
            _ => found.push(path),
        }
    }
}

/// Public items: `Type`, `Type::member`, `function`.
#[derive(Default)]
struct Items(BTreeSet<String>);

impl Items {
    fn add(&mut self, visibility: &Visibility, name: &str) -> bool {
        let public = matches!(visibility, Visibility::Public(_));
        if public {
            self.0.insert(name.to_owned());
        }
        public
    }

    fn look(&mut self, item: &Item) {
        match item {
            Item::Fn(item) => drop(self.add(&item.vis, &item.sig.ident.to_string())),
            Item::Type(item) => drop(self.add(&item.vis, &item.ident.to_string())),
            Item::Macro(item) if is_exported(&item.attrs) => {
                self.0.extend(item.ident.as_ref().map(ToString::to_string));
            }
            Item::Struct(item) if self.add(&item.vis, &item.ident.to_string()) => {
                let Fields::Named(fields) = &item.fields else { return };
                for field in &fields.named {
                    let name = field.ident.as_ref().unwrap();
                    self.add(&field.vis, &format!("{}::{name}", item.ident));
                }
            }
            Item::Enum(item) if self.add(&item.vis, &item.ident.to_string()) => {
                let variants = item.variants.iter();
                self.0.extend(variants.map(|variant| format!("{}::{}", item.ident, variant.ident)));
            }
            Item::Trait(item) if self.add(&item.vis, &item.ident.to_string()) => {
                for member in &item.items {
                    let name = match member {
                        TraitItem::Fn(member) => &member.sig.ident,
                        TraitItem::Type(member) => &member.ident,
                        TraitItem::Const(member) => &member.ident,
                        _ => continue,
                    };
                    self.0.insert(format!("{}::{name}", item.ident));
                }
            }
            Item::Impl(item) if item.trait_.is_none() => {
                let Type::Path(path) = &*item.self_ty else { return };
                let owner = &path.path.segments.last().unwrap().ident;
                for member in &item.items {
                    let (visibility, name) = match member {
                        ImplItem::Fn(member) => (&member.vis, &member.sig.ident),
                        ImplItem::Const(member) => (&member.vis, &member.ident),
                        _ => continue,
                    };
                    self.add(visibility, &format!("{owner}::{name}"));
                }
            }
            _ => {}
        }
    }
}

fn is_exported(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("macro_export"))
}

/// The names in the first column of each row of the table.
fn rows(guide: &str) -> Vec<BTreeSet<&str>> {
    let (_, section) = guide.split_once("\n## Every item\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    rows.map(|row| {
        let column = row.split(" | ").next().unwrap();
        column.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).collect()
    })
    .collect()
}

#[test]
fn every_public_item_of_calloop_is_in_the_guide() {
    let mut items = Items::default();
    let mut sources = Vec::new();
    files(&calloop(), &mut sources);
    for source in sources {
        let file = syn::parse_file(&fs::read_to_string(&source).unwrap()).unwrap();
        file.items.iter().for_each(|item| items.look(item));
    }
    // Those of every kind are found.
    let known = [
        "EventLoop",
        "EventLoop::try_new",
        "Interest::BOTH",
        "Readiness::error",
        "Mode::Edge",
        "EventSource::NEEDS_EXTRA_LIFECYCLE_EVENTS",
        "EventSource::Metadata",
        "Result",
        "make_ping",
        "batch_register",
    ];
    let unseen: Vec<_> = known.iter().filter(|item| !items.0.contains(**item)).collect();
    assert_eq!(unseen, [""; 0].iter().collect::<Vec<_>>());

    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("MIGRATING.md")).unwrap();
    let rows = rows(&guide);
    // A row that has a member names its type as well.
    let named =
        |item: &String| rows.iter().any(|row| item.split("::").all(|name| row.contains(name)));
    let missing: Vec<&String> = items.0.iter().filter(|item| !named(item)).collect();
    println!("{} items", items.0.len());
    assert!(missing.is_empty(), "not in MIGRATING.md: {missing:#?}");
}
