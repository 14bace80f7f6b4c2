//! Panics that a test orders, so that it can see what becomes of a task that panics.
//!
//! With the cargo feature `faults`, which nothing that ships has, the environment says which task panics, and at which of its
//! turns. Without it a turn is nothing.

/// A turn of a task begins: what it does until the next one may panic, and so does this, where a test has ordered it.
///
/// Cost: none; with the feature a walk over what was ordered, which is usually nothing.
#[inline]
pub fn turn(task: &'static str) {
    #[cfg(feature = "faults")]
    orders::take(task);
    #[cfg(not(feature = "faults"))]
    let _ = task;
}

#[cfg(feature = "faults")]
mod orders {
    //! What was ordered.

    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Where the orders stand: `TASK:TURN`, with commas between them; a task may stand there several times.
    const VARIABLE: &str = "SIGNPOST_PANICS";

    /// An order.
    struct Order {
        /// The task.
        task: String,
        /// How many of its turns there are until it panics, that one counted; 0 once it has.
        left: AtomicU64,
    }

    /// All of them.
    static ORDERS: LazyLock<Vec<Order>> = LazyLock::new(|| {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        let one = |order: &str| {
            let (task, turn) = order.rsplit_once(':')?;
            Some(Order { task: task.to_owned(), left: AtomicU64::new(turn.parse().ok()?) })
        };
        text.split(',').filter_map(one).collect()
    });

    /// Takes a turn of a task.
    pub(super) fn take(task: &str) {
        let mut due = false;
        for order in ORDERS.iter().filter(|order| order.task == task) {
            let before =
                order.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            due |= before == Ok(1);
        }
        assert!(!due, "ordered by {VARIABLE}");
    }
}
