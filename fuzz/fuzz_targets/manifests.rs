//! libFuzzer's side of the target `manifests`; its body is in src/fuzzing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| signpost_fuzz::run("manifests", bytes));
