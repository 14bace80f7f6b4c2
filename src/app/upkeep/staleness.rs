//! A line when a resource becomes stale, and one when that is over (rule K-269).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::chain::Active;
use crate::server::Pulse;
use crate::store::{Kind, Look, STALE_TTL};
use crate::time::{Clock, show_duration};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for ever, and beats: no other thread wakes for that alone.
pub(super) async fn watch(active: Arc<Active>, clock: Clock, pulse: Arc<Pulse>) {
    let mut told = Told::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let now = clock.now();
        pulse.beat(now);
        let looks = active.plan().looks(now);
        for line in told.look(looks.into_iter()) {
            match line {
                Line::Stale(text) => tracing::warn!(target: "plugin/kubernetes", "{text}"),
                Line::Fresh(text) => tracing::info!(target: "plugin/kubernetes", "{text}"),
            }
        }
    }
}

/// The resources that are known to be stale, by zone.
#[derive(Default)]
struct Told(BTreeSet<(String, Kind)>);

/// What is to be said.
#[derive(PartialEq, Eq, Debug)]
enum Line {
    /// A resource became stale.
    Stale(String),
    /// It no longer is.
    Fresh(String),
}

impl Told {
    /// What changed since the last look. Cost: nothing is allocated while nothing is stale, the looks aside.
    fn look(&mut self, looks: impl Iterator<Item = (String, Look)>) -> Vec<Line> {
        let mut lines = Vec::new();
        for (zone, look) in looks {
            let resource = look.kind.resource();
            let key = (zone, look.kind);
            match look.stale {
                Some(_) if !self.0.contains(&key) => {
                    let why = match look.confirmed {
                        _ if look.snapshot => "they come from a snapshot".to_owned(),
                        Some(age) => format!(
                            "nothing has confirmed them for {} (the watch is {})",
                            show_duration(Duration::from_secs(age.as_secs())),
                            look.state.word()
                        ),
                        None => "nothing has confirmed them".to_owned(),
                    };
                    lines.push(Line::Stale(format!(
                        "{} {resource}: stale: {why}; answers go on with a TTL of at most {STALE_TTL} s and say so (EDE 3)",
                        key.0
                    )));
                    self.0.insert(key);
                }
                None if self.0.remove(&key) => {
                    lines
                        .push(Line::Fresh(format!("{} {resource}: confirmed again, no longer stale", key.0)));
                }
                Some(_) | None => {}
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::WatchState;

    /// A look at Services that were confirmed so long ago.
    fn look(seconds: u64) -> (String, Look) {
        let confirmed = Duration::from_secs(seconds);
        let look = Look {
            kind: Kind::Services,
            state: WatchState::Retrying,
            confirmed: Some(confirmed),
            event: None,
            bookmark: None,
            list: None,
            version: String::new(),
            snapshot: false,
            stale: confirmed.checked_sub(Duration::from_secs(180)),
        };
        ("cluster.local.".to_owned(), look)
    }

    #[test]
    fn one_line_is_said_when_it_begins_and_one_when_it_ends() {
        let mut told = Told::default();
        assert_eq!(told.look([look(179)].into_iter()), []);
        let begun = told.look([look(181)].into_iter());
        let [Line::Stale(text)] = begun.as_slice() else { panic!("{begun:?}") };
        assert!(text.contains("cluster.local. services: stale") && text.contains("3m1s"), "{text}");
        assert!(text.contains("the watch is retrying"), "{text}");
        assert_eq!(told.look([look(240)].into_iter()), []);
        let over = told.look([look(0)].into_iter());
        assert!(matches!(over.as_slice(), [Line::Fresh(_)]), "{over:?}");
        assert_eq!(told.look([look(1)].into_iter()), []);
    }
}
