//! The corpora of the fuzz targets (fuzz/corpus), replayed, and changed at random for a while.
//!
//! What a fuzzer found is a file there whose name begins with `found`, what reached code that nothing else reaches one whose name
//! begins with `reached`; everything else is written by this test: `UPDATE_GOLDEN=1 cargo test --test corpus`. `SEED=…` repeats the
//! random changes of a run, `ROUNDS=…` makes more of them, `TARGET=…` chooses a target.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

#[path = "corpus/meter.rs"]
mod meter;
#[path = "../benches/fuzzing/reasons.rs"]
mod reasons;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use signpost::fuzzing::{Mutator, TARGETS, Target, measure};

/// Random inputs for each target, unless ROUNDS says.
const ROUNDS: usize = 400;

/// The most that all corpora together may take: they are a part of each copy of the project. Unit: bytes.
const LARGEST: u64 = 2 << 20;

/// Whether a file was put there by somebody else.
fn is_found(name: &str) -> bool {
    name.starts_with("found") || name.starts_with("reached")
}

/// The corpora.
fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The inputs of a target: names and bytes, sorted.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = corpora().join(target.name);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// The targets, or the one of them that TARGET names.
fn targets() -> impl Iterator<Item = &'static Target> {
    let wanted = std::env::var("TARGET").ok();
    TARGETS.iter().filter(move |target| wanted.as_ref().is_none_or(|wanted| wanted == target.name))
}

/// A number from the environment.
fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().ok().unwrap_or_else(|| panic!("{name} is no number: {text}")))
}

/// Runs a target on an input. Errors: the input, as bytes that can be written to a file; the panic was printed.
fn run(target: &Target, what: &str, bytes: &[u8]) -> Result<(), String> {
    measure(meter::asked);
    catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).map_err(|_| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}: {what}: printf '{hex}' | xxd -r -p", target.name)
    })
}

/// Fails where some target does not hold.
fn all_hold(results: impl Iterator<Item = Result<(), String>>) {
    let failures: Vec<String> = results.filter_map(Result::err).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_target_holds_on_its_corpus() {
    all_hold(
        TARGETS
            .iter()
            .flat_map(|target| corpus(target).into_iter().map(|(name, bytes)| run(target, &name, &bytes))),
    );
}

#[test]
fn every_target_holds_on_random_changes_of_its_corpus() {
    let rounds = number("ROUNDS").unwrap_or(ROUNDS);
    let seed = number("SEED").unwrap_or(1);
    all_hold(targets().map(|target| {
        let inputs = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
        let mut mutator = Mutator::new(inputs, target.longest, seed);
        // The first failure of each target is enough.
        (0..rounds)
            .try_for_each(|round| run(target, &format!("SEED={seed}, round {round}"), &mutator.mutant()))
    }));
}

#[test]
fn the_corpora_are_the_seeds_and_what_was_found() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut all = 0;
    for target in TARGETS {
        let folder = corpora().join(target.name);
        let seeds = (target.seeds)();
        let names: BTreeSet<&str> = seeds.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), seeds.len(), "{}: a name twice", target.name);
        assert!(seeds.len() > 5, "{}: few seeds", target.name);
        if update {
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in &seeds {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
        let mut files = corpus(target);
        all += files.iter().map(|(_, bytes)| u64::try_from(bytes.len()).unwrap()).sum::<u64>();
        let long = files.iter().find(|(_, bytes)| bytes.len() > target.longest);
        assert!(long.is_none(), "{}: longer than any input: {:?}", target.name, long.map(|(name, _)| name));
        files.retain(|(name, _)| !is_found(name));
        let mut expected: Vec<(String, Vec<u8>)> =
            seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        expected.sort();
        let lengths: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(lengths, names, "{}", target.name);
        // Hashes in a snapshot are made with a key that each process chooses for itself.
        let anew = target.name == "snapshot";
        assert!(anew || files == expected, "{}: a seed differs from its file: UPDATE_GOLDEN=1", target.name);
    }
    assert!(all <= LARGEST, "{all} bytes of corpora");
}

#[test]
fn every_target_has_its_program_and_its_line_in_the_docs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let docs = fs::read_to_string(root.join("docs/fuzzing.md")).unwrap();
    for target in TARGETS {
        let program = fs::read_to_string(root.join(format!("fuzz/fuzz_targets/{}.rs", target.name)));
        assert!(program.unwrap().contains(&format!("\"{}\"", target.name)), "{}", target.name);
        assert!(manifest.contains(&format!("name = \"{}\"\n", target.name)), "{}", target.name);
        assert!(docs.contains(&format!("`{}`", target.name)), "{}", target.name);
    }
    let folders = fs::read_dir(corpora()).unwrap().count();
    assert_eq!(folders, TARGETS.len(), "a folder for each target and no other");
}

#[test]
fn what_a_fuzzer_found_is_told_in_few_lines_however_long_its_traces_are() {
    let trace = "    #1 0x5555 in somewhere\n".repeat(500);
    let panic = format!(
        "INFO: Seed: 1\n\nthread '<unnamed>' (7) panicked at src/wire/name.rs:10:5:\nindex out of bounds: the len is 3\n{trace}\
         ==9== ERROR: libFuzzer: deadly signal\n{trace}SUMMARY: libFuzzer: deadly signal\n\
         artifact_prefix='a/'; Test unit written to a/crash-21fc\nBase64: AA==\n{trace}"
    );
    assert_eq!(
        reasons::reasons(&panic),
        [
            "thread '<unnamed>' (7) panicked at src/wire/name.rs:10:5:",
            "index out of bounds: the len is 3",
            "==9== ERROR: libFuzzer: deadly signal",
            "SUMMARY: libFuzzer: deadly signal",
            "artifact_prefix='a/'; Test unit written to a/crash-21fc",
        ]
    );
    let read = format!(
        "==9==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x1\n{trace}\
         SUMMARY: AddressSanitizer: heap-buffer-overflow src/x.rs:1 in f\n{trace}"
    );
    assert_eq!(reasons::reasons(&read).len(), 2);
    assert_eq!(reasons::reasons(&trace), [""; 0]);
}
