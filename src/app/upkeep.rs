//! What falls due apart from queries: done by the thread of the HTTP endpoints, so that no query waits for it and no thread
//! is there for it alone.

mod staleness;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::admin::AdminServer;
use crate::chain::Active;
use crate::metrics::ClusterCounts;
use crate::panics::kept;
use crate::server::{Pulse, give_back};
use crate::time::Clock;

/// How often it is looked whether lists have ended: memory that they leave is given back when none has for so long.
const LOOK: Duration = Duration::from_secs(3);

/// Tends the plan in force as often as its steps ask; without such a step it sleeps.
pub(super) struct Upkeep {
    /// Told when another plan is in force.
    changed: Arc<Notify>,
    /// Beaten all the while.
    pulse: Arc<Pulse>,
}

impl Upkeep {
    /// Begins; ends with `admin`.
    pub(super) fn start(
        admin: &AdminServer,
        active: Arc<Active>,
        clock: Clock,
        counts: Arc<ClusterCounts>,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        admin.spawn(kept("memory", move || tidy(counts.clone())));
        let (told, tended, time) = (changed.clone(), active.clone(), clock.clone());
        let pulse = Arc::<Pulse>::default();
        let beaten = pulse.clone();
        admin.spawn(kept("staleness", move || {
            staleness::watch(active.clone(), clock.clone(), beaten.clone())
        }));
        admin.spawn(kept("upkeep", move || tend(tended.clone(), time.clone(), told.clone())));
        Self { changed, pulse }
    }

    /// Says whether the process stood still.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Another plan is in force.
    pub(super) fn plan_changed(&self) {
        self.changed.notify_one();
    }
}

/// Gives memory back that starting and lists have left, once they are over.
async fn tidy(counts: Arc<ClusterCounts>) {
    let (mut seen, mut due) = (0, true);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = counts.lists();
        if now != seen {
            (seen, due) = (now, true);
        } else if std::mem::take(&mut due) {
            give_back();
        }
    }
}

/// The loop.
async fn tend(active: Arc<Active>, clock: Clock, changed: Arc<Notify>) {
    loop {
        let rhythm = {
            let plan = active.plan();
            plan.tend(clock.now());
            plan.rhythm()
        };
        match rhythm {
            Some(pause) => {
                // Whichever of the two it was, the plan is looked at.
                let _ = tokio::time::timeout(pause, changed.notified()).await;
            }
            None => changed.notified().await,
        }
    }
}
