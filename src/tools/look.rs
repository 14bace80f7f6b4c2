//! A Corefile looked at without serving it: read and built, with nothing bound, watched or asked.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::{CorefileSource, Placeholders, configmap, interfaces, read_kubedns, zones};
use crate::chain::{
    self, BuildOptions, Folder, FolderSpec, Hosts, HostsSpec, KubeDnsConfig, Parts, Plan, StoreSource,
    StoreSpec, ZoneFile,
};
use crate::corefile::{self, Error, Spec, Zone, utf8};
use crate::forward::{
    Group, GroupSpec, ResolvFile, Target, TargetFault, Upstream, UpstreamSpec, search_list,
};
use crate::metrics::Tally;
use crate::source::cluster::{Access, AccessError};
use crate::source::manifests::{Manifests, ManifestsOptions};
use crate::store::{Store, Wanted, Writer};
use crate::time::Clock;
use crate::zone::Held;

/// Why there are no objects to look at.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfed {
    /// They are an API server's.
    #[error(
        "the Corefile reads its objects from an API server: name a folder with `--manifests DIR`, or ask the running server"
    )]
    Cluster,
    /// The folder is not there, or can't be listed.
    #[error("the folder {} cannot be listed", .0.display())]
    Folder(PathBuf),
    /// They cannot be read from stdin.
    #[error("reading stdin: {0}")]
    Stdin(#[source] std::io::Error),
}

/// Whether a path means stdin.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The text of a file, or of stdin. Errors: it can't be read, in words.
pub(super) fn read_text(path: &Path) -> Result<(String, String), String> {
    let (name, bytes) = match is_stdin(path) {
        true => {
            let mut bytes = Vec::new();
            ("stdin".to_owned(), std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes))
        }
        false => (path.display().to_string(), std::fs::read(path)),
    };
    let text = bytes.and_then(utf8).map_err(|error| format!("reading {name}: {error}"))?;
    Ok((name, text))
}

/// A Corefile that would be served.
pub(super) struct Looked {
    /// What it says.
    pub(super) spec: Spec,
    /// What it becomes.
    pub(super) plan: Plan,
    /// What the builder says about it.
    pub(super) warnings: Vec<String>,
    /// What it asks for.
    pub(super) parts: Looking,
}

/// A store that a Corefile asks for.
pub(super) struct AskedStore {
    /// Where its objects come from.
    pub(super) spec: StoreSpec,
    /// Which of them.
    pub(super) wanted: Wanted,
    /// The store, empty unless it is fed.
    pub(super) store: Arc<Store>,
    /// Its writer.
    writer: Option<Writer>,
}

/// The upstreams that a line asks for.
pub(super) struct AskedGroup {
    /// What the line says.
    pub(super) spec: GroupSpec,
    /// What the plan holds.
    pub(super) group: Arc<Group>,
    /// Its targets, one by one.
    pub(super) targets: Vec<AskedTarget>,
}

/// One target of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum AskedTarget {
    /// An upstream.
    Upstream(String, SocketAddr),
    /// A file, with what it names on this machine, or why it names nobody here.
    File(PathBuf, Result<Vec<SocketAddr>, String>),
    /// A host name, which is not looked up.
    Host(String),
}

/// Parts that are noted and never used.
#[derive(Default)]
pub(super) struct Looking {
    /// Stores.
    pub(super) stores: Vec<AskedStore>,
    /// Groups.
    pub(super) groups: Vec<AskedGroup>,
    /// Hosts.
    pub(super) hosts: Vec<HostsSpec>,
    /// Where all objects are read from, whatever the Corefile says: a folder, or `-` for stdin.
    pub(super) manifests: Option<PathBuf>,
    /// Whether files of hosts, search lists and zones are read.
    pub(super) read_files: bool,
    /// What stands for the placeholders of node-local-dns.
    pub(super) placeholders: Placeholders,
}

impl Parts for Looking {
    fn store(&mut self, spec: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        if let Some(known) = self.stores.iter().find(|known| known.spec == *spec && known.wanted == wanted) {
            return known.store.clone();
        }
        let (store, writer) = Store::new(wanted, Clock::system());
        self.stores.push(AskedStore {
            spec: spec.clone(),
            wanted,
            store: store.clone(),
            writer: Some(writer),
        });
        store
    }

    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        let mut upstreams: Vec<UpstreamSpec> = Vec::new();
        let mut targets = Vec::new();
        for target in &spec.targets {
            match target {
                Target::Upstream(like) | Target::Scoped { like, .. } => {
                    targets.push(AskedTarget::Upstream(Upstream::new(like.clone()).to_string(), like.addr));
                    upstreams.push(like.clone());
                }
                Target::File { path, like } => {
                    let servers = ResolvFile::open(path.clone()).map(|file| file.servers().to_vec());
                    for addr in servers.iter().flatten() {
                        upstreams.push(UpstreamSpec { addr: *addr, ..like.clone() });
                    }
                    targets.push(AskedTarget::File(path.clone(), servers));
                }
                Target::Host { name, .. } => targets.push(AskedTarget::Host(name.clone())),
            }
        }
        let upstreams = upstreams.into_iter().map(|spec| Arc::new(Upstream::new(spec))).collect();
        let group = Arc::new(Group::new(spec.options.clone(), upstreams));
        self.groups.push(AskedGroup { spec: spec.clone(), group: group.clone(), targets });
        Ok(group)
    }

    fn hosts(&mut self, spec: &HostsSpec) -> Arc<Hosts> {
        self.hosts.push(spec.clone());
        let hosts = Hosts::new(spec.clone());
        if self.read_files {
            // A file that is not there has no names.
            let text = std::fs::read_to_string(&spec.path).unwrap_or_default();
            hosts.replace(&text, 0);
        }
        Arc::new(hosts)
    }

    fn zone_file(&mut self, spec: &ZoneFile) -> Result<Arc<Held>, String> {
        if self.read_files { zones::read_file(spec) } else { Ok(Arc::default()) }
    }

    fn zone_folder(&mut self, spec: &FolderSpec) -> Result<Arc<Folder>, String> {
        if self.read_files { zones::read_folder(spec) } else { Ok(Arc::new(Folder::new(spec.clone()))) }
    }

    fn search_list(&mut self, file: &Path) -> Result<Vec<Zone>, String> {
        if !self.read_files {
            return Ok(Vec::new());
        }
        let names = search_list(file)?;
        Ok(names.iter().filter_map(|name| Zone::parse(name).ok()).collect())
    }

    fn kubedns(&mut self, path: &Path) -> Result<KubeDnsConfig, String> {
        read_kubedns(path)
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        interfaces()
    }

    fn reachable(&self, _: &Access) -> Result<(), AccessError> {
        // It need not be reachable from where a Corefile is looked at.
        Ok(())
    }
}

impl Looking {
    /// The targets of a group.
    pub(super) fn group_of(&self, group: &Arc<Group>) -> Option<&AskedGroup> {
        self.groups.iter().find(|known| Arc::ptr_eq(&known.group, group))
    }

    /// Fills the stores from folders of manifests, or from stdin; returns what is wrong in them.
    ///
    /// Errors: a store whose objects come from an API server, while no folder is given in its place; or a folder that cannot
    /// be listed; or a stdin that cannot be read.
    pub(super) fn feed(&mut self) -> Result<Vec<String>, Unfed> {
        let mut problems = Vec::new();
        let mut stdin = None;
        if self.manifests.as_deref().is_some_and(is_stdin) {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map_err(Unfed::Stdin)?;
            stdin = Some(bytes);
        }
        for asked in &mut self.stores {
            let dir = match (&self.manifests, &asked.spec.source) {
                (Some(dir), _) | (None, StoreSource::Manifests(dir)) => dir.clone(),
                (None, StoreSource::Cluster(_)) => return Err(Unfed::Cluster),
            };
            let Some(mut writer) = asked.writer.take() else { continue };
            let mut manifests = Manifests::new(ManifestsOptions {
                dir: dir.clone(),
                labels: asked.spec.labels.clone(),
                pods: asked.wanted.pods,
                endpoints: asked.wanted.endpoints,
                more: asked.wanted.more(),
            });
            let report = match &stdin {
                Some(bytes) => manifests.take_text("stdin", bytes, &mut writer),
                None => manifests.look(&mut writer),
            };
            if !report.listed {
                return Err(Unfed::Folder(dir));
            }
            problems.extend(report.problems.iter().map(ToString::to_string));
        }
        problems.dedup();
        Ok(problems)
    }
}

/// Looks at a Corefile.
///
/// Errors: what a server would refuse it for.
pub(super) fn look(name: &str, text: &str, port: u16, mut parts: Looking) -> Result<Looked, Box<Error>> {
    let source = CorefileSource { port, placeholders: parts.placeholders.clone() };
    let spec = corefile::parse(name, text, &source)?;
    let built = chain::build(&spec, BuildOptions { port }, &mut parts)?;
    Ok(Looked { spec, plan: built.plan, warnings: built.warnings, parts })
}

/// The Corefiles in a file, each with its name for messages: as it stands there, or in the ConfigMaps that stand there; `-` is
/// stdin. Never empty.
///
/// Errors: it can't be read, in words.
pub(super) fn read_all(path: &Path) -> Result<Vec<(String, String)>, String> {
    let (name, text) = read_text(path)?;
    let mut inside = configmap::corefiles(&text);
    Ok(match inside.len() {
        0 => vec![(name, text)],
        1 => inside.drain(..).map(|(_, text)| (format!("{name}#Corefile"), text)).collect(),
        _ => inside.drain(..).map(|(map, text)| (format!("{name}#{map}/Corefile"), text)).collect(),
    })
}

/// The one Corefile in a file. Errors: it can't be read, or holds several; in words.
pub(super) fn read(path: &Path) -> Result<(String, String), String> {
    let mut all = read_all(path)?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        (last, _) => {
            let names: Vec<String> = all.into_iter().chain(last).map(|(name, _)| name).collect();
            Err(format!("{}: one Corefile is needed, and here are {}", path.display(), names.join(" and ")))
        }
    }
}
