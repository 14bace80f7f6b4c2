//! Panics never end the process: those of steps are caught query by query, those of tasks are counted and told, and the task
//! begins again (rules K-017, S-50).
//!
//! ```text
//! a step   ─► catch ──────────► the query's SERVFAIL          (chain)
//! a task   ─► attempt ────────► counted, one line; its caller goes on
//!          └► keep, kept ─────► counted, one line, a pause, and it begins anew
//! ```
//!
//! Each task has a name, which its count and its line carry, and each has a test that has it panic (tests/faults): `turn` is
//! where that happens.
//!
//! Invariant: nothing that runs beside queries ends silently: whatever is spawned in `src/` goes through this room, or is
//! named as an exception in `tests/tidy.rs`.

mod caught;
mod counts;
mod kept;
mod ordered;

pub(crate) use caught::{Catching, catch};
pub use counts::{TASKS, counted};
pub use kept::keep;
pub(crate) use kept::{attempt, attempted, kept};
pub use ordered::turn;
