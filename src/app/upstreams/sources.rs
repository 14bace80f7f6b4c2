//! Where the addresses of a group come from: the line itself, files, host names.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

use super::super::registry::interfaces;
use crate::forward::{
    Group, GroupSpec, HostName, Look, Protocol, ResolvFile, Target, TargetFault, UpstreamSpec, is_own,
    look_up, scoped,
};

/// The longest look-up of host names.
const LOOK_UP: Duration = Duration::from_secs(5);

/// A group whose upstreams may change.
pub(super) struct Tended {
    /// The group.
    pub(super) group: Weak<Group>,
    /// What it was made of.
    spec: GroupSpec,
    /// Where its addresses come from, in the order of the line.
    sources: Vec<Source>,
    /// The upstreams that it was given last.
    given: Vec<UpstreamSpec>,
    /// Whether a source changed since.
    changed: bool,
}

/// Where addresses come from.
enum Source {
    /// The line itself.
    Fixed(UpstreamSpec),
    /// A file.
    File {
        /// The file.
        file: ResolvFile,
        /// All but the address.
        like: UpstreamSpec,
    },
    /// A host name.
    Host {
        /// The name.
        host: HostName,
        /// All but the IP address.
        like: UpstreamSpec,
        /// Its addresses when it could be looked up last.
        found: Vec<IpAddr>,
        /// Whether it can't be looked up any more.
        lost: bool,
    },
}

impl Source {
    /// Its upstreams.
    fn specs(&self) -> Vec<UpstreamSpec> {
        let at = |like: &UpstreamSpec, addr| UpstreamSpec { addr, ..like.clone() };
        match self {
            Self::Fixed(spec) => vec![spec.clone()],
            Self::File { file, like } => file.servers().iter().map(|addr| at(like, *addr)).collect(),
            Self::Host { found, like, .. } => {
                found.iter().map(|ip| at(like, SocketAddr::new(*ip, like.addr.port()))).collect()
            }
        }
    }
}

impl Tended {
    /// Reads what a line names.
    ///
    /// Errors: a file that can't be used, a name without addresses, an interface that there is not, or nobody to ask.
    pub(super) fn open(spec: &GroupSpec) -> Result<Self, TargetFault> {
        let mut sources = Vec::new();
        for (place, target) in spec.targets.iter().enumerate() {
            let fault = |text| TargetFault { target: Some(place), text };
            sources.push(match target {
                Target::Upstream(spec) => Source::Fixed(spec.clone()),
                Target::Scoped { interface, like } => {
                    let addr = scoped(like.addr, interface).map_err(fault)?;
                    Source::Fixed(UpstreamSpec { addr, ..like.clone() })
                }
                Target::File { path, like } => {
                    let others = spec.targets.len() > 1;
                    Source::File { file: open(path, others).map_err(fault)?, like: like.clone() }
                }
                Target::Host { name, like } if is_file(name, like) => {
                    let others = spec.targets.len() > 1;
                    let file = open(&PathBuf::from(name), others).map_err(fault)?;
                    Source::File { file, like: like.clone() }
                }
                Target::Host { name, like } => Source::Host {
                    host: HostName { name: name.clone(), resolvers: spec.resolvers.clone() },
                    like: like.clone(),
                    found: Vec::new(),
                    lost: false,
                },
            });
        }
        let mut this =
            Self { group: Weak::new(), spec: spec.clone(), sources, given: Vec::new(), changed: true };
        if let Some((place, text)) = this.ask().into_iter().next() {
            return Err(TargetFault { target: Some(place), text });
        }
        if !spec.targets.is_empty() && this.named().is_empty() {
            return Err(TargetFault { target: None, text: "none of the files names a server".to_owned() });
        }
        this.given = this.specs();
        Ok(this)
    }

    /// Whether its upstreams may ever change.
    pub(super) fn changes(&self) -> bool {
        self.sources.iter().any(|source| !matches!(source, Source::Fixed(_)))
    }

    /// The upstreams that its sources name, each once, our own addresses included.
    pub(super) fn named(&self) -> Vec<UpstreamSpec> {
        let mut specs: Vec<UpstreamSpec> = Vec::new();
        for spec in self.sources.iter().flat_map(Source::specs) {
            if !specs.contains(&spec) {
                specs.push(spec);
            }
        }
        specs
    }

    /// The upstreams to ask: what is named but our own addresses, which are told (RELIABILITY U16).
    pub(super) fn specs(&mut self) -> Vec<UpstreamSpec> {
        if std::mem::take(&mut self.changed) {
            let interfaces: Vec<IpAddr> = interfaces().into_iter().map(|(_, ip)| ip).collect();
            let (own, mut others) = (self.named(), Vec::new());
            for spec in own {
                if is_own(spec.addr, &self.spec.own, &interfaces) {
                    tracing::warn!(
                        target: "plugin/forward",
                        "{} is an address of this server itself and is not asked", spec.addr
                    );
                } else {
                    others.push(spec);
                }
            }
            if others.is_empty() && !self.named().is_empty() {
                tracing::warn!(
                    target: "plugin/forward",
                    "nobody but this server itself is named: its names are SERVFAIL"
                );
            }
            return others;
        }
        self.given.clone()
    }

    /// The upstreams to ask, if they are others than before.
    pub(super) fn news(&mut self) -> Option<Vec<UpstreamSpec>> {
        if !self.changed {
            return None;
        }
        let specs = self.specs();
        if specs == self.given {
            return None;
        }
        self.given.clone_from(&specs);
        Some(specs)
    }

    /// Looks at the files.
    pub(super) fn look(&mut self) {
        for source in &mut self.sources {
            let Source::File { file, .. } = source else { continue };
            let look = file.look();
            let path = file.path().display();
            match look {
                Look::Same => {}
                Look::Changed(servers) => {
                    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
                    tracing::info!(target: "plugin/forward", "{path} names {} now", names.join(" "));
                    self.changed = true;
                }
                Look::Lost(why) => {
                    tracing::warn!(
                        target: "plugin/forward",
                        "{path} can't be used, what it named last goes on: {why}"
                    );
                }
                Look::Healed => tracing::info!(target: "plugin/forward", "{path} can be used again"),
            }
        }
    }

    /// Looks up the host names; names that can't be looked up keep the addresses that they had.
    pub(super) fn look_up(&mut self) {
        let before = self.named();
        self.ask();
        self.changed |= self.named() != before;
    }

    /// Looks up the host names; says for which that failed, and why.
    fn ask(&mut self) -> Vec<(usize, String)> {
        let names: Vec<HostName> = self
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Host { host, .. } => Some(host.clone()),
                Source::Fixed(_) | Source::File { .. } => None,
            })
            .collect();
        if names.is_empty() {
            return Vec::new();
        }
        let mut results = look_up(&names, LOOK_UP).into_iter();
        let mut failed = Vec::new();
        for (place, source) in self.sources.iter_mut().enumerate() {
            let Source::Host { host, found, lost, .. } = source else { continue };
            match results.next() {
                Some(Ok(addresses)) => {
                    *found = addresses;
                    if std::mem::take(lost) {
                        tracing::info!(target: "plugin/forward", "{} can be looked up again", host.name);
                    }
                }
                Some(Err(why)) => {
                    if !found.is_empty() && !std::mem::replace(lost, true) {
                        tracing::warn!(
                            target: "plugin/forward",
                            "{} can't be looked up, the addresses that it had go on: {why}", host.name
                        );
                    }
                    failed.push((place, format!("`{}` can't be looked up: {why}", host.name)));
                }
                None => {}
            }
        }
        failed
    }
}

/// Opens a file; one that names nobody does where there are other targets, and is told.
fn open(path: &Path, others: bool) -> Result<ResolvFile, String> {
    match ResolvFile::open(path.to_owned()) {
        Ok(file) => Ok(file),
        Err(_) if others && ResolvFile::is_empty(path) => {
            tracing::warn!(target: "plugin/forward", "{} names no server yet", path.display());
            Ok(ResolvFile::expect(path.to_owned()))
        }
        Err(text) => Err(format!("`{}` can't be used: {text}", path.display())),
    }
}

/// Whether a name is that of a file: only where nothing but a name is written.
fn is_file(name: &str, like: &UpstreamSpec) -> bool {
    matches!(like.protocol, Protocol::Udp | Protocol::Tcp)
        && like.addr.port() == 53
        && Path::new(name).is_file()
}
