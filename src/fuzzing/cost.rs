//! What reading an input may cost: bytes that are asked of the allocator on the way, whether they are given back or not.
//!
//! Whoever grows with a number that he was told, or goes over the same bytes again and again, asks for too many.

use std::sync::OnceLock;

/// Says how much this thread has asked its allocator for. Unit: bytes.
type Meter = fn() -> u64;

/// The meter of this program; without one nothing is judged.
static METER: OnceLock<Meter> = OnceLock::new();

/// Has what targets ask their allocator for judged by a meter, which says what this thread has asked for so far.
pub fn measure(meter: fn() -> u64) {
    // A second one is the same one.
    let _ = METER.set(meter);
}

/// How much may be asked for. Unit: bytes.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    /// For each byte of what is read.
    pub(super) each: usize,
    /// Whatever is read.
    pub(super) beside: usize,
}

/// Nothing at all.
pub(super) const NOTHING: Bound = Bound { each: 0, beside: 0 };

/// Does something with an input; panics where that asked for more than it may.
pub(super) fn bounded<T>(bound: Bound, input: &[u8], what: impl FnOnce() -> T) -> T {
    let Some(meter) = METER.get() else { return what() };
    let before = meter();
    let done = what();
    let asked = meter() - before;
    let most = u64::try_from(bound.each * input.len() + bound.beside).unwrap_or(u64::MAX);
    assert!(asked <= most, "{asked} bytes were asked for to read {}, and {most} are enough", input.len());
    done
}
