//! Zones of records: read from files before anything is served and looked at apart from queries, or fetched from primaries.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use self::files::{Looked, WatchedFile};
use self::folder::WatchedFolder;
use super::ServeError;
use super::looker::Looker;
use crate::chain::{Active, Folder, FolderSpec, ZoneFile};
use crate::time::{Clock, Tick};
use crate::transfer::{Desk, Replica, ReplicaSpec, Told};
use crate::zone::Held;

mod files;
mod folder;
#[cfg(test)]
mod tests;

/// The longest pause of the thread that looks at files.
const PAUSE: Duration = Duration::from_secs(1);

/// The zones of all stanzas.
pub(super) struct Zones {
    /// Zone files.
    files: Vec<Kept<ZoneFile, Held, WatchedFile>>,
    /// Folders.
    folders: Vec<Kept<FolderSpec, Folder, WatchedFolder>>,
    /// Zones of primaries.
    replicas: Vec<(bool, bool, Arc<Replica>)>,
    /// Who fetches zones and tells others.
    desk: Arc<Desk>,
    /// Where the plan is found, once there is one.
    active: Arc<OnceLock<Arc<Active>>>,
    /// The thread that looks at files, while there are any that want it.
    looker: Option<Looker>,
    /// The clock.
    clock: Clock,
}

/// The zone of a file as it is now, for those who look once. Errors: what is wrong in it, in words.
pub(crate) fn read_file(spec: &ZoneFile) -> Result<Arc<Held>, String> {
    Zones::new(Clock::system()).file(spec)
}

/// The zones of a folder as they are now, for those who look once. Errors: it can't be looked at, in words.
pub(crate) fn read_folder(spec: &FolderSpec) -> Result<Arc<Folder>, String> {
    Zones::new(Clock::system()).folder(spec)
}

/// What is kept over plans.
struct Kept<S, T, W> {
    /// Whether the plan that is being built, or in force, asked for it.
    used: bool,
    /// Whether a plan that asked for it was in force.
    fed: bool,
    /// What it was asked for by.
    spec: S,
    /// What readers have.
    shared: Arc<T>,
    /// Who looks at it.
    watched: Arc<Mutex<W>>,
}

/// Something that is looked at again and again, and when.
struct Due {
    /// How often.
    pause: Duration,
    /// When next.
    next: Tick,
    /// The look; returns the zones that are new.
    look: Box<dyn FnMut() -> Vec<Arc<[u8]>> + Send>,
}

impl Zones {
    /// None yet.
    pub(super) fn new(clock: Clock) -> Self {
        let active: Arc<OnceLock<Arc<Active>>> = Arc::default();
        let known = active.clone();
        let told: Told = Arc::new(move |zone: &[u8]| -> Vec<(Option<IpAddr>, SocketAddr)> {
            known.get().map(|active| active.plan().told(zone)).unwrap_or_default()
        });
        let desk = Arc::new(Desk::new(clock.clone(), told));
        Self {
            files: Vec::new(),
            folders: Vec::new(),
            replicas: Vec::new(),
            desk,
            active,
            looker: None,
            clock,
        }
    }

    /// The zone of a file: the one that is kept, or what is read now.
    ///
    /// Errors: the file can't be used, or, where it is not looked at again, can't be read.
    pub(super) fn file(&mut self, spec: &ZoneFile) -> Result<Arc<Held>, String> {
        if let Some(known) = self.files.iter_mut().find(|kept| kept.spec == *spec) {
            known.used = true;
            return Ok(known.shared.clone());
        }
        let shared: Arc<Held> = Arc::default();
        let mut watched =
            WatchedFile::new(spec.path.clone(), spec.origin.wire(), shared.clone(), spec.by_mtime);
        match watched.look() {
            Looked::Loaded | Looked::Same => {}
            Looked::Broken(why) => return Err(why),
            Looked::Unread(why) if spec.reload.is_zero() => return Err(why),
            Looked::Unread(why) => {
                let pause = crate::time::show_duration(spec.reload);
                tracing::warn!(target: "plugin/file", "{why}: trying again in {pause}");
            }
        }
        let (spec, watched) = (spec.clone(), Arc::new(Mutex::new(watched)));
        self.files.push(Kept { used: true, fed: false, spec, shared: shared.clone(), watched });
        Ok(shared)
    }

    /// The zones of a folder: those that are kept, or what is read now.
    ///
    /// Errors: the folder is there and can't be looked at.
    pub(super) fn folder(&mut self, spec: &FolderSpec) -> Result<Arc<Folder>, String> {
        if let Some(known) = self.folders.iter_mut().find(|kept| kept.spec == *spec) {
            known.used = true;
            return Ok(known.shared.clone());
        }
        let shared = Arc::new(Folder::new(spec.clone()));
        let mut watched = WatchedFolder::new(shared.clone());
        watched.check()?;
        watched.look();
        let (spec, watched) = (spec.clone(), Arc::new(Mutex::new(watched)));
        self.folders.push(Kept { used: true, fed: false, spec, shared: shared.clone(), watched });
        Ok(shared)
    }

    /// A zone of primaries: the one that is kept, or a new one.
    pub(super) fn replica(&mut self, spec: &ReplicaSpec) -> Arc<Replica> {
        if let Some((used, _, known)) = self.replicas.iter_mut().find(|(.., known)| known.spec() == spec) {
            *used = true;
            return known.clone();
        }
        let replica = Arc::new(Replica::new(spec.clone()));
        self.replicas.push((true, false, replica.clone()));
        replica
    }

    /// Before a plan is built: nothing is asked for yet.
    pub(super) fn begin(&mut self) {
        self.files.iter_mut().for_each(|kept| kept.used = false);
        self.folders.iter_mut().for_each(|kept| kept.used = false);
        self.replicas.iter_mut().for_each(|(used, ..)| *used = false);
    }

    /// The plan that was built is in force: what it did not ask for ends.
    pub(super) fn commit(&mut self) {
        let known = self.files.len() + self.folders.len();
        self.files.retain(|kept| kept.used);
        self.folders.retain(|kept| kept.used);
        let fewer = self.files.len() + self.folders.len() < known;
        let desk = &self.desk;
        self.replicas.retain(|(used, _, replica)| {
            if !*used {
                desk.leave(replica.clone());
            }
            *used
        });
        // Only then: a thread that begins anew looks later than the old one would have.
        if fewer && let Err(error) = self.look_from_now_on() {
            tracing::error!(%error, "starting the thread that looks at zone files");
        }
    }

    /// The plan could not be built: what was made for it goes, what runs goes on.
    pub(super) fn abandon(&mut self) {
        self.files.retain(|kept| kept.fed);
        self.folders.retain(|kept| kept.fed);
        self.replicas.retain(|(_, fed, _)| *fed);
        self.files.iter_mut().for_each(|kept| kept.used = true);
        self.folders.iter_mut().for_each(|kept| kept.used = true);
        self.replicas.iter_mut().for_each(|(used, ..)| *used = true);
    }

    /// Starts what is not running: files are looked at, primaries asked.
    pub(super) fn feed(&mut self) -> Result<(), ServeError> {
        for (_, fed, replica) in self.replicas.iter_mut().filter(|(_, fed, _)| !*fed) {
            self.desk.follow(replica.clone()).map_err(ServeError::Start)?;
            *fed = true;
        }
        let new = self.files.iter().any(|kept| !kept.fed) || self.folders.iter().any(|kept| !kept.fed);
        self.files.iter_mut().for_each(|kept| kept.fed = true);
        self.folders.iter_mut().for_each(|kept| kept.fed = true);
        if new {
            self.look_from_now_on().map_err(ServeError::Start)?;
        }
        Ok(())
    }

    /// The plan of `active` is in force: those who are to know are told of its zones (coredns tells at each start).
    pub(super) fn in_force(&self, active: &Arc<Active>) {
        let active = self.active.get_or_init(|| active.clone());
        for zone in active.plan().tells() {
            if let Err(error) = self.desk.tell(zone) {
                tracing::error!(%error, "starting the thread that tells others of zones");
            }
        }
    }

    /// Ends the threads that look; zones keep what they have.
    pub(super) fn end(&mut self) {
        self.looker = None;
        for (.., replica) in &self.replicas {
            self.desk.leave(replica.clone());
        }
    }

    /// Starts the thread anew for what is kept now.
    fn look_from_now_on(&mut self) -> std::io::Result<()> {
        self.looker = None;
        let now = self.clock.now();
        let mut due: Vec<Due> = Vec::new();
        for kept in self.files.iter().filter(|kept| !kept.spec.reload.is_zero()) {
            let (watched, origin) = (kept.watched.clone(), Arc::<[u8]>::from(kept.spec.origin.wire()));
            let look = Box::new(move || match watched.lock().look() {
                Looked::Loaded => vec![origin.clone()],
                Looked::Same | Looked::Broken(_) | Looked::Unread(_) => Vec::new(),
            });
            due.push(Due { pause: kept.spec.reload, next: now.plus(kept.spec.reload), look });
        }
        for kept in self.folders.iter().filter(|kept| !kept.spec.reload.is_zero()) {
            let watched = kept.watched.clone();
            let look = Box::new(move || watched.lock().look());
            due.push(Due { pause: kept.spec.reload, next: now.plus(kept.spec.reload), look });
        }
        let Some(shortest) = due.iter().map(|due| due.pause).min() else { return Ok(()) };
        let (clock, desk, pause) = (self.clock.clone(), self.desk.clone(), shortest.min(PAUSE));
        self.looker = Some(Looker::start("zones", pause, pause, move || {
            let now = clock.now();
            for due in due.iter_mut().filter(|due| due.next <= now) {
                due.next = now.plus(due.pause);
                for zone in (due.look)() {
                    if let Err(error) = desk.tell(zone) {
                        tracing::error!(%error, "starting the thread that tells others of zones");
                    }
                }
            }
        })?);
        Ok(())
    }
}
