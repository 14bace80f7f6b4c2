//! What a `forward` line names: addresses, files that list addresses, host names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::group::GroupOptions;
use super::upstream::UpstreamSpec;

/// The most addresses that a file or a host name may give.
pub(super) const MOST_ADDRESSES: usize = 15;

/// One thing that a `forward` line names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// An upstream.
    Upstream(UpstreamSpec),
    /// An upstream at a link-local address behind an interface, as in `fe80::1%eth0`; `like` lacks only the scope.
    Scoped {
        /// The interface, by name or number.
        interface: String,
        /// The upstream.
        like: UpstreamSpec,
    },
    /// A file in the form of resolv.conf, whose name servers are the upstreams; `like` has everything but the address.
    File {
        /// The file.
        path: PathBuf,
        /// How they are talked to.
        like: UpstreamSpec,
    },
    /// A host name, all of whose addresses are upstreams; `like` has everything but the IP address. A name that is the
    /// name of a file in the working directory is that file.
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
    pub resolvers: Vec<SocketAddr>,
    /// Where the block of the line listens: nobody there is asked (RELIABILITY U16). Unspecified addresses stand for all
    /// of the machine's.
    pub own: Vec<SocketAddr>,
}

/// What a target, or what it is checked against, can't be used for; in words for the one who wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetFault {
    /// Which of the targets; `None` for the line as a whole.
    pub target: Option<usize>,
    /// What is wrong.
    pub text: String,
}

/// Whether a query to `addr` comes back to one of `own`; `interfaces` are the machine's addresses.
#[must_use]
pub fn is_own(addr: SocketAddr, own: &[SocketAddr], interfaces: &[IpAddr]) -> bool {
    own.iter().any(|own| {
        let everywhere = own.ip().is_unspecified() && own.is_ipv4() == addr.is_ipv4();
        own.port() == addr.port()
            && (own.ip() == addr.ip()
                || everywhere && (addr.ip().is_loopback() || interfaces.contains(&addr.ip())))
    })
}

/// An address with the scope of an interface; any but an IPv6 address stays as it is.
///
/// Errors: there is no such interface.
pub fn scoped(addr: SocketAddr, interface: &str) -> Result<SocketAddr, String> {
    let SocketAddr::V6(mut addr) = addr else { return Ok(addr) };
    // As the name goes into a path: a name of the kernel's has neither slash nor blank (dev_valid_name).
    let plain = !interface.is_empty() && !interface.contains(['/', '.', ' ', '\0']);
    let named = || {
        let file = format!("/sys/class/net/{interface}/ifindex");
        plain.then(|| std::fs::read_to_string(file).ok()).flatten()?.trim().parse::<u32>().ok()
    };
    let index = interface.parse::<u32>().ok().or_else(named);
    addr.set_scope_id(index.ok_or_else(|| format!("there is no interface `{interface}`"))?);
    Ok(SocketAddr::V6(addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an address.
    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_wildcard_stands_for_loopback_and_interfaces_of_its_family_and_port() {
        let interfaces = ["10.0.0.53".parse().expect("an address")];
        let wild = [at("0.0.0.0:53")];
        for own in ["127.0.0.1:53", "127.0.0.53:53", "10.0.0.53:53"] {
            assert!(is_own(at(own), &wild, &interfaces), "{own}");
        }
        for other in ["127.0.0.1:54", "10.0.0.54:53", "[::1]:53"] {
            assert!(!is_own(at(other), &wild, &interfaces), "{other}");
        }
        assert!(is_own(at("169.254.20.10:53"), &[at("169.254.20.10:53")], &interfaces));
        assert!(!is_own(at("10.0.0.53:53"), &[at("169.254.20.10:53")], &interfaces));
    }

    #[test]
    fn a_scope_is_an_interface_by_name_or_number() {
        let scope = |interface| match scoped(at("[fe80::1]:53"), interface) {
            Ok(SocketAddr::V6(addr)) => Ok(addr.scope_id()),
            Ok(SocketAddr::V4(_)) => Ok(0),
            Err(text) => Err(text),
        };
        assert_eq!(scope("7"), Ok(7));
        assert_eq!(scope("lo"), Ok(1));
        assert_eq!(scope("../lo"), Err("there is no interface `../lo`".to_owned()));
        assert_eq!(scope("eth99"), Err("there is no interface `eth99`".to_owned()));
    }
}
