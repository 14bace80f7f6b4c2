//! How many places of a worker's table wait for which upstreams: those of one line never take all (RELIABILITY L5).

use std::sync::Arc;

use crate::forward::Group;

/// What part of the table is kept for others: an eighth.
const KEPT: usize = 8;

/// Places taken, by line.
#[derive(Default)]
pub(super) struct Shares(Vec<(Share, usize)>);

/// Which line a place is taken for. A query that waits keeps its plan, and so the line behind the number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(usize);

impl Share {
    /// That of a line.
    pub(super) fn of(group: &Arc<Group>) -> Self {
        Self(Arc::as_ptr(group).addr())
    }
}

impl Shares {
    /// Whether a line holds as many of `places` as it may. Cost: a look at each line for which somebody waits.
    pub(super) fn full(&self, share: Share, places: usize) -> bool {
        let held = self.0.iter().find(|(known, _)| *known == share).map_or(0, |(_, held)| *held);
        held >= places - places / KEPT
    }

    /// Takes a place.
    pub(super) fn take(&mut self, share: Share) {
        match self.0.iter_mut().find(|(known, _)| *known == share) {
            Some((_, held)) => *held += 1,
            None => self.0.push((share, 1)),
        }
    }

    /// Gives a place back.
    pub(super) fn give(&mut self, share: Share) {
        if let Some(place) = self.0.iter().position(|(known, _)| *known == share)
            && let Some((_, held)) = self.0.get_mut(place)
        {
            *held -= 1;
            if *held == 0 {
                self.0.swap_remove(place);
            }
        }
    }
}
