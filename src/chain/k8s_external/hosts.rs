//! Hosts of Ingresses, Gateways and routes (K-293 to K-296).

use std::sync::Arc;

use super::step::{Found, Look};
use crate::store::change::HostKind;
use crate::store::{Addresses, Host, HostName};
use crate::wire::{Question, Sections};

impl Look<'_> {
    /// Whether the stanza asks for hosts at all.
    pub(super) fn has_hosts(&self) -> bool {
        self.line.ingress || self.line.gateway
    }

    /// Where a host leads for this stanza: as the oldest claim says whose kind is asked for and whose namespace is shown.
    pub(super) fn shown<'h>(&self, host: &'h Host) -> Option<&'h Addresses> {
        let line = self.line;
        let claims = host.claims().iter();
        let mut shown = claims.filter(|claim| {
            let asked_for = match claim.owner().kind {
                HostKind::Ingresses => line.ingress,
                HostKind::Gateways | HostKind::HttpRoutes | HostKind::GrpcRoutes | HostKind::TlsRoutes => {
                    line.gateway
                }
            };
            asked_for && self.options.exposes(claim.namespace())
        });
        shown.next().map(crate::store::Claim::addresses)
    }

    /// The host of exactly this key, if the stanza shows one.
    pub(super) fn found(&self, key: &HostName) -> Option<Arc<Host>> {
        self.options.store.hosts().get(key.as_bytes()).filter(|host| self.shown(host).is_some())
    }

    /// Answers from the host of exactly the name asked for; `None` where there is none.
    pub(super) fn host(&self, sections: &mut Sections) -> Option<Found> {
        if !self.has_hosts() {
            return None;
        }
        let host = self.found(&key(self.question, 0))?;
        Some(self.lead(self.shown(&host)?, sections))
    }

    /// Answers from the wildcard that covers the name, if one does: that below the closest name that exists
    /// (RFC 4592 §3.3.1).
    pub(super) fn wildcard(&self, sections: &mut Sections) -> Option<Found> {
        // A name above others exists, so that no wildcard is meant (RFC 4592 §2.2.2).
        if !self.has_hosts() || self.above_hosts() {
            return None;
        }
        for from in 1..=self.left {
            let mut encloser = key(self.question, from);
            if from == self.left || self.exists(&encloser) {
                encloser.push(b"*");
                let host = self.found(&encloser)?;
                return Some(self.lead(self.shown(&host)?, sections));
            }
        }
        None
    }

    /// Whether hosts that the stanza shows stand below the name asked for (RFC 8020).
    pub(super) fn above_hosts(&self) -> bool {
        self.has_hosts() && self.exists(&key(self.question, 0))
    }

    /// Whether a host that the stanza shows stands at or below a name.
    fn exists(&self, key: &HostName) -> bool {
        let hosts = self.options.store.hosts();
        hosts.any_below(key.as_bytes(), |host| self.shown(host).is_some())
    }
}

/// The key of the question's name from label `from` on.
pub(super) fn key(question: &Question, from: usize) -> HostName {
    let mut key = HostName::root();
    for at in (from..question.labels()).rev() {
        key.push(question.label(at));
    }
    key
}
