//! What falls due apart from queries: done by the thread of the HTTP endpoints, so that no query waits for it and no thread
//! is there for it alone.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::admin::AdminServer;
use crate::chain::Active;
use crate::time::Clock;

/// Tends the plan in force as often as its steps ask; without such a step it sleeps.
pub(super) struct Upkeep {
    /// Told when another plan is in force.
    changed: Arc<Notify>,
}

impl Upkeep {
    /// Begins; ends with `admin`.
    pub(super) fn start(admin: &AdminServer, active: Arc<Active>, clock: Clock) -> Self {
        let changed = Arc::new(Notify::new());
        admin.spawn(tend(active, clock, changed.clone()));
        Self { changed }
    }

    /// Another plan is in force.
    pub(super) fn plan_changed(&self) {
        self.changed.notify_one();
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
