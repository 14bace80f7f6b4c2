//! Certificates of our own: read before anything is served, then looked at by one thread.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::ServeError;
use super::looker::Looker;
use crate::tls::{CertificateSpec, Certificates, Look};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The certificates of all plans.
#[derive(Default)]
pub(super) struct CertificateFiles {
    /// Those that some plan holds.
    held: Arc<Mutex<Vec<Weak<Certificates>>>>,
    /// Who looks at their files, once there are any.
    looker: Option<Looker>,
}

impl CertificateFiles {
    /// The certificate of a line: the one that serves already, or a new one.
    ///
    /// Errors: its files can't be used.
    pub(super) fn get(&mut self, spec: &CertificateSpec) -> Result<Arc<Certificates>, String> {
        let mut held = self.held.lock();
        held.retain(|known| known.strong_count() > 0);
        if let Some(known) = held.iter().filter_map(Weak::upgrade).find(|known| known.spec() == spec) {
            return Ok(known);
        }
        let made = Arc::new(Certificates::open(spec.clone())?);
        held.push(Arc::downgrade(&made));
        Ok(made)
    }

    /// Sees to it that the files are looked at from now on.
    pub(super) fn feed(&mut self) -> Result<(), ServeError> {
        if self.looker.is_some() || self.held.lock().is_empty() {
            return Ok(());
        }
        let held = self.held.clone();
        let looker = Looker::start("certificates", LOOK, LOOK, move || {
            let all: Vec<Arc<Certificates>> = held.lock().iter().filter_map(Weak::upgrade).collect();
            all.iter().for_each(|certificates| tell(certificates));
        });
        self.looker = Some(looker.map_err(ServeError::Start)?);
        Ok(())
    }
}

/// Looks at one, and says what came of it.
fn tell(certificates: &Certificates) {
    let file = certificates.spec().certificate.display();
    match certificates.look() {
        Look::Same => {}
        Look::Changed => tracing::info!(target: "plugin/tls", "{file} was read again and serves from now on"),
        Look::Failed(why) => {
            tracing::error!(target: "plugin/tls", "{file} is not read again, what it held goes on: {why}");
        }
    }
}
