//! Where the step stands, and where it is counted.

use std::sync::Arc;

use super::step::{CacheStep, Places};
use crate::cache::{Cache, Counts, Spec};
use crate::chain::build::{Draft, Parts};
use crate::chain::plan::Listener;
use crate::chain::step::Stand;
use crate::corefile::Zone;

/// A cache as `/metrics` sees it.
pub struct Cached {
    /// The cache.
    pub cache: Arc<Cache>,
    /// The zones of the line, as labels name them.
    pub zones: String,
    /// The view of its block; empty without one.
    pub view: String,
    /// Its counts by server.
    pub servers: Vec<(String, Arc<Counts>)>,
}

/// A cache that stands in its chain and does not know its listeners yet.
pub(in crate::chain) struct Laid {
    /// The cache.
    cache: Arc<Cache>,
    /// The zones of the line.
    zones: String,
    /// What the step looks into.
    places: Places,
}

/// Puts the step of a block's line, if there is one, in front of the first step that asks the network.
pub(in crate::chain) fn lay(draft: &mut Draft<'_>) -> Option<Laid> {
    let line = draft.cache.take()?;
    let Some(place) = draft.steps.iter().position(|step| step.forwards()) else {
        draft.warnings.push(format!(
            "{}: `cache` has nothing to do: no word of this block asks the network, and what is answered here is never cached",
            line.at
        ));
        return None;
    };
    let keys: Vec<String> = draft.block.keys.iter().map(|key| key.text.to_string()).collect();
    let spec = Spec {
        place: format!(
            "{} | {:?} | {:?} | {:?} | {:?} | {:?}",
            keys.join(" "),
            draft.bind,
            // What one view keeps is not for clients of another.
            draft.view.as_ref().map(|view| view.text()),
            line.zones,
            line.no_success,
            line.no_denial
        ),
        options: line.options,
    };
    let cache = draft.parts.cache(&spec);
    let zones: Vec<&str> = line.zones.iter().map(Zone::text).collect();
    let laid = Laid { cache: cache.clone(), zones: zones.join(","), places: Places::default() };
    let steps = draft.steps.iter().enumerate();
    let network = steps.filter(|(_, step)| step.forwards()).map(|(index, _)| index + 1).collect();
    let step = CacheStep {
        cache,
        zones: line.zones,
        no_success: line.no_success,
        no_denial: line.no_denial,
        place,
        rescued: draft.steps.iter().any(|step| step.rescues()),
        network,
        counts: laid.places.clone(),
    };
    draft.steps.insert(place, Box::new(step));
    Some(laid)
}

impl Laid {
    /// Tells the step where its questions are counted: by the server of the listener that took them.
    pub(in crate::chain) fn count(self, here: &Stand<'_>, parts: &mut dyn Parts) -> Cached {
        let mut servers: Vec<(String, Arc<Counts>)> = Vec::new();
        let mut place = |listener: &Listener| {
            listener.zones.iter().any(|served| served.chain == here.chain).then(|| {
                // The two families of a wildcard are one server.
                if let Some((_, counts)) = servers.iter().find(|(label, _)| *label == listener.label) {
                    return counts.clone();
                }
                let counts = parts.cache_counts(&listener.label, &self.zones, here.view);
                servers.push((listener.label.clone(), counts.clone()));
                counts
            })
        };
        let counts: Box<[Option<Arc<Counts>>]> = here.listeners.iter().map(&mut place).collect();
        // The step is new, so this is the first time.
        let _ = self.places.set(counts);
        Cached { cache: self.cache, zones: self.zones, view: here.view.to_owned(), servers }
    }
}
