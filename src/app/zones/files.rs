//! A zone file: read when it or a file that it includes has changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::hosts::{Stamp, stamp};
use crate::transfer::newer;
use crate::wire::show_name;
use crate::zone::{Files, Held, read};

/// What came of a look at a zone file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Looked {
    /// A zone is in force that was not before.
    Loaded,
    /// Nothing has changed that counts.
    Same,
    /// The file can't be read; why.
    Unread(String),
    /// The file holds no sound zone; where and why.
    Broken(String),
}

/// A zone file as it was seen last.
pub(super) struct WatchedFile {
    /// The file.
    path: PathBuf,
    /// The zone, wire form, lower case.
    origin: Arc<[u8]>,
    /// Where the zone goes.
    held: Arc<Held>,
    /// Whether a changed file counts although its serial is the same.
    by_mtime: bool,
    /// The files that were read, and their states then.
    seen: Vec<(PathBuf, Option<Stamp>)>,
    /// Whether it is read once more although all states are the same: a change within the same tick of the file system's
    /// clock leaves no trace.
    again: bool,
    /// What was wrong last time, told once.
    told: Option<String>,
}

/// The files that a zone file includes.
struct Included<'a> {
    /// What was read, and its state.
    seen: &'a mut Vec<(PathBuf, Option<Stamp>)>,
}

/// The state and text of a file; links are followed.
fn open(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let mut file = fs::File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut text = Vec::new();
    io::Read::read_to_end(&mut file, &mut text)?;
    Ok((stamp(&meta), text))
}

impl Files for Included<'_> {
    fn open(&mut self, path: &str, from: &str) -> Result<(String, Vec<u8>), String> {
        // Beside the file that includes it. Source: coredns (miekg/dns).
        let path = Path::new(from).parent().unwrap_or(Path::new("")).join(path);
        match open(&path) {
            Ok((stamp, text)) => {
                self.seen.push((path.clone(), Some(stamp)));
                Ok((path.to_string_lossy().into_owned(), text))
            }
            Err(error) => {
                self.seen.push((path, None));
                Err(error.to_string())
            }
        }
    }
}

impl WatchedFile {
    /// A file that was not read yet; its zone goes to `held`.
    pub(super) fn new(path: PathBuf, origin: &[u8], held: Arc<Held>, by_mtime: bool) -> Self {
        let seen = Vec::new();
        Self { path, origin: origin.into(), held, by_mtime, seen, again: false, told: None }
    }

    /// Where the zone goes.
    pub(super) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// The zone is in this file from now on.
    pub(super) fn moved(&mut self, path: &Path) {
        if self.path != path {
            self.path = path.to_owned();
            self.seen.clear();
        }
    }

    /// Looks at the file, and reads it if it changed; a broken one changes nothing but the log.
    pub(super) fn look(&mut self) -> Looked {
        let state = |path: &Path| fs::metadata(path).ok().map(|meta| stamp(&meta));
        let same = !self.seen.is_empty() && self.seen.iter().all(|(path, seen)| state(path) == *seen);
        if same && !self.again {
            return Looked::Same;
        }
        self.again = !same;
        self.seen.clear();
        let looked = self.load();
        match &looked {
            Looked::Loaded => self.told = None,
            Looked::Same => {}
            Looked::Unread(why) | Looked::Broken(why) => {
                // At start the one who asks tells it.
                if self.held.live().is_some() && self.told.as_ref() != Some(why) {
                    tracing::error!(target: "plugin/file", "{why}; the zone that was read last stays");
                    self.told = Some(why.clone());
                }
            }
        }
        looked
    }

    /// Reads the file.
    fn load(&mut self) -> Looked {
        let name = self.path.to_string_lossy().into_owned();
        let zone = show_name(&self.origin);
        let text = match open(&self.path) {
            Ok((stamp, text)) => {
                self.seen.push((self.path.clone(), Some(stamp)));
                text
            }
            Err(error) => {
                self.seen.push((self.path.clone(), None));
                return Looked::Unread(format!("the zone file {name} can't be read: {error}"));
            }
        };
        let mut included = Included { seen: &mut self.seen };
        let (new, passed) = match read(&name, &text, &self.origin, &mut included) {
            Ok(read) => read,
            Err(fault) => return Looked::Broken(format!("the zone {zone}: {fault}")),
        };
        let old = self.held.live();
        let (serial, known) = (new.serial(), old.as_ref().map(|old| old.serial()));
        if known == Some(serial) && !self.by_mtime {
            // Source: coredns `plugin/file/reload.go`.
            if old.is_some_and(|old| old.len() != new.len()) && self.told.as_deref() != Some("serial") {
                tracing::warn!(
                    target: "plugin/file",
                    "the zone {zone} in {name} has changed and its serial has not: it is not reloaded"
                );
                self.told = Some("serial".to_owned());
            }
            return Looked::Same;
        }
        for fault in passed {
            tracing::warn!(target: "plugin/file", "{fault}");
        }
        self.held.replace(Arc::new(new));
        if let Some(known) = known {
            tracing::info!(
                target: "plugin/file",
                "Successfully reloaded zone {zone} in {name} with {serial} SOA serial"
            );
            if !newer(known, serial) && known != serial {
                tracing::warn!(
                    target: "plugin/file",
                    "the serial of {zone} went back from {known} to {serial}: those who transfer it will not follow"
                );
            }
        }
        Looked::Loaded
    }
}
