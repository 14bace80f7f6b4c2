//! What is known of a folder of zone files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use regex::Regex;

use crate::wire::{Question, parse_name, rtype};
use crate::zone::Held;

/// A folder of zone files as a stanza wants it.
#[derive(Clone, Debug)]
pub struct FolderSpec {
    /// The folder.
    pub dir: PathBuf,
    /// What the name of a file must match.
    pub pattern: Regex,
    /// The zone of such a file: `{1}` is the first group.
    pub template: String,
    /// How often it is looked at; zero for only once.
    pub reload: Duration,
}

impl PartialEq for FolderSpec {
    fn eq(&self, other: &Self) -> bool {
        self.dir == other.dir
            && self.pattern.as_str() == other.pattern.as_str()
            && self.template == other.template
            && self.reload == other.reload
    }
}

impl FolderSpec {
    /// The zone of a file of this name (wire form, lower case), if it is the name of a zone file.
    ///
    /// Errors: the name matches, and what the template makes of it is no name.
    pub fn origin(&self, file: &str) -> Option<Result<Arc<[u8]>, String>> {
        let found = self.pattern.captures(file)?;
        let mut text = String::new();
        // `{1}` as the library writes it; a dollar keeps its meaning there, as it does in CoreDNS.
        found.expand(&self.template.replace('{', "${"), &mut text);
        let name = parse_name(&text).map(|name| name.to_ascii_lowercase().into());
        Some(name.ok_or_else(|| format!("`{text}` is no name of a zone")))
    }
}

/// A zone of a folder.
#[derive(Clone, Debug)]
pub struct FolderZone {
    /// Its name, wire form, lower case.
    pub origin: Arc<[u8]>,
    /// How many labels that has.
    pub labels: usize,
    /// The zone.
    pub held: Arc<Held>,
}

/// The zones of a folder, shared by the plans that want the same; the list is replaced whole.
#[derive(Debug)]
pub struct Folder {
    /// What it is.
    spec: FolderSpec,
    /// The zones now, most labels first.
    zones: RwLock<Arc<[FolderZone]>>,
}

impl Folder {
    /// A folder nobody has looked at.
    #[must_use]
    pub fn new(spec: FolderSpec) -> Self {
        Self { spec, zones: RwLock::new(Arc::new([])) }
    }

    /// What it is.
    #[must_use]
    pub fn spec(&self) -> &FolderSpec {
        &self.spec
    }

    /// The zones now. Cost: a lock that is only held for one replacement.
    #[must_use]
    pub fn zones(&self) -> Arc<[FolderZone]> {
        self.zones.read().clone()
    }

    /// These are the zones now.
    pub fn replace(&self, zones: impl IntoIterator<Item = (Arc<[u8]>, Arc<Held>)>) {
        let mut list: Vec<FolderZone> = zones
            .into_iter()
            .map(|(origin, held)| {
                let labels = Question::new(&origin, rtype::SOA).map_or(0, |question| question.labels());
                FolderZone { origin, labels, held }
            })
            .collect();
        list.sort_unstable_by(|a, b| b.labels.cmp(&a.labels).then_with(|| a.origin.cmp(&b.origin)));
        let old = std::mem::replace(&mut *self.zones.write(), list.into());
        drop(old);
    }
}
