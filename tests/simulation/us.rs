//! What happens to us: restarts, new plans, events that are never told, and an API server that says nothing for so long that we
//! must say so.

use std::time::Duration;

use signpost::store::STALE_AFTER;

use super::Run;
use crate::api::Resource;
use crate::chance::{object, pick};

/// What a bookmark and the way to us may take: so much earlier than the API server's silence ours may begin.
const SLACK: Duration = Duration::from_secs(2);

impl Run {
    /// We end and begin again, with the snapshot that was written last: now, where the end is orderly.
    pub(super) fn restart(&mut self) {
        if self.rng.bool() {
            self.rig.save();
        }
        let seed = self.rng.u64(..);
        let warm = self.rig.restart(self.roads.clone(), seed);
        self.tell(if warm { "warm start" } else { "cold start" }, "we start anew");
        if !warm {
            // Nothing is known until the first lists are complete.
            self.synced = None;
        }
        self.clients.forget();
        self.outside.forget();
        // Until the lists are complete everything may be as it was, which is said.
        self.may_be = (true, true);
    }

    /// Another plan, with other words for names outside.
    pub(super) fn reload(&mut self) {
        let outside = self.rng.usize(..3);
        self.tell("reload", format!("plan {outside}"));
        self.rig.reload(outside);
    }

    /// Something changes of which no watch is ever told.
    pub(super) fn swallow(&mut self) {
        self.swallowed = true;
        if self.rng.u8(..3) > 0 {
            let object = object(&mut self.rng);
            self.tell("swallowed", format!("nobody is told of {object}"));
            return self.edit(|api| {
                api.edit(|cluster| {
                    cluster.swallow(|cluster| {
                        cluster.apply(object);
                    });
                });
            });
        }
        let resource = pick(&mut self.rng, &Resource::USUAL);
        let Some((ns, name)) = self.one_of(resource) else { return };
        self.tell("swallowed", format!("nobody is told that {resource:?} {ns}/{name} is gone"));
        self.edit(|api| {
            api.edit(|cluster| {
                cluster.swallow(|cluster| {
                    cluster.delete(resource, &ns, &name);
                });
            });
        });
    }

    /// Nothing comes from the API server for longer than answers may be taken for fresh: they are what they were, and from
    /// then on they say so.
    pub(super) async fn silence(&mut self) -> Result<(), String> {
        self.tell("silence", "packets to the API server vanish for longer than three minutes");
        self.roads.dark(true);
        self.may_be = (true, false);
        self.idle(STALE_AFTER.saturating_sub(SLACK)).await?;
        self.may_be = (true, true);
        (0..3).for_each(|_| self.change());
        self.idle(2 * SLACK).await?;
        self.may_be = (false, true);
        let before = self.clients.stale;
        self.idle(Duration::from_secs(10)).await?;
        if self.clients.stale < before + 20 {
            return Err("nobody asked while answers were stale".to_owned());
        }
        self.clients.tidy(self.now)?;
        self.may_be = (true, true);
        self.roads.dark(false);
        Ok(())
    }
}
