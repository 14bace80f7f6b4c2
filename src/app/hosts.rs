//! Files of hosts: read before anything is served, then looked at by threads of their own (rule S-10).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ServeError;
use super::looker::Looker;
use crate::admin::Exposition;
use crate::chain::{Hosts, HostsSpec};

/// The hosts of all stanzas.
#[derive(Default)]
pub(super) struct HostsFiles {
    /// Those that are kept.
    kept: Vec<Kept>,
    /// The same, for those who write numbers.
    shown: Shown,
}

/// The hosts whose numbers are told.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Vec<Arc<Hosts>>>>);

impl Shown {
    /// Writes both families, if there are hosts.
    pub(super) fn write(&self, text: &mut Exposition) {
        let shown = self.0.lock();
        if shown.is_empty() {
            return;
        }
        let name = "coredns_hosts_entries";
        text.family(
            name,
            "gauge",
            "Addresses and names of a file of hosts and of the lines in the Corefile.",
        );
        let mut told: Vec<&Path> = Vec::new();
        for hosts in shown.iter() {
            let path = hosts.spec().path.as_path();
            if !told.contains(&path) {
                told.push(path);
                let same = shown.iter().filter(|other| other.spec().path == path);
                let entries: usize = same.map(|hosts| hosts.entries()).sum();
                text.value(name, &[("hostsfile", &path.to_string_lossy())], entries);
            }
        }
        let name = "coredns_hosts_reload_timestamp_seconds";
        text.family(name, "gauge", "When the file of hosts that was read last had been changed.");
        text.value(name, &[], shown.iter().map(|hosts| hosts.changed()).max().unwrap_or(0));
    }
}

/// Hosts that are kept over plans.
struct Kept {
    /// Whether the plan that is being built, or in force, asked for them.
    used: bool,
    /// The hosts.
    hosts: Arc<Hosts>,
    /// Whether the file was read: the plan is to be put in force.
    read: bool,
    /// Who looks at the file from then on; nobody with `reload 0`.
    looker: Option<Looker>,
}

impl HostsFiles {
    /// The hosts of a specification: those that are kept, or new ones.
    pub(super) fn get(&mut self, spec: &HostsSpec) -> Arc<Hosts> {
        if let Some(known) = self.kept.iter_mut().find(|kept| kept.hosts.spec() == spec) {
            known.used = true;
            return known.hosts.clone();
        }
        let hosts = Arc::new(Hosts::new(spec.clone()));
        self.kept.push(Kept { used: true, hosts: hosts.clone(), read: false, looker: None });
        hosts
    }

    /// Where their numbers are found.
    pub(super) fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Before a plan is built: nothing is asked for yet.
    pub(super) fn begin(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.used = false);
    }

    /// The plan that was built is in force: what it did not ask for ends.
    pub(super) fn commit(&mut self) {
        self.kept.retain(|kept| kept.used);
        self.show();
    }

    /// The plan could not be built: what was made for it goes, what runs goes on.
    pub(super) fn abandon(&mut self) {
        self.kept.retain(|kept| kept.read);
        self.kept.iter_mut().for_each(|kept| kept.used = true);
    }

    /// Reads files that were not read yet, and looks at them from now on.
    pub(super) fn feed(&mut self) -> Result<(), ServeError> {
        for kept in self.kept.iter_mut().filter(|kept| !kept.read) {
            let mut watched = Watched::new(kept.hosts.clone());
            watched.look();
            let pause = kept.hosts.spec().reload;
            if !pause.is_zero() {
                let looker = Looker::start("hosts", pause, pause, move || watched.look());
                kept.looker = Some(looker.map_err(ServeError::Start)?);
            }
            kept.read = true;
        }
        self.show();
        Ok(())
    }

    /// Tells those who write numbers what there is.
    fn show(&self) {
        *self.shown.0.lock() = self.kept.iter().map(|kept| kept.hosts.clone()).collect();
    }
}

/// What tells one state of a file from another: device, inode, size, seconds and nanoseconds of the last change.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// The state of a file.
pub(super) fn stamp(meta: &std::fs::Metadata) -> Stamp {
    (meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())
}

/// A file as it was seen last.
struct Watched {
    /// The hosts.
    hosts: Arc<Hosts>,
    /// Its state when it was read.
    stamp: Option<Stamp>,
    /// Whether it is read once more although its state is the same: a change within the same tick of the file system's
    /// clock leaves no trace.
    again: bool,
    /// Whether it could not be read last time.
    failing: bool,
}

impl Watched {
    /// A file that was not read yet.
    fn new(hosts: Arc<Hosts>) -> Self {
        Self { hosts, stamp: None, again: false, failing: false }
    }

    /// Looks at the file, and reads it if it changed; what was read last stays where it can't be read.
    fn look(&mut self) {
        let path = &self.hosts.spec().path;
        match read(path, self.stamp.filter(|_| !self.again)) {
            Ok(None) => {}
            Ok(Some((stamp, text))) => {
                self.again = self.stamp != Some(stamp);
                self.stamp = Some(stamp);
                self.hosts.replace(&text, u64::try_from(stamp.3).unwrap_or(0));
                if self.failing {
                    tracing::info!(target: "plugin/hosts", "{}: read again", path.display());
                }
                self.failing = false;
            }
            Err(error) => {
                if !self.failing {
                    let rest = match self.stamp {
                        Some(_) => "what was read last stays",
                        None => "only the addresses in the Corefile are served until it can be read",
                    };
                    tracing::warn!(target: "plugin/hosts", "{} can't be read, {rest}: {error}", path.display());
                }
                self.failing = true;
            }
        }
    }
}

/// Reads a file unless it is in the state `known`; links are followed, so that one that points elsewhere is another file.
pub(super) fn read(path: &Path, known: Option<Stamp>) -> io::Result<Option<(Stamp, String)>> {
    let mut file = File::open(path)?;
    let stamp = stamp(&file.metadata()?);
    if Some(stamp) == known {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some((stamp, String::from_utf8_lossy(&bytes).into_owned())))
}

#[cfg(test)]
mod tests {
    //! Files that change, are replaced, vanish and come back.
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::corefile::Zone;

    /// Hosts of the file.
    fn hosts(path: &Path) -> Watched {
        Watched::new(Arc::new(Hosts::new(HostsSpec {
            path: path.to_owned(),
            zones: vec![Zone::parse(".").unwrap()],
            inline: String::new(),
            reverse: false,
            reload: Duration::from_secs(5),
        })))
    }

    #[test]
    fn a_file_is_read_when_it_changes_and_what_was_read_stays_when_it_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let mut watched = hosts(&path);
        watched.look();
        assert_eq!((watched.hosts.entries(), watched.hosts.changed()), (0, 0));
        fs::write(&path, "10.0.0.1 a b\n").unwrap();
        watched.look();
        assert_eq!(watched.hosts.entries(), 2);
        assert!(watched.hosts.changed() > 0);
        fs::remove_file(&path).unwrap();
        watched.look();
        watched.look();
        assert_eq!(watched.hosts.entries(), 2);
        fs::write(&path, "10.0.0.1 a b c\n").unwrap();
        watched.look();
        assert_eq!(watched.hosts.entries(), 3);
    }

    #[test]
    fn a_change_that_leaves_no_trace_in_size_and_time_is_seen_at_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, "10.0.0.1 a b\n").unwrap();
        let mut watched = hosts(&path);
        watched.look();
        let times = fs::FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
        fs::write(&path, "10.0.0.1 a  \n").unwrap();
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        watched.look();
        assert_eq!(watched.hosts.entries(), 1);
    }

    #[test]
    fn a_link_that_points_to_another_file_of_the_same_size_and_time_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("..1"), folder.path().join("..2"));
        for (dir, text) in [(&old, "10.0.0.1 a b\n"), (&new, "10.0.0.1 a  \n")] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("NodeHosts"), text).unwrap();
        }
        let times = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        for dir in [&old, &new] {
            let file = File::options().write(true).open(dir.join("NodeHosts")).unwrap();
            file.set_times(times).unwrap();
        }
        let data = folder.path().join("..data");
        std::os::unix::fs::symlink(&old, &data).unwrap();
        let path = folder.path().join("NodeHosts");
        std::os::unix::fs::symlink("..data/NodeHosts", &path).unwrap();
        let mut watched = hosts(&path);
        watched.look();
        watched.look();
        assert_eq!(watched.hosts.entries(), 2);
        // As the kubelet does it: one rename.
        let next = folder.path().join("..next");
        std::os::unix::fs::symlink(&new, &next).unwrap();
        fs::rename(&next, &data).unwrap();
        watched.look();
        assert_eq!(watched.hosts.entries(), 1);
    }
}
