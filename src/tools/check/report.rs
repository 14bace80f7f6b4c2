//! What a Corefile would do: its blocks in the order of the chain, whom they ask, what is watched, the rights that needs.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::Serialize;

use super::super::look::{AskedTarget, Looked, Looking, look};
use super::notice::{Notice, notices};
use crate::app::{Placeholders, source_text};
use crate::chain::{Plan, Step, StoreSource, WORDS};
use crate::corefile::{Block, Directive, Error, Transport, Zone, print_line};
use crate::source::cluster::{group, resource};
use crate::time::show_duration;

/// What is to be said about one Corefile.
#[derive(Serialize)]
pub(super) struct Report {
    /// The file.
    pub(super) file: String,
    /// Whether it would be served.
    pub(super) served: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Refusal>,
    /// What is odd.
    pub(super) warnings: Vec<Notice>,
    /// The server blocks, in the order of the file.
    pub(super) blocks: Vec<BlockReport>,
    /// What is watched.
    pub(super) watches: Vec<WatchReport>,
    /// The rights that an account needs for that.
    pub(super) rights: Vec<Right>,
    /// Files that are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) writes: Vec<WriteReport>,
    /// HTTP endpoints.
    pub(super) http: Vec<String>,
    /// Files that were read: the Corefile and what it imports.
    pub(super) files: Vec<String>,
}

/// Why a Corefile is refused.
#[derive(Serialize)]
pub(super) struct Refusal {
    /// The file, an imported one perhaps.
    pub(super) file: String,
    /// Line, from 1.
    pub(super) line: u32,
    /// Column, from 1.
    pub(super) column: u32,
    /// In one line.
    pub(super) message: String,
    /// With the line, a caret and what to do.
    pub(super) rendered: String,
}

/// A server block.
#[derive(Serialize, PartialEq, Eq, Clone)]
pub(super) struct BlockReport {
    /// Where it stands.
    pub(super) at: String,
    /// Its keys as written.
    pub(super) keys: Vec<String>,
    /// What its keys mean, sorted: blocks that say the same in other words have the same.
    #[serde(skip)]
    pub(super) serves: Vec<(Transport, u16, Zone)>,
    /// Where it listens.
    pub(super) listens: Vec<String>,
    /// Its words that every query meets, in the order of the chain.
    pub(super) chain: Vec<StepReport>,
    /// Its other words.
    pub(super) settings: Vec<String>,
    /// Whom it asks.
    pub(super) asks: Vec<AskReport>,
}

/// A step of a chain.
#[derive(Serialize, PartialEq, Eq, Clone)]
pub(super) struct StepReport {
    /// Its word.
    pub(super) word: String,
    /// Its line, in one.
    pub(super) line: String,
}

/// Whom a step asks.
#[derive(Serialize, PartialEq, Eq, Clone)]
pub(super) struct AskReport {
    /// For the names of these zones.
    pub(super) zones: Vec<String>,
    /// Addresses, host names, and files.
    pub(super) upstreams: Vec<String>,
}

/// Objects that are watched.
#[derive(Serialize, PartialEq, Eq, Clone)]
pub(super) struct WatchReport {
    /// Where they come from.
    pub(super) source: String,
    /// Which they are.
    pub(super) resources: Vec<&'static str>,
    /// The selector that they must match, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<String>,
}

/// A file that is written.
#[derive(Serialize, PartialEq, Eq, Clone)]
pub(super) struct WriteReport {
    /// The file; one of this name with `.new` behind it stands beside it for a moment.
    pub(super) file: String,
    /// What is written, and how often.
    pub(super) what: String,
}

/// A rule of a ClusterRole.
#[derive(Serialize, PartialEq, Eq, Clone, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub(super) struct Right {
    /// The API group.
    pub(super) api_groups: Vec<&'static str>,
    /// Its resources.
    pub(super) resources: Vec<&'static str>,
    /// What is done with them.
    pub(super) verbs: Vec<&'static str>,
}

impl Report {
    /// Looks at a Corefile.
    pub(super) fn of(file: &str, text: &str, port: u16, placeholders: &Placeholders) -> Self {
        let mut report = Self {
            file: file.to_owned(),
            served: false,
            error: None,
            warnings: Vec::new(),
            blocks: Vec::new(),
            watches: Vec::new(),
            rights: Vec::new(),
            writes: Vec::new(),
            http: Vec::new(),
            files: vec![file.to_owned()],
        };
        let parts = Looking { placeholders: placeholders.clone(), ..Looking::default() };
        match look(file, text, port, parts) {
            Ok(looked) if looked.spec.blocks.is_empty() => {
                let message = format!("{file}: the file holds no server block, so there is nothing to serve");
                report.error = Some(Refusal {
                    file: file.to_owned(),
                    line: 1,
                    column: 1,
                    rendered: message.clone(),
                    message,
                });
            }
            Ok(looked) => report.fill(&looked, port),
            Err(error) => report.error = Some(refusal(&error)),
        }
        report
    }

    /// Says what would be served.
    fn fill(&mut self, looked: &Looked, port: u16) {
        self.served = true;
        self.files.clone_from(&looked.spec.files);
        self.warnings = notices(looked);
        for (place, block) in looked.spec.blocks.iter().enumerate() {
            self.blocks.push(block_report(looked, place, block, port));
        }
        let mut rights = BTreeSet::new();
        for asked in &looked.parts.stores {
            let kinds = asked.wanted.kinds();
            self.watches.push(WatchReport {
                source: source_text(&asked.spec.source),
                resources: kinds.iter().map(|kind| resource(*kind)).collect(),
                labels: asked.spec.labels.as_ref().map(|labels| labels.as_str().to_owned()),
            });
            self.writes.extend(asked.spec.snapshot.as_ref().map(|snapshot| WriteReport {
                file: snapshot.file.display().to_string(),
                what: format!(
                    "what is known of the cluster, after changes, at most every {}; read at start up to an age of {}",
                    show_duration(snapshot.interval),
                    show_duration(snapshot.max_age)
                ),
            }));
            if matches!(asked.spec.source, StoreSource::Cluster(_)) {
                rights.extend(kinds.iter().map(|kind| (group(*kind), resource(*kind))));
            }
        }
        self.rights = joined(&rights);
        let admin = &looked.plan.admin;
        self.http.extend(admin.health.iter().map(|health| format!("http://{}/health", host(&health.addr))));
        self.http.extend(admin.ready.iter().map(|ready| format!("http://{}/ready", host(&ready.addr))));
        self.http.extend(admin.metrics.iter().map(|addr| format!("http://{}/metrics", host(addr))));
    }
}

/// `[HOST]:PORT` with a host to read.
fn host(addr: &str) -> String {
    addr.strip_prefix(':').map_or_else(|| addr.to_owned(), |port| format!("*:{port}"))
}

/// One rule a group.
fn joined(rights: &BTreeSet<(&'static str, &'static str)>) -> Vec<Right> {
    let groups: BTreeSet<&'static str> = rights.iter().map(|(group, _)| *group).collect();
    let of = |group: &'static str| Right {
        api_groups: vec![group],
        resources: rights
            .iter()
            .filter(|(known, _)| *known == group)
            .map(|(_, resource)| *resource)
            .collect(),
        verbs: vec!["list", "watch"],
    };
    groups.into_iter().map(of).collect()
}

/// An error with its place.
fn refusal(error: &Error) -> Refusal {
    let at = error.at();
    Refusal {
        file: at.file().to_owned(),
        line: at.line(),
        column: at.column(),
        message: error.to_string(),
        rendered: error.render(),
    }
}

/// How many steps `kubedns_config` makes in front of a block's own lines of `forward`.
pub(super) fn made_forwards(steps: &[Box<dyn Step>], block: &Block) -> usize {
    let forwards = steps.iter().filter(|step| step.word() == "forward").count();
    match block.all("kubedns_config").next() {
        Some(_) => forwards.saturating_sub(block.all("forward").count()),
        None => 0,
    }
}

/// One block.
fn block_report(looked: &Looked, place: usize, block: &Block, dns_port: u16) -> BlockReport {
    let steps = looked.plan.chains.get(place).map(|chain| chain.steps.as_slice()).unwrap_or_default();
    // Lines of one word keep the order of the file, as their steps do (rule S-01).
    let mut lines: Vec<&Directive> = block.directives.iter().collect();
    let mut chain = Vec::new();
    let mut asks = Vec::new();
    // Those that `kubedns_config` makes come before the lines of the block (rule F-20).
    let mut made = made_forwards(steps, block);
    for step in steps {
        let ask = step.asks().map(|(zones, group)| {
            let targets =
                looked.parts.group_of(group).map(|asked| asked.targets.as_slice()).unwrap_or_default();
            AskReport {
                zones: zones.iter().map(|zone| zone.text().to_owned()).collect(),
                upstreams: targets.iter().map(target).collect(),
            }
        });
        let line = match &ask {
            Some(ask) if made > 0 && step.word() == "forward" => {
                made -= 1;
                let (zones, upstreams) = (ask.zones.join(" "), ask.upstreams.join(" "));
                format!("forward {zones} {upstreams} (of kubedns_config)")
            }
            _ => match lines.iter().position(|line| line.word.text == step.word()) {
                Some(at) => print_line(lines.remove(at)),
                // A line may make several steps.
                None => step.word().to_owned(),
            },
        };
        chain.push(StepReport { word: step.word().to_owned(), line });
        asks.extend(ask);
    }
    let order = |line: &&Directive| WORDS.iter().position(|word| word.word == line.word.text);
    lines.sort_by_key(order);
    let mut serves: Vec<(Transport, u16, Zone)> = block
        .keys
        .iter()
        .flat_map(|key| {
            let port = key.listening_port(dns_port);
            key.zones.iter().map(move |zone| (key.transport, port, zone.clone()))
        })
        .collect();
    serves.sort_unstable();
    serves.dedup();
    BlockReport {
        at: block.at.to_string(),
        keys: block.keys.iter().map(|key| key.text.clone()).collect(),
        serves,
        listens: listens(&looked.plan, place),
        chain,
        settings: lines.into_iter().map(print_line).collect(),
        asks,
    }
}

/// A target in words.
fn target(target: &AskedTarget) -> String {
    match target {
        AskedTarget::Upstream(text, _) => text.clone(),
        AskedTarget::Host(name) => format!("{name} (a host name, looked up when served)"),
        AskedTarget::File(path, Ok(servers)) => {
            let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
            format!("{} (on this machine: {})", path.display(), servers.join(" "))
        }
        AskedTarget::File(path, Err(fault)) => format!("{} (on this machine: {fault})", path.display()),
    }
}

/// Where a block listens: the two wildcards of one port are one.
fn listens(plan: &Plan, chain: usize) -> Vec<String> {
    let with = |addr: &SocketAddr| {
        plan.listeners
            .iter()
            .any(|known| known.addr == *addr && known.zones.iter().any(|served| served.chain == chain))
    };
    let mut listens: Vec<String> = Vec::new();
    for addr in plan.listeners.iter().map(|listener| listener.addr).filter(with) {
        let text = match addr.ip().is_unspecified() {
            true => format!("every address, port {}", addr.port()),
            false => addr.to_string(),
        };
        if !listens.contains(&text) {
            listens.push(text);
        }
    }
    listens
}
