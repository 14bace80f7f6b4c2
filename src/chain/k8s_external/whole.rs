//! The whole zone for the outside, for those who transfer it (K-298): what is answered, name by name.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::kubernetes::Options;
use super::super::transfer::{Ready, Records, Whole};
use super::hosts::key;
use super::parse::Line;
use super::service::Wish;
use super::step::{K8sExternal, Look};
use crate::store::{Addresses, External, Host, Protocol, Service, ServiceKey, Spec};
use crate::wire::{Question, Section, Sections, rtype};

/// The types of records at names of endpoints.
const TYPES: [u16; 3] = [rtype::A, rtype::AAAA, rtype::SRV];

/// What has names in the zone.
enum Holder {
    /// A Service with addresses outside: `SVC.NS` in wire form, and those.
    External(ServiceKey, Arc<External>),
    /// A Service without, whose endpoints have names (`headless`).
    Service(Arc<Service>),
    /// A host: the labels in front of the zone, wire form.
    Host(Vec<u8>, Arc<Host>),
}

impl Holder {
    /// The labels of its name in front of the zone, wire form.
    fn run(&self) -> &[u8] {
        match self {
            Self::External(key, _) => key,
            Self::Service(service) => service.key(),
            Self::Host(run, _) => run,
        }
    }
}

/// The zone as of the moment when the transfer began.
struct OutsideZone {
    /// The stanza.
    line: Arc<Line>,
    /// The `kubernetes` stanza of the block.
    options: Arc<Options>,
    /// The zone's name, wire form.
    zone: Vec<u8>,
    /// How many labels it has.
    labels: usize,
    /// Records that are made and not sent yet.
    rows: VecDeque<Ready>,
    /// What comes behind them.
    holders: std::vec::IntoIter<Holder>,
    /// The SOA at the end; `None` where it was sent, or where who asks has this zone (K-242).
    last: Option<Ready>,
}

impl K8sExternal {
    /// The zone that is exactly the question's name. Reverse zones are not sent.
    pub(super) fn whole_zone(&self, question: &Question, known: Option<u32>) -> Whole {
        let exact = |zone: &&crate::corefile::Zone| {
            question.below(zone.wire(), zone.labels()) == Some(0) && !zone.is_reverse()
        };
        let Some(zone) = self.line.zones.iter().find(exact) else { return Whole::NotMine };
        if !self.options.store.knows(self.line.need()) {
            return Whole::NotReady;
        }
        let mut whole = OutsideZone {
            line: self.line.clone(),
            options: self.options.clone(),
            zone: question.lower().to_vec(),
            labels: zone.labels(),
            rows: VecDeque::new(),
            holders: Vec::new().into_iter(),
            last: None,
        };
        // The SOA before what has names: who has an older serial than what it got asks again.
        let mut current = false;
        for qtype in [rtype::SOA, rtype::NS] {
            whole.make(&[], qtype, false, |look, draft| {
                current = known.is_some_and(|known| known != 0 && known == look.serial());
                look.apex(draft);
            });
        }
        if current {
            whole.rows.truncate(1);
        } else {
            whole.last = whole.rows.front().cloned();
            whole.holders = whole.list().into_iter();
        }
        Whole::Records(Box::new(whole))
    }
}

impl OutsideZone {
    /// All that has names in this zone: Services by name alone as in a cluster zone (K-240), then hosts.
    fn list(&self) -> Vec<Holder> {
        let store = &self.options.store;
        let mut holders = Vec::new();
        for (key, _) in store.externals().all() {
            if let Some((namespace, external)) = store.externals().service(&key)
                && self.options.exposes(&namespace)
            {
                holders.push(Holder::External(key, external));
            }
        }
        if self.line.headless && self.options.endpoints {
            for service in store.services() {
                let outside = store.externals().service(service.key()).is_some();
                if !outside && self.options.exposes(service.namespace()) {
                    holders.push(Holder::Service(service));
                }
            }
        }
        holders.sort_by(|one, other| one.run().cmp(other.run()));
        if self.line.ingress || self.line.gateway {
            let Ok(apex) = Question::new(&self.zone, rtype::SOA) else { return holders };
            let above = key(&apex, 0);
            store.hosts().find_below(above.as_bytes(), |name, host| {
                let run = name.get(above.as_bytes().len()..).unwrap_or_default();
                holders.push(Holder::Host(turned(run), host.clone()));
                false
            });
        }
        holders.retain(|holder| self.has(holder.run()));
        holders
    }

    /// Whether the name of these labels is one of this zone that is not the zone's own (K-291).
    fn has(&self, run: &[u8]) -> bool {
        let name = [run, &self.zone].concat();
        let Ok(question) = Question::new(&name, rtype::SOA) else { return false };
        let within = |zone: &&crate::corefile::Zone| question.below(zone.wire(), zone.labels()).is_some();
        // The longest zone has the name.
        let here = self.line.zones.iter().find(within).is_some_and(|zone| zone.labels() == self.labels);
        let left = question.labels().saturating_sub(self.labels);
        here && left.checked_sub(1).is_some_and(|at| question.label(at) != &*self.line.apex)
    }

    /// Makes the records that answer a question for `labels` in front of the zone. With `yields` only where no host is
    /// named so, which would come first (K-293).
    fn make(
        &mut self,
        labels: &[&[u8]],
        qtype: u16,
        yields: bool,
        draft: impl FnOnce(&mut Look<'_>, &mut Sections),
    ) {
        let mut name = labels.concat();
        name.extend_from_slice(&self.zone);
        // Longer than a name can be.
        let Ok(question) = Question::new(&name, qtype) else { return };
        let mut look = Look {
            line: &self.line,
            options: &self.options,
            question: &question,
            left: question.labels().saturating_sub(self.labels),
            limit: usize::MAX,
            rng: &mut fastrand::Rng::with_seed(0),
            ttl: self.line.ttl,
        };
        if yields && look.has_hosts() && look.found(&key(&question, 0)).is_some() {
            return;
        }
        let mut sections = Sections::default();
        draft(&mut look, &mut sections);
        let apex = labels.is_empty();
        let sent = |record: &Ready| apex || record.section == Section::Answer;
        self.rows.extend(Ready::all(&sections, &question).into_iter().filter(sent));
    }

    /// Makes the records of one that has names.
    fn expand(&mut self, holder: &Holder) {
        match holder {
            Holder::Host(run, host) => {
                for qtype in [rtype::A, rtype::AAAA, rtype::CNAME] {
                    self.make(&[run], qtype, false, |look, draft| {
                        if let Some(addresses) = look.shown(host).filter(|found| sends(found, qtype)) {
                            look.lead(addresses, draft);
                        }
                    });
                }
            }
            Holder::External(run, external) => {
                let addresses = external.addresses();
                for qtype in [rtype::A, rtype::AAAA, rtype::CNAME, rtype::SRV] {
                    if sends(addresses, qtype) {
                        self.make(&[run], qtype, true, |look, draft| {
                            look.external(external, run, (None, None), draft);
                        });
                    }
                }
                let ports = external.ports().iter().map(|port| (&*port.name, port.protocol));
                for (labels, wish) in port_names(ports) {
                    self.make(&[&labels, run], rtype::SRV, true, |look, draft| {
                        look.external(external, run, wish, draft);
                    });
                }
            }
            Holder::Service(service) => self.endpoints(service),
        }
    }

    /// Makes the records of endpoints.
    fn endpoints(&mut self, service: &Arc<Service>) {
        let run: &[u8] = service.key();
        let parts = service.endpoints().parts();
        match service.spec() {
            Spec::Headless => {
                for qtype in TYPES {
                    self.make(&[run], qtype, true, |look, draft| {
                        look.endpoints(service, run, (None, None), draft);
                    });
                }
                let parts = parts.iter().filter(|part| !part.is_empty());
                let numbered = parts.flat_map(|part| part.ports()).filter(|port| port.port.is_some());
                for (labels, wish) in port_names(numbered.map(|port| (&*port.name, port.protocol))) {
                    self.make(&[&labels, run], rtype::SRV, true, |look, draft| {
                        look.endpoints(service, run, wish, draft);
                    });
                }
            }
            Spec::Cluster { .. } => {}
            Spec::Orphan | Spec::External(_) | Spec::ExternalInvalid => return,
        }
        let members = parts.iter().flat_map(|part| part.members());
        let mut names: Vec<Vec<u8>> =
            members.map(|member| framed(member.name(self.options.naming).as_bytes())).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            for qtype in TYPES {
                self.make(&[&name, run], qtype, true, |look, draft| {
                    look.endpoints(service, run, (None, None), draft);
                });
            }
        }
    }
}

/// Whether a transfer has records of this type at a name that leads there: nothing stands beside an alias
/// (RFC 2181 §10.1), though an SRV is answered there (K-290).
fn sends(addresses: &Addresses, qtype: u16) -> bool {
    addresses.alias().is_some() == (qtype == rtype::CNAME)
}

/// A label with its length.
fn framed(label: &[u8]) -> Vec<u8> {
    let mut whole = vec![u8::try_from(label.len()).unwrap_or(0)];
    whole.extend_from_slice(label);
    whole
}

/// The names of ports, `_port._proto`, each once, with what they wish for. A port without a name makes none (K-083).
fn port_names<'p>(ports: impl Iterator<Item = (&'p str, Protocol)>) -> Vec<(Vec<u8>, Wish<'p>)> {
    let mut names: Vec<(Vec<u8>, Wish<'p>)> = Vec::new();
    for (name, protocol) in ports.filter(|(name, _)| !name.is_empty() && name.len() < 63) {
        let label: &[u8] = match protocol {
            Protocol::Tcp => b"_tcp",
            Protocol::Udp => b"_udp",
            Protocol::Sctp => b"_sctp",
        };
        let labels = [framed(&[b"_", name.as_bytes()].concat()), framed(label)].concat();
        if !names.iter().any(|(known, _)| *known == labels) {
            names.push((labels, (Some(name.as_bytes()), Some(protocol))));
        }
    }
    names
}

/// Labels with their lengths in the opposite order: the key of a host (`HostName`) begins at the root.
fn turned(mut key: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    while let Some((&length, rest)) = key.split_first() {
        let Some((label, rest)) = rest.split_at_checked(usize::from(length)) else { break };
        labels.push(framed(label));
        key = rest;
    }
    labels.reverse();
    labels.concat()
}

impl Records for OutsideZone {
    fn fill(&mut self, draft: &mut Sections, room: usize) -> bool {
        let mut taken = 0;
        while taken < room {
            if let Some(row) = self.rows.pop_front() {
                taken += row.put(draft);
            } else if let Some(holder) = self.holders.next() {
                self.expand(&holder);
            } else if let Some(soa) = self.last.take() {
                taken += soa.put(draft);
            } else {
                return false;
            }
        }
        !self.rows.is_empty() || self.last.is_some()
    }
}
