//! How much a thread has asked its allocator for: the system's allocator, counted. For tests/corpus.rs and the programs of fuzz/.
#![allow(unsafe_code, reason = "a global allocator has no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// What this thread asked for so far, whether it gave it back or not. Unit: bytes.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// What this thread asked for so far. Unit: bytes.
pub(crate) fn asked() -> u64 {
    ASKED.with(Cell::get)
}

/// Counts what is asked for.
fn note(bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    // While a thread ends its variables are gone, and it counts no more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get().saturating_add(bytes)));
}

/// The system's allocator, counted.
struct Counting;

// SAFETY: all work is the system allocator's; counting neither allocates nor touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
