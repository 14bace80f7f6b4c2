//! The store under random changes answers as the model does, after each publication.

mod compare;
mod events;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use events::{Event, event, namespace_object, pod_object, service_object, slice_object};
use proptest::prelude::*;

use super::model::{Key, Model, Moves, key_of};
use super::*;
use crate::store::Counts;

/// The store, the model, and what both were told.
struct Both {
    /// The store.
    store: Arc<Store>,
    /// Its writer.
    writer: Writer,
    /// The clock.
    clock: Clock,
    /// The model.
    model: Model,
    /// Whether objects have versions at all: those of manifests may have none.
    versioned: bool,
    /// The last version that was given out.
    version: u64,
    /// The serial that is expected now.
    serial: u32,
    /// How often the store said that it is complete.
    synced: Arc<AtomicUsize>,
    /// The Services as they were published last.
    published: BTreeMap<Key, Arc<Service>>,
}

impl Both {
    /// Both empty.
    fn new(versioned: bool, pod_names: bool) -> Self {
        let (store, writer, clock) = store(Wanted { pod_names, ..ALL });
        let synced = Arc::new(AtomicUsize::new(0));
        let counted = synced.clone();
        store.when_synced(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        Self {
            store,
            writer,
            clock,
            model: Model::default(),
            versioned,
            version: 0,
            serial: 0,
            synced,
            published: BTreeMap::new(),
        }
    }

    /// Tells both the same.
    fn tell(&mut self, change: Change) {
        self.model.change(&change);
        self.writer.change(change);
    }

    /// Gives an object the version that it would have: a new one where it changed, or where nothing says that it did not.
    fn version(&mut self, mut object: Object, again: bool) -> Object {
        if !self.versioned {
            return object;
        }
        let known = match &object {
            Object::Service(new) => self.model.services.get(&key_of(&new.key)).cloned().map(Object::Service),
            Object::Slice(new) => self.model.slices.get(&key_of(&new.key)).cloned().map(Object::Slice),
            Object::Namespace(new) => self.model.namespaces.get(&*new.name).cloned().map(Object::Namespace),
            Object::Pod(new) => self.model.pods.get(&key_of(&new.key)).cloned().map(Object::Pod),
            Object::Import(_) | Object::Hosts(_) => unreachable!("the model knows the usual kinds"),
        };
        if let Some(mut known) = known {
            let kept = std::mem::take(revision_of(&mut known));
            if again && known == object {
                *revision_of(&mut object) = kept;
                return object;
            }
        }
        self.version += 1;
        *revision_of(&mut object) = revision(&self.version.to_string());
        object
    }

    /// Lets something happen.
    fn happen(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Put(object, again) => {
                let object = self.version(object, again);
                self.tell(Change::Upsert(object));
            }
            Event::Remove(kind, key) => self.tell(Change::Remove(kind, key)),
            Event::Begin(kind) => self.tell(Change::Begin(kind)),
            Event::End(kind) => {
                if self.model.is_listing(kind) {
                    self.tell(Change::End(kind));
                }
            }
            Event::Relist { kind, leave_out, turn } => {
                let mut objects: Vec<Object> = match kind {
                    Kind::Services => self.model.services.values().cloned().map(Object::Service).collect(),
                    Kind::EndpointSlices => self.model.slices.values().cloned().map(Object::Slice).collect(),
                    Kind::Namespaces => {
                        self.model.namespaces.values().cloned().map(Object::Namespace).collect()
                    }
                    Kind::Pods => self.model.pods.values().cloned().map(Object::Pod).collect(),
                    Kind::Imports | Kind::Hosts(_) => unreachable!("the model knows the usual kinds"),
                };
                let turn = turn % objects.len().max(1);
                objects.rotate_left(turn);
                self.tell(Change::Begin(kind));
                for (at, object) in objects.into_iter().enumerate() {
                    if leave_out == 0 || at % (leave_out + 1) != leave_out {
                        self.tell(Change::Upsert(object));
                    }
                }
                self.tell(Change::End(kind));
            }
            Event::Settle => self.settle()?,
            Event::Restart => self.restart()?,
        }
        Ok(())
    }

    /// Publishes and compares everything.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.clock.advance(Duration::from_secs(1));
        self.writer.settle();
        let now = self.clock.wall().serial();
        let serial = self.store.serial();
        match self.model.moves {
            Moves::No => prop_assert_eq!(serial, self.serial, "the serial moved"),
            Moves::Yes => prop_assert_eq!(serial, now, "the serial did not move"),
            Moves::Maybe => prop_assert!(serial == now || serial == self.serial),
        }
        self.serial = serial;
        self.compare_costs()?;
        self.model.settle();
        self.compare_sync()?;
        self.compare_services()?;
        self.compare_reverse()?;
        self.compare_rest()
    }

    /// Publishes, and begins anew from a snapshot: everything is as it was.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.settle()?;
        let bytes = super::snapshot::bytes(&self.store);
        let (store, mut writer) = Store::new(self.store.wanted(), self.clock.clone());
        super::snapshot::restore(&mut writer, &bytes);
        prop_assert_eq!(
            super::snapshot::records(&super::snapshot::bytes(&store)),
            super::snapshot::records(&bytes)
        );
        self.synced = Arc::default();
        let counted = self.synced.clone();
        store.when_synced(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        (self.store, self.writer) = (store, writer);
        self.model.restart();
        self.published.clear();
        prop_assert_eq!(self.store.serial(), self.serial);
        self.compare_sync()?;
        self.compare_services()?;
        self.compare_reverse()?;
        self.compare_rest()?;
        for key in self.model.keys() {
            if let Some(found) = self.store.service(&run(&[&key.1, &key.0])) {
                self.published.insert(key, found);
            }
        }
        Ok(())
    }
}

/// The version of an object.
fn revision_of(object: &mut Object) -> &mut Revision {
    match object {
        Object::Service(object) => &mut object.revision,
        Object::Slice(object) => &mut object.revision,
        Object::Namespace(object) => &mut object.revision,
        Object::Pod(object) => &mut object.revision,
        Object::Import(object) => &mut object.revision,
        Object::Hosts(object) => &mut object.revision,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_answers_as_the_model_does_after_every_publication(
        versioned in prop::bool::weighted(0.8),
        pod_names in any::<bool>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut both = Both::new(versioned, pod_names);
        for event in events {
            both.happen(event)?;
        }
        both.settle()?;
        // A complete list of what there is changes nothing but completeness.
        for kind in KINDS {
            both.happen(Event::Relist { kind, leave_out: 0, turn: 1 })?;
        }
        both.settle()?;
        prop_assert!(both.store.synced());
        // A complete list of nothing takes everything away.
        for kind in KINDS {
            both.tell(Change::Begin(kind));
            both.tell(Change::End(kind));
        }
        both.settle()?;
        prop_assert_eq!(both.store.counts(), Counts::default());
    }

    #[test]
    fn the_order_in_which_objects_come_does_not_matter(
        objects in prop::collection::vec(prop_oneof![service_object(), slice_object(), namespace_object(), pod_object()], 1..24),
        turn in 0..24_usize,
        settles in any::<u32>(),
    ) {
        // Each object once, in two orders: the last state is the same, whatever came first.
        let mut unique: BTreeMap<String, Object> = BTreeMap::new();
        for object in objects {
            let id = match &object {
                Object::Service(object) => format!("service {:?}", object.key),
                Object::Slice(object) => format!("slice {:?}", object.key),
                Object::Namespace(object) => format!("namespace {:?}", object.name),
                Object::Pod(object) => format!("pod {:?}", object.key),
                Object::Import(_) | Object::Hosts(_) => unreachable!("the model knows the usual kinds"),
            };
            unique.insert(id, object);
        }
        let mut objects: Vec<Object> = unique.into_values().collect();
        let turn = turn % objects.len();
        for reverse in [false, true] {
            if reverse {
                objects.reverse();
                objects.rotate_left(turn);
            }
            let mut both = Both::new(true, true);
            for (at, object) in objects.iter().enumerate() {
                both.happen(Event::Put(object.clone(), false))?;
                if settles >> (at % 32) & 1 == 1 {
                    both.settle()?;
                }
            }
            both.settle()?;
        }
    }
}
