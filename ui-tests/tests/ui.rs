//! In `fail` the mistakes that must not compile, in `pass` the right way, which must run.
//!
//! A case of `fail` begins with two comments: what calloop does with the mistake, and the headline of the
//! error that forbids it. What else the compiler says is in the `.stderr` file beside the case, unless a third
//! comment says why only the headline counts: that of the first error, if there are several. A fourth may quote what
//! the compiler shows below it. The wording is that of one compiler ([`written_here`]); any other has to refuse every
//! case with errors of the same code.
//!
//! After a change of a signature or of a message: `TRYBUILD=overwrite cargo test --package soloop-ui-tests`, and read the diff.

#![cfg(unix)] // The cases use `Generic`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use trybuild::TestCases;

/// Set in the process that compiles copies: where they are.
const COPIES: &str = "SOLOOP_UI_COPIES";

/// Whether the `.stderr` files hold the words of this compiler.
#[rustversion::stable(1.95)]
fn written_here() -> bool {
    true
}

#[rustversion::not(stable(1.95))]
fn written_here() -> bool {
    false
}

#[test]
fn mistakes_do_not_compile() {
    if let Some(copies) = env::var_os(COPIES) {
        return TestCases::new().compile_fail(Path::new(&copies).join("*.rs"));
    }
    let cases = Case::all();
    let (verbatim, by_headline): (Vec<_>, Vec<_>) =
        cases.iter().partition(|case| written_here() && !case.headline_only);
    if !verbatim.is_empty() {
        let tests = TestCases::new();
        for case in verbatim {
            tests.compile_fail(&case.path);
        }
    }
    check_headlines(&by_headline);
}

/// The programs of `pass`, each a module of this test: nothing is built for them a second time.
macro_rules! right_ways {
    ($($case:ident),* $(,)?) => {
        $(#[allow(unreachable_pub, reason = "each is a program")]
        mod $case {
            include!(concat!("../pass/", stringify!($case), ".rs"));

            #[test]
            fn runs() -> soloop::Result<()> {
                main()
            }
        })*

        /// None is forgotten.
        #[test]
        fn each_right_way_is_listed() {
            assert_eq!(programs("pass"), [$(concat!("pass/", stringify!($case), ".rs")),*].map(PathBuf::from));
        }
    };
}

right_ways! {
    callback_inserts_and_removes,
    callbacks_share_the_state,
    drop_reaches_the_loop_by_a_remote,
    idle_is_later_with_the_state,
    lent_io_is_used_in_the_callback,
    loop_is_made_in_its_thread,
    modules_share_a_loop,
    one_event_may_consume_a_capture,
    remote_reaches_the_state_from_a_thread,
    source_is_read_between_dispatches,
    source_lends_its_buffer,
    state_is_built_after_its_first_sources,
    state_may_borrow,
    take_gives_the_source_back,
    token_is_kept_in_a_state_machine,
    visit_in_place_of_shared_ownership,
}

/// The programs in a folder, in the order of their names.
fn programs(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    paths.sort();
    paths
}

/// The expectations themselves: each is one error, the one that its case announces, in words that depend on
/// the compiler alone.
#[test]
fn each_mistake_is_one_error() {
    let cases = Case::all();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for case in cases {
        let expected = case.path.with_extension("stderr");
        if case.headline_only {
            assert!(!expected.exists(), "{} is not used", expected.display());
        } else {
            let expected = fs::read_to_string(&expected).unwrap_or_else(|error| {
                panic!("{}: {error}", expected.display());
            });
            assert!(!expected.contains("$RUST"), "{}: shows std", case.name());
            assert_eq!(errors(&expected).count(), 1, "{}", case.name());
            case.check(&expected);
        }
    }
}

/// Compiles copies, without expectations, and looks at what the compiler says.
fn check_headlines(cases: &[&Case]) {
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui-fail");
    if copies.exists() {
        fs::remove_dir_all(&copies).unwrap();
    }
    fs::create_dir_all(&copies).unwrap();
    for case in cases {
        fs::copy(&case.path, copies.join(case.name())).unwrap();
    }
    // In a process of its own: `TRYBUILD=overwrite` has what was said written down, and a case that compiles
    // fails all the same.
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "mistakes_do_not_compile", "--nocapture"])
        .env("TRYBUILD", "overwrite")
        .env(COPIES, &copies)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for case in cases {
        let said = fs::read_to_string(copies.join(case.name()).with_extension("stderr")).unwrap();
        case.check(&said);
    }
}

/// A file of `ui-tests/fail`.
struct Case {
    path: PathBuf,
    headline: String,
    headline_only: bool,
    shown: Option<String>,
}

impl Case {
    fn all() -> Vec<Self> {
        programs("fail").into_iter().map(Self::read).collect()
    }

    fn read(path: PathBuf) -> Self {
        let source = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = source.lines().take(4).collect();
        let [calloop, headline, more, shown] = lines[..] else {
            panic!("{}: too short", path.display());
        };
        assert!(calloop.starts_with("// calloop: "), "{}", path.display());
        assert!(headline.starts_with("// error"), "{}", path.display());
        Self {
            headline: headline["// ".len()..].to_owned(),
            headline_only: more.starts_with("// Headline only: "),
            shown: shown.strip_prefix("// Shown: ").map(str::to_owned),
            path,
        }
    }

    fn name(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }

    /// The first error in what a compiler said is the one announced, and any other has its code.
    fn check(&self, said: &str) {
        let code = match self.headline.split_once(": ") {
            // An `error: …` without a code has nothing else to go by.
            Some((code, _)) if code != "error" => code,
            _ => &self.headline,
        };
        let announced = if written_here() { &self.headline } else { code };
        let (beginning, end) = announced.split_once('…').unwrap_or((announced, ""));
        let first = errors(said).next().unwrap_or_default();
        let shown = self.shown.as_ref().is_none_or(|shown| said.contains(shown));
        assert!(
            first.starts_with(beginning)
                && first.ends_with(end)
                && errors(said).all(|error| error.starts_with(code))
                && (shown || !written_here()),
            "{} is to fail with `{announced}`, and the compiler says\n{said}",
            self.name()
        );
    }
}

fn errors(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter(|line| line.starts_with("error"))
}
