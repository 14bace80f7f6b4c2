//! What a table of the specification is made of.

/// A rule's number, a question and the reply that it must get, in the forms of `harness::Ask` and `harness::expand`.
pub(crate) type Row = (&'static str, &'static str, &'static str);

/// The rows of a section that are asked of one stanza.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    /// The stanza's zones.
    pub(crate) zones: &'static str,
    /// The stanza's lines but for `manifests`.
    pub(crate) options: &'static [&'static str],
    /// What is asked.
    pub(crate) rows: &'static [Row],
}

impl Table {
    /// A table for the usual zones and a stanza without options.
    pub(crate) const fn of(rows: &'static [Row]) -> Self {
        Self { zones: "cluster.local in-addr.arpa ip6.arpa", options: &[], rows }
    }

    /// The same with these lines in the stanza.
    pub(crate) const fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// The same with these zones.
    pub(crate) const fn zones(self, zones: &'static str) -> Self {
        Self { zones, ..self }
    }

    /// The stanza's TTL. Unit: seconds (rule K-005).
    pub(crate) fn ttl(&self) -> u32 {
        let written = self.options.iter().find_map(|line| line.strip_prefix("ttl "));
        written.map_or(5, |seconds| seconds.parse().expect("a number of seconds"))
    }
}
