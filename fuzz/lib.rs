//! What all targets share: which function belongs to a name.

use std::sync::OnceLock;

use signpost::fuzzing::{TARGETS, Target};

/// Runs the target of a program on one input.
pub fn run(name: &str, bytes: &[u8]) {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        TARGETS.iter().find(|target| target.name == name).expect("every program is named after its target")
    });
    (target.run)(bytes);
}
