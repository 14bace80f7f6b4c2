//! A zone that is fetched from primaries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::zone::Held;

/// What makes two stanzas share a zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaSpec {
    /// The zone, wire form, lower case.
    pub origin: Arc<[u8]>,
    /// Whom to fetch it from, in this order.
    pub primaries: Vec<SocketAddr>,
}

/// The zone, shared by plans that want the same.
#[derive(Debug)]
pub struct Replica {
    /// What it is.
    spec: ReplicaSpec,
    /// What is known of it.
    held: Arc<Held>,
    /// Signalled when a primary says that it has changed.
    poked: Notify,
}

impl Replica {
    /// A zone that nobody follows yet.
    #[must_use]
    pub fn new(spec: ReplicaSpec) -> Self {
        Self { spec, held: Arc::default(), poked: Notify::new() }
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &ReplicaSpec {
        &self.spec
    }

    /// What is known of it.
    #[must_use]
    pub fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Somebody says that the zone has changed; true where that is a primary, and then it is looked at.
    pub fn notified(&self, from: IpAddr) -> bool {
        let known = self.spec.primaries.iter().any(|primary| primary.ip().to_canonical() == from);
        if known {
            self.poked.notify_one();
        }
        known
    }

    /// Waits until a primary says that the zone has changed.
    pub(super) async fn poked(&self) {
        self.poked.notified().await;
    }
}
