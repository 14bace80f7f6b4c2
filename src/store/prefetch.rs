//! A hint to the processor that something will be read soon.
#![allow(unsafe_code, reason = "a hint to the processor has no safe form")]

/// The lines of memory that one fetch brings. Unit: bytes.
const LINE: usize = 64;

/// Has the processor fetch all lines of `value`, and does not wait for them.
///
/// Cost: an instruction a line. On processors that we know no hint for: nothing.
pub(super) fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    let size = size_of::<T>();
    for offset in (0..size).step_by(LINE).chain(size.checked_sub(1)) {
        line(start.wrapping_add(offset));
    }
}

/// Has the processor fetch one line.
#[cfg(target_arch = "x86_64")]
fn line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program could see and can't fault, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

/// Has the processor fetch one line.
#[cfg(target_arch = "aarch64")]
fn line(at: *const u8) {
    // SAFETY: as a hint it reads nothing that the program could see and can't fault, whatever the address.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, readonly, preserves_flags));
    }
}

/// Has the processor fetch one line.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn line(_: *const u8) {}
