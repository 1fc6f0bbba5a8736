//! Instruction counts of the core workloads: they repeat to a fraction of a percent, where wall times on a busy
//! machine don't.
//!
//! `cargo run --release --manifest-path benches/instructions/Cargo.toml` counts every workload under
//! `valgrind --tool=callgrind`, prints instructions per operation beside the recorded baseline, and fails if one
//! is more than 5 % above it. `-- --bless` records what it counted. `-- NAME…` counts some.
//!
//! A count is the difference between a run of many operations and one of few, so that neither the start of the
//! program nor the first growth of a table is in it. What the kernel does is not counted, by its nature.

mod workloads;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

use workloads::WORKLOADS;

/// How far above its baseline a count may be, in percent.
const TOLERANCE: f64 = 5.0;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [run, name, operations] = &arguments[..]
        && run == "--run"
    {
        workloads::run(name, operations.parse().expect("a number of operations"));
        return ExitCode::SUCCESS;
    }
    let bless = arguments.iter().any(|argument| argument == "--bless");
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let mut baseline = read_baseline();
    let mut worse = Vec::new();
    println!("{:<24} {:>10} {:>10} {:>8}", "instructions per", "baseline", "now", "change");
    for workload in WORKLOADS {
        let name = workload.name;
        if !wanted.is_empty() && !wanted.iter().any(|wanted| *wanted == name) {
            continue;
        }
        let (few, many) = (workload.operations, 3 * workload.operations);
        let now = (count(name, many) - count(name, few)) as f64 / (many - few) as f64;
        match baseline.get(name) {
            Some(&before) => {
                let change = (now / before - 1.0) * 100.0;
                println!("{name:<24} {before:>10.1} {now:>10.1} {change:>+7.1}%");
                if change > TOLERANCE {
                    worse.push(name);
                }
            }
            None => println!("{name:<24} {:>10} {now:>10.1}", "–"),
        }
        if bless {
            baseline.insert(name.to_owned(), now);
        }
    }
    if bless {
        let lines: String =
            baseline.iter().map(|(name, count)| format!("{name} {count:.1}\n")).collect();
        std::fs::write(BASELINE, lines).expect("the baseline can be written");
        return ExitCode::SUCCESS;
    }
    if worse.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("more than {TOLERANCE} % above the baseline: {}", worse.join(", "));
    ExitCode::FAILURE
}

/// The instructions that a run of `operations` takes.
fn count(workload: &str, operations: u64) -> i64 {
    let program = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", workload, &operations.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("valgrind can't be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{workload}` failed under valgrind:\n{said}");
    said.lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind did not say what it counted:\n{said}"))
}

fn read_baseline() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(BASELINE).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, count)| (name.to_owned(), count.parse().expect("a number in the baseline")))
        .collect()
}
