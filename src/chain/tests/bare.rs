//! Parts for Corefiles that are built and never served from.

use std::net::IpAddr;
use std::sync::Arc;

use crate::chain::{Parts, StoreSpec};
use crate::metrics::Tally;
use crate::store::{Store, Wanted};
use crate::time::{Clock, Wall};

/// Parts that nothing is served from, on a machine without an interface.
pub(crate) struct Bare;

impl Parts for Bare {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        Vec::new()
    }
}
