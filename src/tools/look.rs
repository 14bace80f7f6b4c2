//! A Corefile looked at without serving it: read and built, with nothing bound, watched or asked.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::{CorefileSource, Placeholders, configmap, interfaces, read_kubedns};
use crate::chain::{
    self, BuildOptions, Hosts, HostsSpec, KubeDnsConfig, Parts, Plan, StoreSource, StoreSpec,
};
use crate::corefile::{self, Error, Spec, Zone};
use crate::forward::{
    Group, GroupSpec, ResolvFile, Target, TargetFault, Upstream, UpstreamSpec, search_list,
};
use crate::metrics::Tally;
use crate::source::cluster::{Access, AccessError};
use crate::source::manifests::{Manifests, ManifestsOptions};
use crate::store::{Store, Wanted, Writer};
use crate::time::Clock;

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
    /// Where all objects are read from, whatever the Corefile says.
    pub(super) manifests: Option<PathBuf>,
    /// Whether files of hosts are read.
    pub(super) read_hosts: bool,
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
        if self.read_hosts {
            // A file that is not there has no names.
            let text = std::fs::read_to_string(&spec.path).unwrap_or_default();
            hosts.replace(&text, 0);
        }
        Arc::new(hosts)
    }

    fn search_list(&mut self, file: &Path) -> Result<Vec<Zone>, String> {
        if !self.read_hosts {
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

    /// Fills the stores from folders of manifests; returns what is wrong in them.
    ///
    /// Errors: a store whose objects come from an API server, while no folder is given in its place; or a folder that cannot
    /// be listed.
    pub(super) fn feed(&mut self) -> Result<Vec<String>, String> {
        let mut problems = Vec::new();
        for asked in &mut self.stores {
            let dir = match (&self.manifests, &asked.spec.source) {
                (Some(dir), _) | (None, StoreSource::Manifests(dir)) => dir.clone(),
                (None, StoreSource::Cluster(_)) => {
                    return Err("the Corefile reads its objects from an API server: name a folder with \
                                `--manifests DIR`, or ask the running server"
                        .to_owned());
                }
            };
            let Some(mut writer) = asked.writer.take() else { continue };
            let mut manifests = Manifests::new(ManifestsOptions {
                dir: dir.clone(),
                labels: asked.spec.labels.clone(),
                pods: asked.wanted.pods,
                endpoints: asked.wanted.endpoints,
                more: asked.wanted.more(),
            });
            let report = manifests.look(&mut writer);
            if !report.listed {
                return Err(format!("the folder {} cannot be listed", dir.display()));
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

/// The Corefile in a file: as it stands there, or in the ConfigMap that stands there; `-` is stdin.
///
/// Errors: it can't be read, in words.
pub(super) fn read(path: &Path) -> Result<(String, String), String> {
    let name = path.display().to_string();
    let text = match name.as_str() {
        "-" => std::io::read_to_string(std::io::stdin().lock()),
        _ => std::fs::read_to_string(path),
    };
    let text = text.map_err(|error| format!("reading {name}: {error}"))?;
    let name = if name == "-" { "stdin".to_owned() } else { name };
    Ok(match configmap::corefile(&text) {
        Some(inside) => (format!("{name}#Corefile"), inside),
        None => (name, text),
    })
}
