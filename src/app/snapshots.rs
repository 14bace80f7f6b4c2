//! Snapshots on disk: read before a source starts, written while it runs and once more when it ends (rules K-273, K-274).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::looker::Looker;
use super::registry::source_text;
use crate::chain::{SnapshotSpec, StoreSpec};
use crate::metrics::{ClusterCounts, SnapshotRefusal};
use crate::store::snapshot::{self, About, SnapshotFault};
use crate::store::{Need, Store, Wanted, Writer};
use crate::time::{Clock, Tick, show_duration};

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_secs(1);

/// After so long a snapshot is written anew though nothing changed, so that it does not look old. A day is the usual age at
/// which one is refused.
const REFRESH: Duration = Duration::from_secs(3600);

/// The largest file that is read; 150,000 endpoints take a hundredth of it. Unit: bytes.
const LARGEST: u64 = 1 << 30;

/// Bytes that go to the file at once.
const PIECE: usize = 1 << 16;

/// Held while a file is written: two stores may keep theirs in one file for the moment of a reload.
static WRITING: Mutex<()> = Mutex::new(());

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// The file can't be read.
    #[error("reading it: {0}")]
    Read(#[from] io::Error),
    /// It is no file, or a very large one.
    #[error("{0}")]
    File(&'static str),
    /// What is in it can't be read.
    #[error(transparent)]
    Fault(#[from] SnapshotFault),
    /// It was written under other options.
    #[error("it was written {there}, and the Corefile says {here}")]
    Options {
        /// What it says.
        there: String,
        /// What is asked for now.
        here: String,
    },
    /// It is too old.
    #[error("what is in it was confirmed {} ago, and it may be {} old", show_duration(*age), show_duration(*max))]
    Old {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        max: Duration,
    },
}

impl Refusal {
    /// What it is counted as.
    fn reason(&self) -> SnapshotRefusal {
        match self {
            Self::Read(_) | Self::File(_) => SnapshotRefusal::Unreadable,
            Self::Fault(SnapshotFault::Version { .. }) => SnapshotRefusal::Version,
            Self::Fault(SnapshotFault::Other | SnapshotFault::Seal | SnapshotFault::Malformed(_)) => {
                SnapshotRefusal::Corrupt
            }
            Self::Options { .. } => SnapshotRefusal::Options,
            Self::Old { .. } => SnapshotRefusal::Old,
        }
    }
}

/// One store's snapshots.
pub(super) struct Snapshots {
    /// Where, and how often.
    spec: SnapshotSpec,
    /// The file as it is called in logs and metrics.
    name: String,
    /// Where the objects come from, in words.
    source: String,
    /// The selector that they are chosen with; empty for none.
    labels: String,
    /// What is wanted of them.
    wanted: Wanted,
    /// The store.
    store: Arc<Store>,
    /// The clock.
    clock: Clock,
    /// Where it is counted.
    counts: Arc<ClusterCounts>,
}

impl Snapshots {
    /// Those of a store, if it keeps any.
    pub(super) fn of(
        spec: &StoreSpec,
        store: &Arc<Store>,
        clock: &Clock,
        counts: &Arc<ClusterCounts>,
    ) -> Option<Self> {
        let snapshot = spec.snapshot.clone()?;
        let name = snapshot.file.display().to_string();
        counts.snapshot_kept(&name);
        Some(Self {
            name,
            source: source_text(&spec.source),
            labels: spec.labels.as_ref().map_or_else(String::new, |labels| labels.as_str().to_owned()),
            wanted: store.wanted(),
            store: store.clone(),
            clock: clock.clone(),
            counts: counts.clone(),
            spec: snapshot,
        })
    }

    /// Has the writer of the store, which is empty, take in what is in the file; says in the log what became of it.
    pub(super) fn load(&self, writer: &mut Writer) {
        match self.try_load(writer) {
            Ok(Some(age)) => {
                let counts = self.store.counts();
                tracing::info!(
                    target: "plugin/kubernetes",
                    "answers come from the snapshot {} until the API server's lists are complete: {} Services, {} endpoints, \
                     confirmed {} ago",
                    self.name, counts.services, counts.endpoints, show_duration(age)
                );
            }
            Ok(None) => tracing::info!(
                target: "plugin/kubernetes",
                "there is no snapshot {} yet: the first is written once the API server's lists are complete", self.name
            ),
            Err(refusal) => {
                self.counts.snapshot_refused(&self.name, refusal.reason());
                tracing::warn!(
                    target: "plugin/kubernetes",
                    "the snapshot {} is refused ({}): {refusal}; names wait for the API server, and the file is written anew \
                     once its lists are complete",
                    self.name, refusal.reason().label()
                );
            }
        }
    }

    /// Takes it in; returns how old it is, `None` where there is none. Errors: why it is not used.
    fn try_load(&self, writer: &mut Writer) -> Result<Option<Duration>, Refusal> {
        let Some(bytes) = self.read()? else { return Ok(None) };
        let decoded = snapshot::decode(&bytes)?;
        let about = &decoded.about;
        if about.source != self.source || about.labels != self.labels || about.wanted != self.wanted {
            let show = |source: &str, labels: &str, wanted: Wanted| {
                let labels = if labels.is_empty() { "all objects" } else { labels };
                format!("for {labels} of {source} with {}", wanted.words())
            };
            return Err(Refusal::Options {
                there: show(&about.source, &about.labels, about.wanted),
                here: show(&self.source, &self.labels, self.wanted),
            });
        }
        // One from the future is young: a machine without a clock of its own may know the time only later.
        let age = Duration::from_secs(self.clock.wall().0.saturating_sub(about.confirmed));
        if age > self.spec.max_age {
            return Err(Refusal::Old { age, max: self.spec.max_age });
        }
        let confirmed = about.confirmed;
        writer.restore(&decoded, &self.name)?;
        self.counts.snapshot_loaded(&self.name, u64::try_from(bytes.len()).unwrap_or(0), confirmed);
        Ok(Some(age))
    }

    /// The bytes of the file; `None` where there is none. Errors: it can't be read.
    fn read(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let about = match fs::metadata(&self.spec.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if !about.is_file() {
            return Err(Refusal::File("it is no file"));
        }
        if about.len() > LARGEST {
            return Err(Refusal::File("it is larger than any snapshot"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
        File::open(&self.spec.file)?.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes what is known now beside the file, then in its place. Returns its size and when that was confirmed.
    ///
    /// Errors: the folder can't be written to.
    fn write(&self) -> io::Result<(u64, u64)> {
        let _only = WRITING.lock();
        let confirmed = self.confirmed();
        let beside = beside(&self.spec.file);
        let written = self.write_to(&beside, confirmed);
        if written.is_err() {
            // What is half there is of no use, and takes room that may be missing.
            let _ = fs::remove_file(&beside);
        }
        let bytes = written?;
        fs::rename(&beside, &self.spec.file)?;
        let folder = self.spec.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok((bytes, confirmed))
    }

    /// Writes to a file and has it reach the disk.
    fn write_to(&self, file: &Path, confirmed: u64) -> io::Result<u64> {
        let about = About::new(self.source.clone(), self.labels.clone(), confirmed);
        // Names of a cluster are nobody else's business, nor is the key of the hashes.
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(file)?;
        let mut out = BufWriter::with_capacity(PIECE, file);
        let bytes = snapshot::write(&self.store, about, &mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(bytes)
    }

    /// When all that names of the cluster are made of was confirmed last. Unit: seconds since 1970.
    fn confirmed(&self) -> u64 {
        let looks = self.store.freshness().look(self.clock.now());
        let ages = looks.iter().filter(|look| look.list.is_some()).filter_map(|look| look.confirmed);
        self.clock.wall().0.saturating_sub(ages.max().unwrap_or_default().as_secs())
    }
}

/// The file that is written beside `file`, in whose place it comes then.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// What was written last.
#[derive(Default)]
struct Written {
    /// The number of changes of the store then.
    changes: u64,
    /// When it was tried last; `None` for never.
    tried: Option<Tick>,
    /// When it worked last.
    done: Option<Tick>,
    /// Whether the last try failed, and was told.
    failing: bool,
}

/// Writes a store's snapshots while it lives, and the last one when it is dropped: behind the source that feeds it.
pub(super) struct Keeper {
    /// The thread; dropped before the last one is written.
    thread: Option<Looker>,
    /// What is written, and what was.
    work: Arc<(Snapshots, Mutex<Written>)>,
}

impl Keeper {
    /// Starts a thread that writes. Errors: no thread can be had.
    pub(super) fn start(snapshots: Snapshots) -> io::Result<Self> {
        let work = Arc::new((snapshots, Mutex::new(Written::default())));
        let kept = work.clone();
        let thread = Looker::start("snapshot", LOOK, LOOK, move || {
            let (snapshots, written) = &*kept;
            written.lock().look(snapshots);
        })?;
        Ok(Self { thread: Some(thread), work })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.thread = None;
        let (snapshots, written) = &*self.work;
        written.lock().end(snapshots);
    }
}

impl Written {
    /// Writes if it is time to.
    fn look(&mut self, snapshots: &Snapshots) {
        let now = snapshots.clock.now();
        let waited = |since: Option<Tick>, pause| since.is_none_or(|since| now.since(since) >= pause);
        let fresh = !snapshots.store.freshness().stale(Need::Cluster, now);
        let due = self.differs(snapshots) || (fresh && waited(self.done, REFRESH));
        if due && waited(self.tried, snapshots.spec.interval) {
            self.write(snapshots, now);
        }
    }

    /// Writes the last one, where there is anything to say: changes, or that it was all confirmed meanwhile.
    fn end(&mut self, snapshots: &Snapshots) {
        let now = snapshots.clock.now();
        let fresh = !snapshots.store.freshness().stale(Need::Cluster, now);
        let aged = self.done.is_none_or(|done| now.since(done) >= snapshots.spec.interval);
        if self.differs(snapshots) || (fresh && aged) {
            self.write(snapshots, now);
        }
    }

    /// Whether the store holds other things than what was written.
    fn differs(&self, snapshots: &Snapshots) -> bool {
        self.done.is_none() || self.changes != snapshots.store.changes()
    }

    /// Writes, unless what is known is itself from a snapshot or not complete; says in the log when that begins to fail.
    fn write(&mut self, snapshots: &Snapshots, now: Tick) {
        if !snapshots.store.is_reconciled() {
            return;
        }
        let changes = snapshots.store.changes();
        self.tried = Some(now);
        match snapshots.write() {
            Ok((bytes, confirmed)) => {
                (self.changes, self.done) = (changes, Some(now));
                snapshots.counts.snapshot_written(&snapshots.name, bytes, confirmed);
                if std::mem::take(&mut self.failing) {
                    tracing::info!(target: "plugin/kubernetes", "the snapshot {} is written again", snapshots.name);
                }
            }
            Err(error) => {
                snapshots.counts.snapshot_failed(&snapshots.name);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        target: "plugin/kubernetes",
                        "the snapshot {} can't be written: {error}: serving goes on, but a restart while the API server is away \
                         would know no names; tried again every {}",
                        snapshots.name, show_duration(snapshots.spec.interval)
                    );
                }
            }
        }
    }
}
