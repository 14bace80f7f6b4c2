//! What is fuzzed: one function a target, which panics where its promise is broken, and the seeds of its corpus.
//!
//! ```text
//!  fuzz/fuzz_targets/NAME ── libFuzzer ──┐
//!  tests/corpus.rs ── fuzz/corpus/NAME ──┼─► Target::run ─► the code that serves ─► judged by hickory, or by a second,
//!                  └─ Mutator ───────────┘                                          simpler reading of the same bytes
//! ```
//!
//! Only with the feature `fuzzing`, which tests switch on and nothing that serves does. A room whose door is closed to the
//! outside keeps its target itself, in a file `fuzzed.rs`.
//!
//! Invariants: a target depends on its bytes alone, so that what was found once is found again; no target opens a file or a
//! socket; what is refused is judged as well as what is accepted. Where a program has a meter (`measure`), what is asked of the
//! allocator is judged, too.

mod corefile;
mod cost;
mod desk;
mod dialogue;
mod frames;
mod https;
mod manifests;
mod mutator;
mod objects;
mod primary;
mod proxy;
mod query;
mod respond;
mod response;
mod seeds;
mod snapshot;
mod target;
mod texts;
mod watch;

pub use cost::measure;
pub use mutator::Mutator;
pub use response::judge as judge_response;
pub use target::{TARGETS, Target};
