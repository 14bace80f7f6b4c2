//! Endpoints: what a Service answers from its slices together.

use std::net::IpAddr;
use std::sync::Arc;

use super::label_hash;
use super::part::{ByName, Member, Naming, Part, Place, dashed};

/// What a Service answers from its slices together.
///
/// Shape: nearly always one slice, which is its own view; the views of several are merged when one of them changes.
#[derive(Default, Debug)]
pub struct Endpoints(View);

/// The view of the slices.
#[derive(Default, Debug)]
enum View {
    /// No slice.
    #[default]
    None,
    /// One slice in which no address stands twice.
    One(Arc<Part>),
    /// Any others.
    Merged(Box<Merged>),
}

/// Several slices put together.
#[derive(Debug)]
struct Merged {
    /// The slices.
    parts: Box<[Arc<Part>]>,
    /// IPv4 addresses, each once, sorted.
    v4: Box<[[u8; 4]]>,
    /// IPv6 addresses, each once, sorted.
    v6: Box<[[u8; 16]]>,
    /// Members with an IPv4 address, sorted by it.
    by_v4: Box<[(u32, Place)]>,
    /// Members with an IPv6 address, sorted by it.
    by_v6: Box<[([u8; 16], Place)]>,
    /// All members sorted by the hash of their name; empty where names follow from IPv4 addresses.
    by_name: ByName,
    /// The same for `Naming::Pod`; empty where no stanza wants it too.
    by_pod_name: ByName,
}

impl Merged {
    /// Puts parts together.
    ///
    /// Cost: merges lists that are sorted already, 8 bytes a member; no text is made again, unless some slices have names of their
    /// own and others have none.
    fn build(parts: Vec<Arc<Part>>) -> Self {
        let mut by_v4: Vec<(u32, Place)> = Vec::new();
        let mut by_v6: Vec<([u8; 16], Place)> = Vec::new();
        let mut by_name = Vec::new();
        let mut by_pod_name = Vec::new();
        let named = parts.iter().any(|part| part.names.is_some());
        let pods =
            parts.iter().filter_map(|part| part.names.as_ref()).any(|names| !names.by_pod_name.is_empty());
        // What is beyond 65,535 slices can't be placed and is left out.
        for (part_at, part) in (0..u16::MAX).zip(&parts) {
            let places = (0..u16::MAX).map(|at| (part_at, at));
            by_v4.extend(part.v4.iter().map(|&octets| u32::from_be_bytes(octets)).zip(places.clone()));
            by_v6.extend(part.v6.iter().copied().zip(places.clone().skip(part.v4.len())));
            match &part.names {
                Some(names) => {
                    let here = |&(hash, (_, at)): &(u32, Place)| (hash, (part_at, at));
                    by_name.extend(names.by_name.iter().map(here));
                    by_pod_name.extend(names.by_pod_name.iter().map(here));
                }
                None if named => {
                    let hashes = part
                        .members()
                        .map(|member| label_hash(member.name(Naming::Address).as_bytes()))
                        .zip(places);
                    let from = by_name.len();
                    by_name.extend(hashes);
                    // Without a name of its own a member has the same under both ways.
                    if pods {
                        by_pod_name.extend_from_slice(by_name.get(from..).unwrap_or_default());
                    }
                }
                None => {}
            }
        }
        // Stable sorts are those that find the runs which are sorted already.
        by_v4.sort();
        by_v6.sort();
        by_name.sort();
        by_pod_name.sort();
        let mut v4: Vec<[u8; 4]> = by_v4.iter().map(|entry| entry.0.to_be_bytes()).collect();
        let mut v6: Vec<[u8; 16]> = by_v6.iter().map(|entry| entry.0).collect();
        v4.dedup();
        v6.dedup();
        Self {
            parts: parts.into(),
            v4: v4.into(),
            v6: v6.into(),
            by_v4: by_v4.into(),
            by_v6: by_v6.into(),
            by_name: by_name.into(),
            by_pod_name: by_pod_name.into(),
        }
    }

    /// The place of the member at a position of the order by address.
    fn place(&self, position: usize) -> Option<Place> {
        match self.by_v4.get(position) {
            Some(entry) => Some(entry.1),
            None => self.by_v6.get(position.checked_sub(self.by_v4.len())?).map(|entry| entry.1),
        }
    }
}

/// The order in which members of one name stand together.
#[derive(Clone, Copy)]
enum Order<'a> {
    /// By address: the name follows from it.
    Address,
    /// By the hash of the name.
    Name(&'a [(u32, Place)]),
}

impl Endpoints {
    /// Puts parts together.
    pub(super) fn build(mut parts: Vec<Arc<Part>>) -> Self {
        Self(match parts.pop() {
            None => View::None,
            Some(part) if parts.is_empty() && !part.repeats() => View::One(part),
            Some(part) => {
                parts.push(part);
                View::Merged(Box::new(Merged::build(parts)))
            }
        })
    }

    /// The slices.
    #[must_use]
    pub fn parts(&self) -> &[Arc<Part>] {
        match &self.0 {
            View::None => &[],
            View::One(part) => std::slice::from_ref(part),
            View::Merged(merged) => &merged.parts,
        }
    }

    /// Whether no endpoint is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many members, duplicates included.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            View::None => 0,
            View::One(part) => part.len(),
            View::Merged(merged) => merged.by_v4.len() + merged.by_v6.len(),
        }
    }

    /// The IPv4 addresses, each once, sorted (rules K-100, K-118).
    #[must_use]
    pub fn v4(&self) -> &[[u8; 4]] {
        match &self.0 {
            View::None => &[],
            View::One(part) => &part.v4,
            View::Merged(merged) => &merged.v4,
        }
    }

    /// The IPv6 addresses, each once, sorted (rule K-101).
    #[must_use]
    pub fn v6(&self) -> &[[u8; 16]] {
        match &self.0 {
            View::None => &[],
            View::One(part) => &part.v6,
            View::Merged(merged) => &merged.v6,
        }
    }

    /// A member and its part.
    fn at(&self, place: Place) -> Option<(&Part, Member<'_>)> {
        let part = self.parts().get(usize::from(place.0))?;
        Some((part, part.member(usize::from(place.1))?))
    }

    /// The member at a position of the order by address.
    #[inline]
    fn nth(&self, position: usize) -> Option<(&Part, Member<'_>)> {
        match &self.0 {
            View::None => None,
            View::One(part) => Some((part, part.member(position)?)),
            View::Merged(merged) => self.at(merged.place(position)?),
        }
    }

    /// The member at a position of an order.
    fn ordered(&self, order: Order<'_>, position: usize) -> Option<(&Part, Member<'_>)> {
        match order {
            Order::Address => self.nth(position),
            Order::Name(names) => self.at(names.get(position)?.1),
        }
    }

    /// The order in which members of one name stand together.
    fn order(&self, naming: Naming) -> Order<'_> {
        let (by_name, by_pod_name): (&[_], &[_]) = match &self.0 {
            View::None => return Order::Address,
            View::One(part) => match part.names.as_deref() {
                None => return Order::Address,
                Some(names) => (&names.by_name, &names.by_pod_name),
            },
            View::Merged(merged) => (&merged.by_name, &merged.by_pod_name),
        };
        match naming {
            _ if by_name.is_empty() => Order::Address,
            Naming::Pod if !by_pod_name.is_empty() => Order::Name(by_pod_name),
            Naming::Pod | Naming::Address => Order::Name(by_name),
        }
    }

    /// The positions, in the order by address, of the members that have `ip`. Cost: a binary search or two.
    fn range(&self, ip: IpAddr) -> std::ops::Range<usize> {
        /// The run of entries for which `compare` says equal.
        fn run<T>(sorted: &[T], compare: impl Fn(&T) -> std::cmp::Ordering) -> std::ops::Range<usize> {
            let start = sorted.partition_point(|entry| compare(entry).is_lt());
            let after = sorted.get(start..).unwrap_or_default();
            start..start + after.iter().take_while(|entry| compare(entry).is_eq()).count()
        }
        let (found, skip) = match (&self.0, ip) {
            (View::None, _) => (0..0, 0),
            (View::One(part), IpAddr::V4(ip)) => (run(&part.v4, |entry| entry.cmp(&ip.octets())), 0),
            (View::One(part), IpAddr::V6(ip)) => {
                (run(&part.v6, |entry| entry.cmp(&ip.octets())), part.v4.len())
            }
            (View::Merged(merged), IpAddr::V4(ip)) => {
                (run(&merged.by_v4, |entry| entry.0.cmp(&ip.to_bits())), 0)
            }
            (View::Merged(merged), IpAddr::V6(ip)) => {
                (run(&merged.by_v6, |entry| entry.0.cmp(&ip.octets())), merged.by_v4.len())
            }
        };
        found.start + skip..found.end + skip
    }

    /// The members named `label` (lower case), with their parts (rules K-105, K-107).
    ///
    /// Cost: a binary search, and one comparison of names a hit where members have names of their own.
    pub fn named<'a>(
        &'a self,
        label: &'a [u8],
        naming: Naming,
    ) -> impl Iterator<Item = (&'a Part, Member<'a>)> + Clone + 'a {
        let order = self.order(naming);
        let range = match order {
            Order::Address => dashed(label).map_or(0..0, |octets| self.range(octets.into())),
            Order::Name(names) => {
                let hash = label_hash(label);
                let start = names.partition_point(|entry| entry.0 < hash);
                let after = names.get(start..).unwrap_or_default();
                start..start + after.iter().take_while(|entry| entry.0 == hash).count()
            }
        };
        let by_address = matches!(order, Order::Address);
        range
            .filter_map(move |position| self.ordered(order, position))
            .filter(move |(_, member)| by_address || member.name(naming).as_bytes() == label)
    }

    /// The members that have `ip`.
    pub fn with_address(&self, ip: IpAddr) -> impl Iterator<Item = Member<'_>> {
        self.range(ip).filter_map(|position| self.nth(position).map(|(_, member)| member))
    }

    /// Whether some member has `ip`.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        !self.range(ip).is_empty()
    }

    /// Walks all members by name, those of one name together, starting at the group that holds position `start`
    /// (below [`Self::len`]).
    ///
    /// Shape: each `Group` is a run of members whose names' hashes, or addresses, are equal; its `name` tells them apart.
    pub fn groups(&self, naming: Naming, start: usize) -> impl Iterator<Item = Group<'_>> {
        let order = self.order(naming);
        let len = self.len();
        let mut first = start.min(len.saturating_sub(1));
        // Back to the first of the run, so that no group is torn.
        while first > 0 && self.together(order, first - 1, first) {
            first -= 1;
        }
        let (mut at, mut left) = (first, len);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let from = at;
            at += 1;
            while at < len && self.together(order, at - 1, at) {
                at += 1;
            }
            left = left.saturating_sub(at - from);
            let group = Group { endpoints: self, order, from, to: at };
            if at == len {
                at = 0;
            }
            Some(group)
        })
    }

    /// Whether the members at two positions belong to one group.
    fn together(&self, order: Order<'_>, a: usize, b: usize) -> bool {
        match order {
            Order::Address => match &self.0 {
                // In one slice without repetitions, every member is a group.
                View::None | View::One(_) => false,
                View::Merged(merged) => {
                    merged.by_v4.get(a).zip(merged.by_v4.get(b)).is_some_and(|(a, b)| a.0 == b.0)
                }
            },
            Order::Name(names) => names.get(a).zip(names.get(b)).is_some_and(|(a, b)| a.0 == b.0),
        }
    }
}

/// Members that nearly always have one name.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    /// Where they live.
    endpoints: &'a Endpoints,
    /// The order in which they stand together.
    order: Order<'a>,
    /// The first position.
    from: usize,
    /// Behind the last position.
    to: usize,
}

impl<'a> Group<'a> {
    /// The members and their parts.
    pub fn members(self) -> impl Iterator<Item = (&'a Part, Member<'a>)> {
        (self.from..self.to).filter_map(move |position| self.endpoints.ordered(self.order, position))
    }

    /// Whether all of them are known to have one name without a look at it.
    #[must_use]
    pub fn is_one_name(self) -> bool {
        matches!(self.order, Order::Address) || self.to - self.from == 1
    }
}
