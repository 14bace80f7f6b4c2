//! Whose questions are under way for a line, of all workers together (rule S-52): so that the last places go to clients that hold
//! little, whichever worker they and the others ask.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A client as the exchange knows it: a number that tells it from others.
pub type Client = u64;

/// Counters in a row.
const ROW: usize = 256;

/// A client holds much if it holds this part of all that is under way: a sixteenth.
const PART: usize = 16;

/// Who has fewer than so many under way holds little, whatever others do: a lookup is two questions, and some names are tried
/// with several endings.
const FEW: usize = 4;

/// How many questions of each client are under way.
///
/// Shape: two rows of counters, of which every client has one in each, chosen by chance; what a client holds is at most the
/// smaller of both. Who holds little is mistaken for one who holds much only if such clients share both of its counters: once in
/// 65,536 for each pair of them, and there can't be more than sixteen.
pub(super) struct Holdings {
    /// The counters.
    rows: [[AtomicU32; ROW]; 2],
    /// Chooses them in a way that nobody can foretell.
    hasher: foldhash::fast::RandomState,
}

impl Default for Holdings {
    fn default() -> Self {
        let row = || std::array::from_fn(|_| AtomicU32::new(0));
        Self { rows: [row(), row()], hasher: foldhash::fast::RandomState::default() }
    }
}

impl std::fmt::Debug for Holdings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Holdings")
    }
}

impl Holdings {
    /// The counters of a client.
    fn of(&self, client: Client) -> [&AtomicU32; 2] {
        let [first, second, ..] = self.hasher.hash_one(client).to_be_bytes();
        let [one, other] = &self.rows;
        [&one[usize::from(first)], &other[usize::from(second)]]
    }

    /// One more question of this client is under way.
    pub(super) fn take(&self, client: Client) {
        for counter in self.of(client) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// It is no more.
    pub(super) fn give(&self, client: Client) {
        for counter in self.of(client) {
            counter.fetch_sub(1, Relaxed);
        }
    }

    /// Whether a client holds much of `all` that is under way.
    pub(super) fn much(&self, client: Client, all: usize) -> bool {
        let [one, other] = self.of(client).map(|counter| counter.load(Relaxed));
        let held = usize::try_from(one.min(other)).unwrap_or(usize::MAX);
        held >= FEW && held.saturating_mul(PART) >= all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_sixteenth_holds_much_and_one_of_many_does_not() {
        let holdings = Holdings::default();
        for _ in 0..800 {
            holdings.take(1);
        }
        for client in 100..120 {
            (0..10).for_each(|_| holdings.take(client));
        }
        assert!(holdings.much(1, 1000));
        // That a few of twenty share both counters with the great one is no matter of this world.
        let mistaken = (100..120).filter(|client| holdings.much(*client, 1000)).count();
        assert!(mistaken <= 1, "{mistaken} of 20");
        for _ in 0..800 {
            holdings.give(1);
        }
        assert!(!holdings.much(1, 200));
    }

    #[test]
    fn a_few_questions_are_little_even_where_nobody_else_asks() {
        let holdings = Holdings::default();
        (1..FEW).for_each(|_| holdings.take(7));
        assert!(!holdings.much(7, FEW - 1));
        holdings.take(7);
        assert!(holdings.much(7, FEW));
    }
}
