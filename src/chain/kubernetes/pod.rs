//! Names of pods (SPEC G and "pod hostnames" of section 0).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::service::has_rdata;
use super::{Found, Lookup, PodMode};
use crate::store::{Naming, Service, Spec};
use crate::wire::{MAX_NAME, Section, Sections, rtype};

impl Lookup<'_> {
    /// Answers `a-b-c-d.NS.pod.Z` (and, K-154, names below it) in an exposed namespace.
    pub(super) fn pod(&mut self, namespace: &[u8], label: &[u8], sections: &mut Sections) -> Found {
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

    /// Drafts `ip` if its family was asked for and it is not drafted yet.
    fn address(&mut self, ip: IpAddr, sections: &mut Sections) {
        let (octets, length) = crate::store::octets(ip);
        let address = octets.get(..length).unwrap_or_default();
        let wanted = if length == 4 { rtype::A } else { rtype::AAAA };
        if self.qtype == wanted && !has_rdata(sections, 0, address) {
            sections.push_address(Section::Answer, self.owner, self.ttl, address);
        }
    }

    /// Answers `HOST.SUB.NS.pod.Z`, or `SUB.NS.pod.Z` above such names (RFC 8020); false where there is none.
    ///
    /// The ready endpoints with that hostname under the Service named SUB count; without such a Service, with
    /// `pods verified`, the pods that carry both names.
    pub(super) fn pod_hostname(
        &mut self,
        hostname: Option<&[u8]>,
        run: &[u8],
        sections: &mut Sections,
    ) -> bool {
        if !self.options.pod_hostnames {
            return false;
        }
        let store = self.options.store.clone();
        if let Some(service) = store.service(run)
            && let Some(endpoints) = hostname_endpoints(&service)
        {
            let Some(hostname) = hostname else {
                let mut members = endpoints.parts().iter().flat_map(|part| part.members());
                return members.any(|member| !member.hostname().is_empty());
            };
            let members = || {
                let named = endpoints.named(hostname, Naming::Address).map(|(_, member)| member);
                named.filter(|member| !member.hostname().is_empty())
            };
            self.member_addresses(members(), sections);
            return members().next().is_some();
        }
        if self.options.pods != PodMode::Verified {
            return false;
        }
        let Some(hostname) = hostname else { return store.pods().has_subdomain(run) };
        let mut key = [0_u8; MAX_NAME];
        let length = u8::try_from(hostname.len()).unwrap_or(0);
        let spelled = std::iter::once(&length).chain(hostname).chain(run);
        let length = key.iter_mut().zip(spelled).map(|(to, from)| *to = *from).count();
        store.pods().hostname(key.get(..length).unwrap_or_default(), |ip| self.address(ip, sections))
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
