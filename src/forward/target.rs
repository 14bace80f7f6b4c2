//! What a `forward` line names: addresses, files that list addresses, host names.

use std::path::PathBuf;

use super::group::GroupOptions;
use super::upstream::UpstreamSpec;

/// One thing that a `forward` line names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// An upstream.
    Upstream(UpstreamSpec),
    /// A file in the form of resolv.conf, whose name servers are the upstreams; `like` has everything but the address.
    File {
        /// The file.
        path: PathBuf,
        /// How they are talked to.
        like: UpstreamSpec,
    },
    /// A host name, all of whose addresses are upstreams; `like` has everything but the IP address.
    Host {
        /// The name.
        name: String,
        /// How they are talked to, the port included.
        like: UpstreamSpec,
    },
}

/// What makes a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSpec {
    /// Whom to ask.
    pub targets: Vec<Target>,
    /// How.
    pub options: GroupOptions,
    /// Who resolves host names; the machine's own resolvers where there are none.
    pub resolvers: Vec<std::net::SocketAddr>,
}
