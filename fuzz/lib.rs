//! What all targets share: which function belongs to a name, and what an input may cost.

#[path = "../tests/corpus/meter.rs"]
mod meter;

use std::sync::OnceLock;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use signpost::fuzzing::{TARGETS, Target, measure};

/// The most processor time of an input, its judges' included: instrumented, and without a compiler's best efforts.
const SLOW: Duration = Duration::from_secs(2);

/// Runs the target of a program on one input. Panics where it takes too long, each of three times: other work on the machine
/// can make it look slow once.
pub fn run(name: &str, bytes: &[u8]) {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        measure(meter::asked);
        TARGETS.iter().find(|target| target.name == name).expect("every program is named after its target")
    });
    let mut took = Duration::MAX;
    for _ in 0..3 {
        let before = spent();
        (target.run)(bytes);
        took = took.min(spent().saturating_sub(before));
        if took <= SLOW {
            return;
        }
    }
    panic!("{took:?} for {} bytes", bytes.len());
}

/// Processor time of this thread.
fn spent() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).unwrap_or(0))
}
