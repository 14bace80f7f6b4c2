//! The life of a zone that is fetched.

use std::sync::Arc;
use std::time::Duration;

use super::fetch;
use super::replica::Replica;
use super::schedule::{Schedule, newer};
use crate::time::Clock;
use crate::wire::show_name;

/// What came of a look.
enum Look {
    /// The zone is there, and new.
    New,
    /// The zone is as it was.
    Same,
    /// No primary could be asked.
    Failed,
}

/// Fetches a zone and keeps it up to date until it is dropped; `changed` is called whenever there is a new one.
pub(super) async fn follow(replica: Arc<Replica>, clock: Clock, changed: impl Fn(&Arc<[u8]>)) {
    let name = show_name(&replica.spec().origin);
    let mut schedule = Schedule::new(clock.now());
    loop {
        let now = clock.now();
        if schedule.expire(now) {
            replica.held().expire();
            tracing::error!(target: "plugin/secondary", "Zone {name} is expired");
        }
        if schedule.wants_look(now) {
            let look = look(&replica, &name).await;
            let now = clock.now();
            match (&look, replica.held().any()) {
                (Look::New | Look::Same, Some(zone)) => {
                    schedule.confirmed(now, zone.timing(), fastrand::f64());
                    if matches!(look, Look::New) {
                        changed(&replica.spec().origin);
                    } else if replica.held().live().is_none() {
                        // Confirmed again before there is a newer one.
                        replica.held().replace(zone);
                    }
                }
                _ => {
                    let pause = crate::time::show_duration(schedule.failed(now));
                    tracing::warn!(target: "plugin/secondary", "All '{name}' primaries failed, retrying in {pause}");
                }
            }
        }
        let pause = schedule.due().since(clock.now()).max(Duration::from_millis(1));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = replica.poked() => schedule.poked(clock.now()),
        }
    }
}

/// Looks whether a primary has a newer zone, and fetches it.
async fn look(replica: &Replica, name: &str) -> Look {
    let origin = &replica.spec().origin;
    let known = replica.held().any().map(|zone| zone.serial());
    let mut confirmed = false;
    for primary in &replica.spec().primaries {
        if let Some(known) = known {
            match fetch::serial(origin, *primary).await {
                Ok(serial) if newer(known, serial) => {}
                Ok(_) => {
                    confirmed = true;
                    continue;
                }
                Err(why) => {
                    tracing::warn!(target: "plugin/secondary", "the serial of {name} from {primary}: {why}");
                    continue;
                }
            }
        }
        match fetch::zone(origin, *primary).await {
            Ok(zone) => {
                tracing::info!(
                    target: "plugin/secondary",
                    "Transferred: {name} from {primary}, {} records, {} SOA serial", zone.len(), zone.serial()
                );
                replica.held().replace(Arc::new(zone));
                return Look::New;
            }
            Err(why) => {
                tracing::error!(target: "plugin/secondary", "the transfer of {name} from {primary}: {why}");
            }
        }
    }
    if confirmed { Look::Same } else { Look::Failed }
}
