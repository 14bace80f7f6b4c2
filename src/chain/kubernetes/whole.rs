//! The whole cluster zone, for those who transfer it (K-240 to K-245).

use std::sync::Arc;

use super::super::transfer::{Records, Whole};
use super::{Kubernetes, Lookup, ServedZone};
use crate::store::{Member, Naming, Need, Part, Port, Protocol, Service, Spec, octets};
use crate::wire::{MAX_NAME, Owner, Question, Rdata, Section, Sections, rtype};

/// Weight of SRV records in front of cluster addresses (K-240).
const WEIGHT: u16 = 100;

/// A record that is made before the first message goes out: SOA, NS and the addresses of those.
struct Ready {
    /// The owner, wire form.
    owner: Vec<u8>,
    /// TYPE.
    rtype: u16,
    /// TTL. Unit: seconds.
    ttl: u32,
    /// RDATA.
    rdata: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    /// The ready record of this number; the first is the SOA.
    Front(usize),
    /// A part of a Service: both by number.
    Service(usize, usize),
    /// The SOA again.
    Last,
    /// Nothing.
    End,
}

/// The zone as of the moment when the transfer began: Services are immutable, so what is held is one pointer for each.
struct ClusterZone {
    /// The zone's name, wire form.
    zone: Vec<u8>,
    /// TTL. Unit: seconds.
    ttl: u32,
    /// How endpoints are named.
    naming: Naming,
    /// Whether endpoints are known at all.
    endpoints: bool,
    /// What is ready.
    front: Vec<Ready>,
    /// The Services that the stanza shows, by name alone.
    services: Vec<Arc<Service>>,
    /// Whether only the SOA is sent: who asks has this zone (K-242).
    current: bool,
    /// What comes next.
    next: Next,
}

impl Kubernetes {
    /// The zone that is exactly the question's name. Reverse zones are not sent: their names are made of questions.
    pub(super) fn whole_zone(&self, question: &Question, known: Option<u32>) -> Whole {
        let exact = |served: &&ServedZone| {
            question.below(served.zone.wire(), served.zone.labels()) == Some(0) && !served.zone.is_reverse()
        };
        let Some(served) = self.options.zones.iter().find(exact) else { return Whole::NotMine };
        if served.forms.multicluster {
            return Whole::NotMine;
        }
        if !self.options.store.knows(Need::Cluster) {
            return Whole::NotReady;
        }
        // Before the Services: who has an older serial than what it got asks again.
        let serial = self.options.store.serial();
        let current = known.is_some_and(|known| known != 0 && known == serial);
        let mut services = match current {
            true => Vec::new(),
            false => self.options.store.services(),
        };
        services.retain(|service| self.options.exposes(service.namespace()));
        services.sort_by(|a, b| label(a.key()).cmp(label(b.key())).then_with(|| a.key().cmp(b.key())));
        let mut front = self.front(served, question);
        if current {
            front.truncate(1);
        }
        Whole::Records(Box::new(ClusterZone {
            zone: question.lower().to_vec(),
            ttl: self.options.ttl,
            naming: self.options.naming,
            endpoints: self.options.endpoints,
            front,
            services,
            current,
            next: Next::Front(0),
        }))
    }

    /// SOA, NS and the addresses of those, which have TTL 0 (K-241).
    fn front(&self, served: &ServedZone, question: &Question) -> Vec<Ready> {
        let mut front = Vec::new();
        let mut rng = fastrand::Rng::with_seed(0);
        for qtype in [rtype::SOA, rtype::NS] {
            let mut asked = question.clone();
            asked.qtype = qtype;
            let mut draft = Sections::default();
            let mut lookup = Lookup {
                options: &self.options,
                question: &asked,
                left: 0,
                zone: &served.zone,
                qtype,
                owner: Owner::Question,
                run: &[],
                limit: usize::MAX,
                rng: &mut rng,
                forms: served.forms,
                ttl: self.options.ttl,
            };
            lookup.apex(true, &mut draft);
            for record in draft.records() {
                let mut owner = [0_u8; MAX_NAME];
                let length = draft.owner_name(record, &asked, &mut owner);
                front.push(Ready {
                    owner: owner.get(..length).unwrap_or_default().to_vec(),
                    rtype: record.rtype,
                    ttl: if record.section == Section::Additional { 0 } else { record.ttl },
                    rdata: draft.rdata(record).to_vec(),
                });
            }
        }
        front
    }
}

/// The first label of a key, without its length.
fn label(key: &[u8]) -> &[u8] {
    let length = key.first().copied().map_or(0, usize::from);
    key.get(1..=length).unwrap_or_default()
}

/// The label of a protocol in names of ports.
fn protocol(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Tcp => b"_tcp",
        Protocol::Udp => b"_udp",
        Protocol::Sctp => b"_sctp",
    }
}

/// A draft that counts what its records take.
struct Filling<'a> {
    /// The zone.
    zone: &'a [u8],
    /// TTL. Unit: seconds.
    ttl: u32,
    /// The draft.
    draft: &'a mut Sections,
    /// Bytes so far.
    taken: usize,
}

impl Filling<'_> {
    /// Adds a record of `labels`, each with its length, in front of the zone.
    fn push(&mut self, labels: &[&[u8]], rtype: u16, write: impl FnOnce(&mut Rdata<'_>, &[u8])) {
        let owner = self.name(labels);
        self.taken += owner.len() + 10;
        let owner = self.draft.store_name(&owner);
        let (zone, ttl) = (self.zone, self.ttl);
        self.draft.push(Section::Answer, owner, rtype, ttl, |rdata| write(rdata, zone));
        let size = self.draft.records().last().map_or(0, |record| self.draft.rdata(record).len());
        self.taken += size;
    }

    /// A whole name.
    fn name(&self, labels: &[&[u8]]) -> Vec<u8> {
        let mut name = labels.concat();
        name.extend_from_slice(self.zone);
        name
    }

    /// Adds an address.
    fn address(&mut self, labels: &[&[u8]], ip: std::net::IpAddr) {
        let (octets, length) = octets(ip);
        let address = octets.get(..length).unwrap_or_default();
        let rtype = if length == 4 { rtype::A } else { rtype::AAAA };
        self.push(labels, rtype, |rdata, _| rdata.bytes(address));
    }

    /// Adds an SRV record whose target is `target` in front of the zone.
    fn service(&mut self, labels: &[&[u8]], weight: u16, port: u16, target: &[&[u8]]) {
        self.push(labels, rtype::SRV, |rdata, zone| {
            rdata.word(0);
            rdata.word(weight);
            rdata.word(port);
            for label in target {
                rdata.bytes(label);
            }
            rdata.bytes(zone);
        });
    }
}

/// A label with its length.
fn framed(label: &[u8]) -> Vec<u8> {
    let mut whole = vec![u8::try_from(label.len()).unwrap_or(0)];
    whole.extend_from_slice(label);
    whole
}

/// `_port._proto`, or nothing where that is no pair of labels.
fn port_labels(name: &str, number: Protocol) -> Option<Vec<u8>> {
    let fits = !name.is_empty() && name.len() < 63;
    fits.then(|| [framed(&[b"_", name.as_bytes()].concat()), framed(protocol(number))].concat())
}

/// The label between `SVC.NS` and the zone.
const SVC: &[u8] = b"\x03svc";

impl ClusterZone {
    /// Adds the part of a Service that has this number; false where there is none.
    fn part(&self, service: &Service, number: usize, to: &mut Filling<'_>) -> bool {
        match service.spec() {
            Spec::Orphan | Spec::ExternalInvalid => false,
            Spec::External(target) => {
                if number == 0 {
                    to.push(&[service.key(), SVC], rtype::CNAME, |rdata, _| rdata.bytes(target));
                }
                number == 0
            }
            Spec::Cluster { .. } => self.cluster(service, number, to),
            Spec::Headless => self.endpoint(service, number, to),
        }
    }

    /// Cluster addresses, then each port.
    fn cluster(&self, service: &Service, number: usize, to: &mut Filling<'_>) -> bool {
        let key: &[u8] = service.key();
        let Some(at) = number.checked_sub(1) else {
            for ip in service.cluster_ips() {
                to.address(&[key, SVC], ip);
            }
            return true;
        };
        let ports = service.ports();
        let Some(Port { name, protocol, port }) = ports.get(at) else { return false };
        // One number of two protocols is one record.
        if !ports.iter().take(at).any(|earlier| earlier.port == *port) {
            to.service(&[key, SVC], WEIGHT, *port, &[key, SVC]);
        }
        if let Some(labels) = port_labels(name, *protocol) {
            to.service(&[&labels, key, SVC], WEIGHT, *port, &[key, SVC]);
        }
        true
    }

    /// The addresses of an endpoint or one of its ports, counted slice by slice, endpoint by endpoint.
    fn endpoint(&self, service: &Service, number: usize, to: &mut Filling<'_>) -> bool {
        if !self.endpoints {
            return false;
        }
        let mut left = number;
        for part in service.endpoints().parts() {
            let each = 1 + part.ports().len();
            match part.member(left / each) {
                Some(member) => {
                    self.member(service.key(), part, (member, left % each), to);
                    return true;
                }
                None => left -= each * part.len(),
            }
        }
        false
    }

    /// An endpoint's address at both names, or one of its ports if that is named.
    fn member(&self, key: &[u8], part: &Part, (member, at): (Member<'_>, usize), to: &mut Filling<'_>) {
        let name = framed(member.name(self.naming).as_bytes());
        let Some(at) = at.checked_sub(1) else {
            to.address(&[key, SVC], member.ip());
            to.address(&[&name, key, SVC], member.ip());
            return;
        };
        let Some(port) = part.ports().get(at) else { return };
        if let (Some(labels), Some(number)) = (port_labels(&port.name, port.protocol), port.port) {
            // K-241: of the addresses of this slice, not of all.
            let weight = u16::try_from(100 / part.len().max(1)).unwrap_or(WEIGHT).max(1);
            to.service(&[&labels, key, SVC], weight, number, &[&name, key, SVC]);
        }
    }
}

impl Records for ClusterZone {
    fn fill(&mut self, draft: &mut Sections, room: usize) -> bool {
        let zone = std::mem::take(&mut self.zone);
        let mut to = Filling { zone: &zone, ttl: self.ttl, draft, taken: 0 };
        // A part of a Service is far smaller than what a message has beyond `room`.
        while to.taken < room {
            let ready = match self.next {
                Next::End => break,
                Next::Front(number) => match self.front.get(number) {
                    Some(_) => {
                        self.next = Next::Front(number + 1);
                        Some(number)
                    }
                    None if self.current => {
                        self.next = Next::End;
                        None
                    }
                    None => {
                        self.next = Next::Service(0, 0);
                        None
                    }
                },
                Next::Service(number, part) => {
                    self.next = match self.services.get(number) {
                        None => Next::Last,
                        Some(service) if self.part(service, part, &mut to) => Next::Service(number, part + 1),
                        Some(_) => Next::Service(number + 1, 0),
                    };
                    None
                }
                Next::Last => {
                    self.next = Next::End;
                    Some(0)
                }
            };
            if let Some(ready) = ready.and_then(|number| self.front.get(number)) {
                to.taken += ready.owner.len() + 10 + ready.rdata.len();
                let owner = to.draft.store_name(&ready.owner);
                to.draft.push(Section::Answer, owner, ready.rtype, ready.ttl, |rdata| {
                    rdata.bytes(&ready.rdata);
                });
            }
        }
        self.zone = zone;
        !matches!(self.next, Next::End)
    }
}
