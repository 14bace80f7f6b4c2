//! The whole cluster zone, for those who transfer it (K-240 to K-245).

mod imports;

use std::net::IpAddr;
use std::sync::Arc;

use super::super::transfer::{Ready, Records, Whole};
use super::{Kubernetes, Lookup, ServedZone};
use crate::store::{Import, Member, Namespace, Naming, Part, Port, Protocol, Service, Spec, octets};
use crate::wire::{Owner, Question, Rdata, Section, Sections, rtype};

/// Weight of SRV records in front of cluster addresses (K-240).
const WEIGHT: u16 = 100;

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    /// The ready record of this number; the first is the SOA.
    Front(usize),
    /// A part of what has names: both by number.
    Holder(usize, usize),
    /// The SOA again.
    Last,
    /// Nothing.
    End,
}

/// What has names in a zone.
enum Holder {
    /// A Service of this cluster.
    Service(Arc<Service>),
    /// A Service of the clusterset (K-213).
    Import(Arc<Import>),
}

impl Holder {
    /// `SVC.NS` in wire form, lower case.
    fn key(&self) -> &[u8] {
        match self {
            Self::Service(service) => service.key(),
            Self::Import(import) => import.key(),
        }
    }

    /// Its namespace.
    fn namespace(&self) -> &Namespace {
        match self {
            Self::Service(service) => service.namespace(),
            Self::Import(import) => import.namespace(),
        }
    }
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
    /// What the stanza shows, by name alone.
    holders: Vec<Holder>,
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
        let store = &self.options.store;
        if !store.knows(served.forms.need()) {
            return Whole::NotReady;
        }
        let multicluster = served.forms.multicluster;
        // Before what has names: who has an older serial than what it got asks again.
        let serial = if multicluster { store.imports().serial() } else { store.serial() };
        let current = known.is_some_and(|known| known != 0 && known == serial);
        let mut holders: Vec<Holder> = match (current, multicluster) {
            (true, _) => Vec::new(),
            (false, false) => store.services().into_iter().map(Holder::Service).collect(),
            (false, true) => store.imports().all().into_iter().map(Holder::Import).collect(),
        };
        holders.retain(|holder| self.options.exposes(holder.namespace()));
        holders.sort_by(|a, b| label(a.key()).cmp(label(b.key())).then_with(|| a.key().cmp(b.key())));
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
            holders,
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
            let mut ready = Ready::all(&draft, &asked);
            for record in ready.iter_mut().filter(|record| record.section == Section::Additional) {
                record.ttl = 0;
            }
            front.extend(ready);
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
    fn address(&mut self, labels: &[&[u8]], ip: IpAddr) {
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

/// Cluster addresses, then each port: the part of this number; false where there is none.
fn cluster(
    (key, ports): (&[u8], &[Port]),
    ips: impl Iterator<Item = IpAddr>,
    number: usize,
    to: &mut Filling<'_>,
) -> bool {
    let Some(at) = number.checked_sub(1) else {
        for ip in ips {
            to.address(&[key, SVC], ip);
        }
        return true;
    };
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

impl ClusterZone {
    /// Adds the part of what has names that has this number; false where there is none.
    fn part(&self, holder: &Holder, number: usize, to: &mut Filling<'_>) -> bool {
        let service = match holder {
            Holder::Import(import) => return self.import(import, number, to),
            Holder::Service(service) => service,
        };
        let key: &[u8] = service.key();
        match service.spec() {
            Spec::Orphan | Spec::ExternalInvalid => false,
            Spec::External(target) => {
                if number == 0 {
                    to.push(&[key, SVC], rtype::CNAME, |rdata, _| rdata.bytes(target));
                }
                number == 0
            }
            Spec::Cluster { .. } => {
                cluster((key, service.ports()), service.cluster_ips().into_iter(), number, to)
            }
            Spec::Headless if !self.endpoints => false,
            Spec::Headless => {
                self.endpoint(key, service.endpoints().parts().iter().map(AsRef::as_ref), number, to)
            }
        }
    }

    /// The addresses of an endpoint or one of its ports, counted slice by slice, endpoint by endpoint.
    fn endpoint<'p>(
        &self,
        key: &[u8],
        parts: impl Iterator<Item = &'p Part>,
        number: usize,
        to: &mut Filling<'_>,
    ) -> bool {
        let mut left = number;
        for part in parts {
            let each = 1 + part.ports().len();
            match part.member(left / each) {
                Some(member) => {
                    self.member(key, part, (member, left % each), to);
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
                        self.next = Next::Holder(0, 0);
                        None
                    }
                },
                Next::Holder(number, part) => {
                    self.next = match self.holders.get(number) {
                        None => Next::Last,
                        Some(holder) if self.part(holder, part, &mut to) => Next::Holder(number, part + 1),
                        Some(_) => Next::Holder(number + 1, 0),
                    };
                    None
                }
                Next::Last => {
                    self.next = Next::End;
                    Some(0)
                }
            };
            if let Some(ready) = ready.and_then(|number| self.front.get(number)) {
                to.taken += ready.put(to.draft);
            }
        }
        self.zone = zone;
        !matches!(self.next, Next::End)
    }
}
