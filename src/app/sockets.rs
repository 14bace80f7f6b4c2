//! The sockets of a plan.

use super::ServeError;
use crate::chain::Socket;
use crate::corefile::Transport as Scheme;
use crate::server::{Bound, Group, encrypted_threads};

/// Binds addresses, all or none, `gone` being those of ours that are given up for them; an address of a family that the kernel
/// has not is left out with a warning.
pub(super) fn bind_all(
    sockets: impl Iterator<Item = Socket>,
    gone: &[Socket],
    workers: usize,
    warnings: &mut Vec<String>,
) -> Result<Vec<Group>, ServeError> {
    let mut groups = Vec::new();
    for socket in sockets {
        let threads = if socket.scheme == Scheme::Dns { workers } else { encrypted_threads(workers) };
        match crate::server::bind(socket, threads, gone)? {
            Bound::Yes(group) => groups.push(group),
            Bound::NoIpv6(socket) => {
                warnings.push(format!("{} is left out: this machine has no IPv6", socket.addr));
            }
        }
    }
    Ok(groups)
}
