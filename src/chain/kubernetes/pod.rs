//! Names of pods (SPEC G and "pod hostnames" of section 0).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Found, Lookup, PodMode};
use crate::store::{Naming, Service, Spec};
use crate::wire::{Section, Sections, rtype};

impl Lookup<'_> {
    /// Answers a name below `NS.pod.Z` whose namespace is exposed.
    pub(super) fn pod(
        &mut self,
        namespace: &[u8],
        label: &[u8],
        run: &[u8],
        hostname: Option<&[u8]>,
        sections: &mut Sections,
    ) -> Found {
        if self.options.pod_hostnames {
            let found = match hostname {
                Some(hostname) => self.pod_hostname(hostname, run, sections),
                None => self.has_hostnames(run),
            };
            if found {
                return Found::Here;
            }
        }
        let Some(ip) = address(label) else { return Found::Missing };
        match self.options.pods {
            PodMode::Disabled => return Found::Missing,
            PodMode::Insecure => {}
            PodMode::Verified if self.options.store.pods().contains(ip, namespace) => {}
            PodMode::Verified => return Found::Missing,
        }
        self.address(ip, sections);
        Found::Here
    }

    /// Drafts `ip` if its family was asked for.
    fn address(&mut self, ip: IpAddr, sections: &mut Sections) {
        let (octets, length) = crate::store::octets(ip);
        if self.qtype == if length == 4 { rtype::A } else { rtype::AAAA } {
            let address = octets.get(..length).unwrap_or_default();
            sections.push_address(Section::Answer, self.owner, self.options.ttl, address);
        }
    }

    /// Answers `HOST.SUB.NS.pod.Z`: the ready endpoints with that hostname under the Service named SUB, and with
    /// `pods verified` also pods that carry both names; false where there is none.
    fn pod_hostname(&mut self, hostname: &[u8], run: &[u8], sections: &mut Sections) -> bool {
        let store = self.options.store.clone();
        let mut addresses = Vec::new();
        if let Some(service) = store.service(run)
            && let Some(endpoints) = hostname_endpoints(&service)
        {
            addresses.extend(
                endpoints
                    .named(hostname, Naming::Address)
                    .filter(|(_, member)| !member.hostname().is_empty())
                    .map(|(_, member)| member.ip()),
            );
        }
        if addresses.is_empty() && self.options.pods == PodMode::Verified {
            let mut key = Vec::with_capacity(hostname.len() + run.len() + 1);
            key.push(u8::try_from(hostname.len()).unwrap_or(0));
            key.extend_from_slice(hostname);
            key.extend_from_slice(run);
            store.pods().hostname(&key, |ip| addresses.push(ip));
        }
        addresses.sort_unstable();
        addresses.dedup();
        let found = !addresses.is_empty();
        for ip in addresses {
            self.address(ip, sections);
        }
        found
    }

    /// Whether `SUB.NS.pod.Z` has pod hostnames below it, and so exists (RFC 8020).
    fn has_hostnames(&self, run: &[u8]) -> bool {
        self.options.store.service(run).is_some_and(|service| {
            hostname_endpoints(&service).is_some_and(|endpoints| {
                endpoints
                    .parts()
                    .iter()
                    .flat_map(|part| part.members())
                    .any(|member| !member.hostname().is_empty())
            })
        })
    }
}

/// The endpoints of a Service that may carry pod hostnames: any kind of Service that exists.
fn hostname_endpoints(service: &Service) -> Option<&crate::store::Endpoints> {
    match service.spec() {
        Spec::Cluster { .. } | Spec::Headless => Some(service.endpoints()),
        Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => None,
    }
}

/// The address that a label with dashes spells (K-153, K-159): exactly three dashes and none doubled is IPv4, all else IPv6.
///
/// Any valid spelling of an IPv6 address counts; leading zeros in IPv4 do not.
pub(super) fn address(label: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(label).ok()?;
    let dashes = label.iter().filter(|&&byte| byte == b'-').count();
    let mut spelled = [0_u8; 63];
    let spelled = spelled.get_mut(..label.len())?;
    let v4 = dashes == 3 && !text.contains("--");
    for (to, &from) in spelled.iter_mut().zip(label) {
        *to = match from {
            b'-' if v4 => b'.',
            b'-' => b':',
            // Dots inside a label are data, not separators: they spell no address.
            b'.' | b':' => return None,
            other => other,
        };
    }
    let spelled = std::str::from_utf8(spelled).ok()?;
    if v4 {
        spelled.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    } else {
        spelled.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    }
}
