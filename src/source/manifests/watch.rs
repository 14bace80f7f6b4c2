//! The folder itself: what is in it, what changed since the last look, and what is fed of that.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::ManifestsOptions;
use super::derive::{Objects, derive};
use super::found::Found;
use super::listing::{Listing, Stamp};
use super::read::{Reading, read};
use super::report::{Counts, Problem, Reason, Report};
use crate::store::change::{Change, Kind, Sink};

/// The largest file that is read. Unit: bytes.
const FILE_LIMIT: u64 = 64 << 20;

/// One folder of manifests, and what was fed of it.
#[derive(Debug)]
pub struct Manifests {
    /// Which folder, and what of it is fed.
    options: ManifestsOptions,
    /// The files as they were at the last look, by path.
    files: BTreeMap<PathBuf, File>,
    /// What was fed; `None` before the folder was listed for the first time.
    fed: Option<Objects>,
    /// Problems between files, as of the last change.
    between: Vec<Problem>,
    /// Problems that were there at the last look.
    told: BTreeSet<Problem>,
}

/// A file as it was when it was last read.
#[derive(Default, Debug)]
struct File {
    /// What tells that it changed; `None` makes the next look read it.
    stamp: Option<Stamp>,
    /// A hash of its bytes; `None` where they could not be read.
    hash: Option<u64>,
    /// True while it must be read once more: a change within the grain of the file system's clock has the same stamp.
    unsure: bool,
    /// Its objects, the last good ones of what broke.
    found: Vec<Found>,
    /// What is wrong in it.
    problems: Vec<Problem>,
}

impl Manifests {
    /// A folder that was not looked at yet.
    #[must_use]
    pub fn new(options: ManifestsOptions) -> Self {
        let (files, told) = (BTreeMap::new(), BTreeSet::new());
        Self { options, files, fed: None, between: Vec::new(), told }
    }

    /// Looks at the folder and feeds what changed since the last look.
    ///
    /// The first look that can list the folder feeds all of it between `Begin` and `End`, later ones the differences;
    /// `settle` follows if anything was fed. What cannot be listed or read keeps what was read of it before. A file
    /// that became empty counts as half written: its objects stay until a second look finds it so.
    ///
    /// Cost: one stat per file and folder where nothing changed; files are read when their stat changed, and once more
    /// at the look after that.
    pub fn look(&mut self, sink: &mut dyn Sink) -> Report {
        let listing = Listing::of(&self.options.dir);
        let mut changed = self.forget(&listing);
        for (path, stamp) in &listing.files {
            changed |= self.files.entry(path.clone()).or_default().look(path, stamp, &self.options.more);
        }
        let listed = self.fed.is_some() || !listing.unlisted.contains(&self.options.dir);
        if listed && (changed || self.fed.is_none()) {
            changed = self.feed(sink);
        }
        let mut report = Report { changed: changed && listed, listed, ..Report::default() };
        self.tell(listing.problems, &mut report);
        report
    }

    /// Takes a text for all that there is, in place of the folder, and feeds it; `name` is what problems call it.
    pub fn take_text(&mut self, name: &str, bytes: &[u8], sink: &mut dyn Sink) -> Report {
        let path = PathBuf::from(name);
        self.files.entry(path.clone()).or_default().take(read(&path, bytes, &self.options.more));
        let mut report = Report { changed: self.feed(sink), listed: true, ..Report::default() };
        self.tell(Vec::new(), &mut report);
        report
    }

    /// Drops the files that are gone; true if there were any.
    fn forget(&mut self, listing: &Listing) -> bool {
        let before = self.files.len();
        self.files.retain(|path, _| {
            // What lies in a folder that could not be listed is not known to be gone.
            listing.files.contains_key(path)
                || listing.unlisted.iter().any(|unlisted| path.starts_with(unlisted))
        });
        self.files.len() != before
    }

    /// Feeds what differs from what was fed; true if anything does.
    fn feed(&mut self, sink: &mut dyn Sink) -> bool {
        let files = self.files.iter().map(|(path, file)| (path.as_path(), file.found.as_slice()));
        let (objects, between) = derive(files, &self.options);
        self.between = between;
        let changed = match &self.fed {
            None => {
                feed_all(&objects, &self.options, sink);
                true
            }
            Some(fed) => feed_differences(fed, &objects, sink),
        };
        if changed {
            sink.settle();
        }
        self.fed = Some(objects);
        changed
    }

    /// Fills the report: counts, and problems that came or went.
    fn tell(&mut self, listing: Vec<Problem>, report: &mut Report) {
        let of_files = self.files.values().flat_map(|file| &file.problems);
        let now: BTreeSet<Problem> = of_files.chain(&self.between).cloned().chain(listing).collect();
        let ill: BTreeSet<&PathBuf> = now.iter().map(|problem| &problem.file).collect();
        let were_ill: BTreeSet<&PathBuf> = self.told.iter().map(|problem| &problem.file).collect();
        report.healed = were_ill.difference(&ill).map(|path| (*path).clone()).collect();
        report.problems = now.difference(&self.told).cloned().collect();
        report.files = self.files.len();
        for (kind, _) in self.fed.iter().flat_map(BTreeMap::keys) {
            *report.counts.of(*kind) += 1;
        }
        self.told = now;
    }
}

impl Counts {
    /// The count of a kind.
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Services => &mut self.services,
            Kind::EndpointSlices => &mut self.slices,
            Kind::Namespaces => &mut self.namespaces,
            Kind::Pods => &mut self.pods,
            Kind::Imports => &mut self.imports,
            Kind::Hosts(_) => &mut self.hosts,
        }
    }
}

/// Feeds everything as complete lists of every kind that is wanted.
fn feed_all(objects: &Objects, options: &ManifestsOptions, sink: &mut dyn Sink) {
    let more = options.more.iter().map(|&kind| (kind, true));
    for (kind, wanted) in [
        (Kind::Namespaces, true),
        (Kind::Services, true),
        (Kind::EndpointSlices, options.endpoints),
        (Kind::Pods, options.pods),
    ]
    .into_iter()
    .chain(more)
    {
        if wanted {
            sink.change(Change::Begin(kind));
            for (_, object) in objects.iter().filter(|((of, _), _)| *of == kind) {
                sink.change(Change::Upsert(object.clone()));
            }
            sink.change(Change::End(kind));
        }
    }
}

/// Feeds what differs between two states; true if anything does.
fn feed_differences(before: &Objects, now: &Objects, sink: &mut dyn Sink) -> bool {
    let mut changed = false;
    for (_, object) in now.iter().filter(|(id, object)| before.get(id) != Some(object)) {
        sink.change(Change::Upsert(object.clone()));
        changed = true;
    }
    for (kind, key) in before.keys().filter(|id| !now.contains_key(id)) {
        sink.change(Change::Remove(*kind, key.clone()));
        changed = true;
    }
    changed
}

impl File {
    /// Reads the file if it may have changed; true if its objects may have.
    fn look(&mut self, path: &Path, stamp: &io::Result<Stamp>, more: &[Kind]) -> bool {
        let stamp = match stamp {
            Ok(stamp) if self.stamp == Some(*stamp) && !self.unsure => return false,
            Ok(stamp) => *stamp,
            Err(error) => return self.fail(path, Reason::Unreadable { error: error.to_string() }),
        };
        if stamp.size > FILE_LIMIT {
            self.fail(path, Reason::TooLarge { bytes: stamp.size, limit: FILE_LIMIT });
            self.stamp = Some(stamp);
            return false;
        }
        let bytes = match fetch(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail(path, Reason::Unreadable { error: error.to_string() }),
        };
        let again = self.stamp == Some(stamp);
        self.stamp = Some(stamp);
        if bytes.is_empty() && !self.found.is_empty() && !again {
            self.unsure = true;
            return false;
        }
        let hash = Some(hash(&bytes));
        let changed = self.hash != hash;
        self.unsure = changed || !again;
        if changed {
            self.hash = hash;
            self.take(read(path, &bytes, more));
        }
        changed
    }

    /// Takes what was read, and keeps what was good before of what is broken now.
    fn take(&mut self, reading: Reading) {
        let Reading { mut found, problems, unread, refused } = reading;
        let kept: Vec<Found> = {
            let new: BTreeSet<_> = found.iter().map(Found::id).collect();
            let is_broken =
                |old: &Found| unread || refused.iter().any(|(kind, key)| (*kind, key) == old.id());
            let before = self.found.drain(..);
            before.filter(|old| is_broken(old) && !new.contains(&old.id())).collect()
        };
        found.extend(kept);
        self.found = found;
        self.problems = problems;
    }

    /// Notes that the file cannot be read; its objects stay, so this is always false, and the next look tries again.
    fn fail(&mut self, path: &Path, reason: Reason) -> bool {
        self.problems = vec![Problem::of_file(path, reason)];
        (self.stamp, self.hash, self.unsure) = (None, None, false);
        false
    }
}

/// The bytes of a file, at most one more than are read.
fn fetch(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > FILE_LIMIT {
        true => Err(io::Error::other("it grew while it was read")),
        false => Ok(bytes),
    }
}

/// A hash that tells one content from the next.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
