//! Files of weights: read while the Corefile is, then looked at by threads of their own (rule S-09).

use std::sync::Arc;

use super::ServeError;
use super::hosts::{Stamp, read};
use super::looker::Looker;
use crate::chain::{Weights, WeightsFault, WeightsSpec};

/// The weights of all lines.
#[derive(Default)]
pub(super) struct WeightFiles(Vec<Kept>);

/// Weights that are kept over plans.
struct Kept {
    /// Whether the plan that is being built, or in force, asked for them.
    used: bool,
    /// The file, until its thread takes it.
    watched: Option<Watched>,
    /// The weights.
    weights: Arc<Weights>,
    /// Looks at the file; `None` where it is only read once, or not in force yet.
    looker: Option<Looker>,
}

impl WeightFiles {
    /// The weights of a file, those that are kept already where they are equal.
    ///
    /// Errors: the file cannot be used. One that is not there yet can, where it is looked at again.
    pub(super) fn get(&mut self, spec: &WeightsSpec) -> Result<Arc<Weights>, WeightsFault> {
        if let Some(known) = self.0.iter_mut().find(|kept| kept.weights.spec() == spec) {
            known.used = true;
            return Ok(known.weights.clone());
        }
        let weights = Arc::new(Weights::new(spec.clone()));
        let mut watched = Watched { weights: weights.clone(), stamp: None, again: false, failing: false };
        match watched.take() {
            Err(WeightsFault::Read { path, source }) if !spec.reload.is_zero() => {
                tracing::warn!(
                    target: "plugin/loadbalance",
                    "{} can't be read, all addresses weigh the same until it can: {source}",
                    path.display()
                );
                watched.failing = true;
            }
            Err(fault) => return Err(fault),
            Ok(_) => {}
        }
        self.0.push(Kept { used: true, watched: Some(watched), weights: weights.clone(), looker: None });
        Ok(weights)
    }

    /// Before a plan is built: nothing is asked for yet.
    pub(super) fn begin(&mut self) {
        self.0.iter_mut().for_each(|kept| kept.used = false);
    }

    /// The plan that was built is in force: what it did not ask for ends.
    pub(super) fn commit(&mut self) {
        self.0.retain(|kept| kept.used);
    }

    /// The plan could not be built: what was made for it goes, what runs goes on.
    pub(super) fn abandon(&mut self) {
        self.0.retain(|kept| kept.watched.is_none());
        self.0.iter_mut().for_each(|kept| kept.used = true);
    }

    /// Looks at the files from now on.
    pub(super) fn feed(&mut self) -> Result<(), ServeError> {
        for kept in &mut self.0 {
            let pause = kept.weights.spec().reload;
            let Some(mut watched) = kept.watched.take() else { continue };
            if !pause.is_zero() {
                let looker = Looker::start("weights", pause, pause, move || watched.look());
                kept.looker = Some(looker.map_err(ServeError::Start)?);
            }
        }
        Ok(())
    }
}

/// A file as it was seen last.
struct Watched {
    /// The weights.
    weights: Arc<Weights>,
    /// Its state when it was read.
    stamp: Option<Stamp>,
    /// Whether it is read once more although its state is the same: a change within the same tick of the file system's
    /// clock leaves no trace.
    again: bool,
    /// Whether it could not be used last time.
    failing: bool,
}

impl Watched {
    /// Reads the file if it changed; says whether it did. Errors: it cannot be read or used.
    fn take(&mut self) -> Result<bool, WeightsFault> {
        let path = &self.weights.spec().path;
        let found = read(path, self.stamp.filter(|_| !self.again))
            .map_err(|source| WeightsFault::Read { path: path.clone(), source })?;
        let Some((stamp, text)) = found else { return Ok(false) };
        self.again = self.stamp != Some(stamp);
        self.stamp = Some(stamp);
        self.weights.replace(&text).map(|()| true)
    }

    /// Looks at the file; what was read last stays where it can't be used.
    fn look(&mut self) {
        match self.take() {
            Ok(read) => {
                if read && self.failing {
                    let path = self.weights.spec().path.display();
                    tracing::info!(target: "plugin/loadbalance", "{path}: read again");
                }
                self.failing &= !read;
            }
            Err(fault) => {
                if !self.failing {
                    tracing::error!(target: "plugin/loadbalance", "what was read last stays: {fault}");
                }
                self.failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Files that are missing, wrong, and changed.

    use std::fs;
    use std::time::Duration;

    use super::*;

    /// A file in a folder.
    fn spec(folder: &tempfile::TempDir, reload: u64) -> WeightsSpec {
        WeightsSpec { path: folder.path().join("weights"), reload: Duration::from_secs(reload) }
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_only_where_it_is_not_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = WeightFiles::default();
        assert!(matches!(files.get(&spec(&folder, 0)), Err(WeightsFault::Read { .. })));
        assert!(files.get(&spec(&folder, 30)).is_ok());
        fs::write(spec(&folder, 0).path, "a.test\n10.0.0.1\n").unwrap();
        let fault = files.get(&spec(&folder, 7)).unwrap_err().to_string();
        assert!(fault.ends_with("line 2: the address `10.0.0.1` has no weight"), "{fault}");
    }

    #[test]
    fn equal_lines_share_their_weights_and_what_no_plan_wants_ends() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(spec(&folder, 0).path, "a.test\n10.0.0.1 3\n").unwrap();
        let mut files = WeightFiles::default();
        let first = files.get(&spec(&folder, 30)).unwrap();
        files.feed().unwrap();
        files.begin();
        assert!(Arc::ptr_eq(&first, &files.get(&spec(&folder, 30)).unwrap()));
        assert!(files.get(&spec(&folder, 31)).is_ok());
        files.abandon();
        assert_eq!(files.0.len(), 1);
        files.begin();
        files.commit();
        assert!(files.0.is_empty());
    }

    #[test]
    fn a_file_that_becomes_wrong_changes_nothing_until_it_is_right_again() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(&folder, 30);
        fs::write(&spec.path, "a.test\n10.0.0.1 3\n").unwrap();
        let weights = Arc::new(Weights::new(spec.clone()));
        let mut watched = Watched { weights, stamp: None, again: false, failing: false };
        watched.look();
        assert!(!watched.failing);
        fs::write(&spec.path, "a.test\n10.0.0.1 0 and more\n").unwrap();
        watched.look();
        assert!(watched.failing);
        fs::write(&spec.path, "a.test\n10.0.0.1 200\n").unwrap();
        watched.look();
        assert!(!watched.failing);
    }
}
