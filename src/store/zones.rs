//! Topology zones of endpoints, kept apart from them and only where a stanza says `zonal` (rule K-220).

/// How slices are kept: what stanzas want of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartOptions {
    /// Names of the pods behind endpoints.
    pub(super) pod_names: bool,
    /// Zones of endpoints.
    pub(super) zones: bool,
}

/// The zones of a slice's members.
///
/// Shape: two bytes a member and each zone's name once: a slice knows a handful of zones.
#[derive(Debug)]
pub(super) struct Zones {
    /// The zones' names in lower case.
    names: Box<[Box<str>]>,
    /// The place in `names` of each member's zone, in the order of members; one beyond the end for none.
    places: Box<[u16]>,
}

impl Zones {
    /// The zones of a slice's members, in lower case, in the order of members; `None` where no member has one.
    pub(super) fn build<'a>(members: impl Iterator<Item = &'a str>) -> Option<Box<Self>> {
        let mut names: Vec<Box<str>> = Vec::new();
        let mut places: Vec<u16> = Vec::new();
        for zone in members {
            let place = if zone.is_empty() {
                u16::MAX
            } else {
                let known = names.iter().position(|name| **name == *zone);
                let place = known.unwrap_or_else(|| {
                    names.push(zone.into());
                    names.len() - 1
                });
                u16::try_from(place).unwrap_or(u16::MAX)
            };
            places.push(place);
        }
        (!names.is_empty()).then(|| Box::new(Self { names: names.into(), places: places.into() }))
    }

    /// Names and places, for a snapshot.
    pub(super) fn parts(&self) -> (&[Box<str>], &[u16]) {
        (&self.names, &self.places)
    }

    /// Zones as a snapshot has them; a place beyond the names is none.
    pub(super) fn restored(names: Vec<Box<str>>, places: Box<[u16]>) -> Box<Self> {
        Box::new(Self { names: names.into(), places })
    }

    /// The zone of the member at `index`, empty for none.
    pub(super) fn of(&self, index: usize) -> &str {
        let place = self.places.get(index).copied().unwrap_or(u16::MAX);
        self.names.get(usize::from(place)).map_or("", AsRef::as_ref)
    }
}
