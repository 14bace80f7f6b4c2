//! Services of a clusterset in a transfer (K-213): endpoints without their clusters, as CoreDNS sends them.

use std::net::IpAddr;

use super::{ClusterZone, Filling, cluster};
use crate::store::{Import, ImportSpec};

impl ClusterZone {
    /// Adds the part of an import that has this number; false where there is none.
    pub(super) fn import(&self, import: &Import, number: usize, to: &mut Filling<'_>) -> bool {
        let key: &[u8] = import.key();
        match import.spec() {
            ImportSpec::Orphan => false,
            ImportSpec::Set { v4, v6 } => {
                let v4 = v4.iter().map(|&octets| IpAddr::from(octets));
                let ips = v4.chain(v6.iter().map(|&octets| IpAddr::from(octets)));
                cluster((key, import.ports()), ips, number, to)
            }
            ImportSpec::Headless => {
                let parts = import.members().iter().flat_map(|member| member.endpoints().parts());
                self.endpoint(key, parts.map(AsRef::as_ref), number, to)
            }
        }
    }
}
