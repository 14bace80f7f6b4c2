//! What goes wrong: a plan of rules, and how often each came true.

use std::time::Duration;

use super::cluster::Resource;

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Call {
    /// A list from its beginning.
    List,
    /// A further page of a list.
    Page,
    /// A list, or a page of it, of names and versions alone (PartialObjectMetadataList).
    Names,
    /// A list of one object, by its namespace and its name.
    One,
    /// A watch from a version.
    Watch,
    /// A watch that begins with all objects (WatchList).
    InitialWatch,
    /// Anything that a DNS server has no business asking.
    Other,
}

impl Call {
    /// The verb that RBAC checks.
    pub fn verb(self) -> &'static str {
        match self {
            Self::List | Self::Page | Self::Names | Self::One => "list",
            Self::Watch | Self::InitialWatch => "watch",
            Self::Other => "other",
        }
    }
}

/// What is done instead of, or besides, a good answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An HTTP error with a `Status`.
    Status {
        /// The code.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// A `Status` with this code in the body of a 200.
    StatusInBody(u16),
    /// The first line of the watch is an ERROR event with this code, and then it ends.
    ErrorEvent(u16),
    /// The connection is closed without an answer.
    Close,
    /// No answer; the connection stays open.
    Hang,
    /// The watch sends its head and then nothing at all.
    Mute,
    /// The watch sends events but no bookmark, not even the one that ends the initial events.
    NoBookmark,
    /// Bookmarks come, but none says that the initial events are over, as from a server that does not know them.
    PlainBookmark,
    /// The watch ends in good order after so many events.
    EndAfterEvents(usize),
    /// The watch says its version at once, and ends in good order.
    BookmarkAndEnd,
    /// The connection is reset after so many events; inside a line for every other watch.
    CutAfterEvents(usize),
    /// The connection is reset after this time.
    CutAfter(Duration),
    /// The watch ends in good order after this time.
    EndAfter(Duration),
    /// The body comes at this rate. Unit: bytes a second.
    Slow(usize),
    /// The body comes in chunks of so many bytes, each in a packet of its own.
    Split(usize),
    /// The body is this text, not what it should be; status 200.
    Body(&'static str),
    /// The body says that it is protobuf and is not.
    Garbled,
    /// The body of a list ends in its middle, and with it the connection.
    HalfBody,
}

impl Fault {
    /// HTTP `code` with a `Status`.
    pub fn status(code: u16) -> Rule {
        Self::Status { code, retry_after: None }.rule()
    }

    /// A rule for every request, until it is taken away.
    pub fn rule(self) -> Rule {
        Rule { fault: self, resource: None, calls: Vec::new(), left: None }
    }
}

/// A fault, with where and how often.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// Only here.
    resource: Option<Resource>,
    /// Only in these; empty for all.
    calls: Vec<Call>,
    /// Only so many times more.
    left: Option<usize>,
}

impl Rule {
    /// Only for one resource.
    pub fn on(mut self, resource: Resource) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Only in these requests.
    pub fn calls(mut self, calls: &[Call]) -> Self {
        self.calls = calls.to_vec();
        self
    }

    /// Only in watches, with or without initial events.
    pub fn watches(self) -> Self {
        self.calls(&[Call::Watch, Call::InitialWatch])
    }

    /// Only so many times.
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }
}

/// The plan: each rule with the number of times that it came true.
#[derive(Default, Debug)]
pub struct Faults {
    /// In the order they were added; a rule that was taken away stays for its count.
    rules: Vec<(Rule, bool, usize)>,
}

impl Faults {
    /// Adds a rule; the number is its name.
    pub fn add(&mut self, rule: Rule) -> usize {
        self.rules.push((rule, true, 0));
        self.rules.len() - 1
    }

    /// Takes all rules away.
    pub fn clear(&mut self) {
        self.rules.iter_mut().for_each(|(_, active, _)| *active = false);
    }

    /// Takes one rule away.
    pub fn remove(&mut self, number: usize) {
        self.rules[number].1 = false;
    }

    /// How often a rule came true.
    pub fn happened(&self, number: usize) -> usize {
        self.rules[number].2
    }

    /// The faults of one request; counts them.
    pub fn strike(&mut self, resource: Resource, call: Call) -> Vec<Fault> {
        let mut struck = Vec::new();
        for (rule, active, happened) in &mut self.rules {
            let here = rule.resource.is_none_or(|one| one == resource)
                && (rule.calls.is_empty() || rule.calls.contains(&call));
            if !*active || !here || rule.left == Some(0) {
                continue;
            }
            if let Some(left) = &mut rule.left {
                *left -= 1;
            }
            *happened += 1;
            struck.push(rule.fault.clone());
        }
        struck
    }
}
