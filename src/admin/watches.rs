//! What `/metrics` and `/ready?verbose` say about how fresh the names are: the state of each watch, the age of what it heard
//! last, what audits found (rules K-269 to K-272).

use std::fmt::Write as _;
use std::time::Duration;

use super::snapshots::snapshots;
use super::{Exposition, exposition};
use crate::chain::Plan;
use crate::metrics::{ClusterNumbers, Difference};
use crate::store::{Look, WatchState};
use crate::time::{Clock, Tick, show_duration};

/// A time that a look may know.
type Age = fn(&Look) -> Option<Duration>;

/// The families of ages.
const AGES: [(&str, &str, Age); 4] = [
    (
        "signpost_watch_last_event_age_seconds",
        "Time since a watch brought an event; not there before the first.",
        |look| look.event,
    ),
    (
        "signpost_watch_last_bookmark_age_seconds",
        "Time since a watch brought a bookmark; not there before the first.",
        |look| look.bookmark,
    ),
    (
        "signpost_watch_last_list_age_seconds",
        "Time since a list of an API server was complete; not there before the first.",
        |look| look.list,
    ),
    (
        "signpost_watch_confirmed_age_seconds",
        "Time since an event, a bookmark or a complete list confirmed a resource; not there before the first.",
        |look| look.confirmed,
    ),
];

/// Adds what is counted about API servers, and what is known of watches and audits, where a plan has any.
pub fn watches(text: &mut Exposition, plan: &Plan, numbers: &ClusterNumbers, clock: &Clock) {
    exposition::cluster(text, numbers);
    snapshots(text, &numbers.snapshots, clock.wall().0);
    let mut looks = plan.looks(clock.now());
    // A folder of manifests is watched by nobody.
    looks.retain(|(_, look)| look.state != WatchState::Idle || look.snapshot);
    if !looks.is_empty() {
        states(text, &looks);
    }
    let name = "signpost_watch_refusals_total";
    let help = "Lists and watches that an API server refused, by HTTP status: 403, 410, 429 and others.";
    counts(
        text,
        name,
        help,
        numbers.refusals.iter().map(|((resource, status), count)| {
            ([("resource", (*resource).to_owned()), ("code", status.to_string())], *count)
        }),
    );
    let name = "signpost_audit_runs_total";
    let help = "Audits: a list of names and versions of an API server, compared with what is served.";
    counts(
        text,
        name,
        help,
        numbers.audits.iter().map(|((resource, end), count)| {
            ([("resource", (*resource).to_owned()), ("result", end.label().to_owned())], *count)
        }),
    );
    if numbers.audits.is_empty() {
        return;
    }
    // Zeros too, once there are audits: an alert on what rises needs a beginning.
    let resources: std::collections::BTreeSet<&'static str> =
        numbers.audits.keys().map(|(resource, _)| *resource).collect();
    let name = "signpost_audit_differences_total";
    let help = "Objects that an audit found to differ from what is served, by how.";
    counts(
        text,
        name,
        help,
        resources.iter().flat_map(|resource| {
            Difference::ALL.map(|difference| {
                let count = numbers.differences.get(&(*resource, difference)).copied().unwrap_or(0);
                ([("resource", (*resource).to_owned()), ("difference", difference.label().to_owned())], count)
            })
        }),
    );
    let name = "signpost_audit_healed_total";
    let help = "Objects that an audit put right.";
    counts(
        text,
        name,
        help,
        resources.iter().map(|resource| {
            let count = numbers.healed.get(resource).copied().unwrap_or(0);
            ([("resource", (*resource).to_owned())], count)
        }),
    );
}

/// Adds a family of counters, if it has any.
fn counts<const N: usize>(
    text: &mut Exposition,
    name: &str,
    help: &str,
    values: impl Iterator<Item = ([(&'static str, String); N], u64)>,
) {
    let mut begun = false;
    for (labels, count) in values {
        if !std::mem::replace(&mut begun, true) {
            text.family(name, "counter", help);
        }
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
        text.value(name, &labels, count);
    }
}

/// Adds what each watch does, and how old what it heard is.
fn states(text: &mut Exposition, looks: &[(String, Look)]) {
    let name = "signpost_watch_state";
    text.family(name, "gauge", "1 for what a watch does now, 0 for what it does not.");
    for (zone, look) in looks {
        for state in WatchState::ALL {
            let labels =
                [("zone", zone.as_str()), ("resource", look.kind.resource()), ("state", state.word())];
            text.value(name, &labels, u8::from(state == look.state));
        }
    }
    for (name, help, age) in AGES {
        let known: Vec<_> = looks.iter().filter_map(|(zone, look)| Some((zone, look, age(look)?))).collect();
        if !known.is_empty() {
            text.family(name, "gauge", help);
        }
        for (zone, look, age) in known {
            let labels = [("zone", zone.as_str()), ("resource", look.kind.resource())];
            text.value(name, &labels, age.as_secs_f64());
        }
    }
    let name = "signpost_watch_resource_version";
    text.family(name, "gauge", "The version of the API server up to which everything is known.");
    for (zone, look) in looks {
        if let Ok(version) = look.version.parse::<u64>() {
            text.value(name, &[("zone", zone), ("resource", look.kind.resource())], version);
        }
    }
    let name = "signpost_stale";
    text.family(
        name,
        "gauge",
        "1 for a resource that nothing has confirmed for 3 minutes, or that comes from a snapshot.",
    );
    for (zone, look) in looks {
        let labels = [("zone", zone.as_str()), ("resource", look.kind.resource())];
        text.value(name, &labels, u8::from(look.stale.is_some()));
    }
}

/// What `/ready?verbose` says below its first line: a line for each resource (rule S-13).
pub(super) fn verbose(plan: &Plan, now: Tick) -> String {
    let mut text = String::new();
    for (zone, look) in plan.looks(now) {
        let sign = if look.stale.is_some() { '-' } else { '+' };
        // Writing into a String cannot fail.
        let _ = write!(text, "[{sign}] kubernetes {zone} {}: {}", look.kind.resource(), look.state.word());
        if look.snapshot {
            text.push_str(", from a snapshot");
        }
        if let Some(stale) = look.stale {
            let _ = write!(text, ", stale for {}", whole(stale));
        }
        match look.confirmed {
            Some(age) => {
                let _ = write!(text, ", confirmed {} ago", whole(age));
            }
            None if look.state == WatchState::Idle => {}
            None => text.push_str(", never confirmed"),
        }
        if !look.version.is_empty() {
            let _ = write!(text, ", version {}", look.version);
        }
        text.push('\n');
    }
    text
}

/// A duration in whole seconds.
fn whole(duration: Duration) -> String {
    show_duration(Duration::from_secs(duration.as_secs()))
}
