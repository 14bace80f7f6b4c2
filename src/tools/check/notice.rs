//! What is odd in a Corefile that would be served, with what to do about it.

use std::net::IpAddr;

use serde::Serialize;

use super::super::look::{AskedStore, AskedTarget, Looked};
use super::report::made_forwards;
use crate::app::too_small;
use crate::chain::{Chain, Step, StoreSource};
use crate::corefile::{self, Block, Directive, Zone};
use crate::forward::is_own;
use crate::store::Kind;
use crate::wire::{Question, rtype};

/// Something odd.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub(in crate::tools) struct Notice {
    /// `warning`, or `hint` where it may well be meant.
    pub(in crate::tools) level: &'static str,
    /// What kind of thing it is; does not change from version to version.
    pub(in crate::tools) code: &'static str,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tools) at: Option<String>,
    /// What it is.
    pub(in crate::tools) text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::tools) advice: String,
}

impl Notice {
    /// Whether it is a warning.
    pub(in crate::tools) fn warns(&self) -> bool {
        self.level == "warning"
    }
}

/// The notices of a Corefile, in the making.
struct Notices<'l> {
    /// The Corefile.
    looked: &'l Looked,
    /// What was found.
    found: Vec<Notice>,
}

/// A block with what it became.
#[derive(Clone, Copy)]
struct Built<'l> {
    /// Its place.
    place: usize,
    /// Its text.
    block: &'l Block,
    /// Its chain.
    chain: &'l Chain,
}

impl<'l> Built<'l> {
    /// Whether a word stands in it.
    fn has(self, word: &str) -> bool {
        self.block.all(word).next().is_some()
    }

    /// The first line of a word.
    fn line(self, word: &'l str) -> Option<&'l Directive> {
        self.block.all(word).next()
    }

    /// The step of the cluster, if there is one.
    fn cluster(self) -> Option<&'l dyn Step> {
        self.chain.steps.iter().map(AsRef::as_ref).find(|step| step.primary().is_some())
    }
}

/// Whether every name of `zone` lies in `outer`.
fn lies_in(zone: &Zone, outer: &Zone) -> bool {
    Question::new(zone.wire(), rtype::SOA)
        .is_ok_and(|question| question.below(outer.wire(), outer.labels()).is_some())
}

/// The names of zones.
fn texts(zones: &[Zone]) -> String {
    zones.iter().map(Zone::text).collect::<Vec<_>>().join(" ")
}

/// What is odd in a Corefile.
pub(in crate::tools) fn notices(looked: &Looked) -> Vec<Notice> {
    let mut notices = Notices { looked, found: Vec::new() };
    for warning in &looked.spec.warnings {
        let (level, code) = match &warning.notice {
            // A ConfigMap that nobody has written yet is the rule.
            corefile::Notice::NoMatch { .. } => ("hint", "import-nothing"),
            corefile::Notice::UnsetVariable { .. } => ("warning", "unset-variable"),
            corefile::Notice::AddressAsName { .. } => ("warning", "address-as-name"),
        };
        notices.built(level, code, &warning.to_string());
    }
    for warning in &looked.warnings {
        notices.built("warning", "no-effect", warning);
    }
    if let Some(said) = too_small(&looked.plan) {
        notices.built("warning", "cache-memory", &said);
    }
    notices.overruled();
    for (place, (block, chain)) in looked.spec.blocks.iter().zip(&looked.plan.chains).enumerate() {
        let built = Built { place, block, chain };
        notices.loops(built);
        notices.out_of_reach(built);
        notices.hidden_upstreams(built);
        notices.hidden_by_blocks(built);
        notices.fallthrough(built);
        notices.pods(built);
        notices.reverse(built);
        notices.idle_cache(built);
        notices.missing(built);
        notices.metrics(built);
        notices.debug(built);
    }
    notices.found
}

impl Notices<'_> {
    /// Adds one.
    fn add(
        &mut self,
        level: &'static str,
        code: &'static str,
        at: Option<&Directive>,
        text: String,
        advice: &str,
    ) {
        let at = at.map(|line| line.word.at.to_string());
        self.found.push(Notice { level, code, at, text, advice: advice.to_owned() });
    }

    /// What the reader or the builder says, `PLACE: TEXT`.
    fn built(&mut self, level: &'static str, code: &'static str, said: &str) {
        let (at, text) = match said.split_once(": ") {
            Some((at, text)) if at.ends_with(|c: char| c.is_ascii_digit()) => (Some(at.to_owned()), text),
            _ => (None, said),
        };
        let advice = String::new();
        self.found.push(Notice { level, code, at, text: text.to_owned(), advice });
    }

    /// Upstreams that lead back here: loopback and own addresses in a resolv.conf.
    fn loops(&mut self, built: Built<'_>) {
        let lines: Vec<&Directive> = built.block.all("forward").collect();
        let groups = built.chain.steps.iter().filter_map(|step| step.asks());
        let made = made_forwards(&built.chain.steps, built.block);
        for ((_, group), line) in groups.skip(made).zip(lines) {
            let Some(asked) = self.looked.parts.group_of(group) else { continue };
            let mut said = Vec::new();
            for target in &asked.targets {
                let AskedTarget::File(path, Ok(servers)) = target else { continue };
                for server in servers {
                    if server.ip().is_loopback() {
                        said.push(format!(
                            "{} names {}, which inside a pod is the pod itself",
                            path.display(),
                            server.ip()
                        ));
                    } else if is_own(*server, &asked.spec.own, &own_addresses()) {
                        said.push(format!(
                            "{} names {}, an address of this machine",
                            path.display(),
                            server.ip()
                        ));
                    }
                }
            }
            for target in &asked.targets {
                if let AskedTarget::Upstream(text, addr) = target
                    && addr.ip() == IpAddr::from([127, 0, 0, 53])
                {
                    said.push(format!("{text} is systemd-resolved on the node; in a pod nobody is there"));
                }
            }
            for text in said {
                self.add(
                    "warning",
                    "resolv-loop",
                    Some(line),
                    text,
                    "name the real servers, or the file that has them: on nodes with systemd-resolved that is \
                     /run/systemd/resolve/resolv.conf, which the kubelet's --resolv-conf gives to pods of dnsPolicy Default",
                );
            }
        }
    }

    /// Endpoints that are named twice with different addresses: one of them is opened.
    fn overruled(&mut self) {
        for word in ["health", "ready"] {
            let blocks = self.looked.spec.blocks.iter();
            let lines: Vec<&Directive> = blocks.flat_map(|block| block.all(word)).collect();
            let addr = |line: &Directive| line.args.first().map(|arg| arg.text.clone());
            let Some(last) = lines.last() else { continue };
            for line in lines.iter().filter(|line| addr(line) != addr(last)) {
                let text =
                    format!("this `{word}` is not served: the one at {} has another address", last.word.at);
                self.add("warning", "overruled", Some(line), text, "write the word once");
            }
        }
    }

    /// Steps whose zones lie outside of those of their block.
    fn out_of_reach(&mut self, built: Built<'_>) {
        let zones: Vec<Zone> = built.block.zones().cloned().collect();
        for step in &built.chain.steps {
            let about = step.about();
            let reached = |zone: &Zone| zones.iter().any(|of| lies_in(zone, of) || lies_in(of, zone));
            let lost: Vec<Zone> = about.iter().filter(|zone| !reached(zone)).cloned().collect();
            if !lost.is_empty() {
                let text = format!(
                    "`{}` is about {}, and no question for that comes to a block for {}",
                    step.word(),
                    texts(&lost),
                    texts(&zones)
                );
                self.add(
                    "warning",
                    "out-of-reach",
                    built.line(step.word()),
                    text,
                    "move the zone into the keys of the block",
                );
            }
        }
    }

    /// Lines of `forward` behind one that takes all their names.
    fn hidden_upstreams(&mut self, built: Built<'_>) {
        let lines: Vec<&Directive> = built.block.all("forward").collect();
        let steps: Vec<&[Zone]> = built
            .chain
            .steps
            .iter()
            .filter(|step| step.word() == "forward")
            .filter_map(|step| Some(step.asks()?.0))
            .collect();
        let (made, steps) = steps.split_at(made_forwards(&built.chain.steps, built.block).min(steps.len()));
        if steps.len() != lines.len() {
            return;
        }
        for (place, (zones, line)) in steps.iter().zip(&lines).enumerate() {
            let is_within =
                |before: &&[Zone]| zones.iter().all(|zone| before.iter().any(|outer| lies_in(zone, outer)));
            if made.iter().any(is_within) {
                let text = "this line is never asked: `kubedns_config` takes its names first".to_owned();
                self.add(
                    "warning",
                    "hidden",
                    Some(line),
                    text,
                    "take it out, or the ConfigMap's `upstreamNameservers`",
                );
                continue;
            }
            let earlier = steps.iter().zip(&lines).take(place);
            let passes_on = |line: &Directive| {
                line.lines()
                    .iter()
                    .any(|option| ["except", "next", "next_on_nodata"].contains(&option.word.text.as_str()))
            };
            let hidden = earlier.into_iter().find(|(before, line)| {
                !passes_on(line) && zones.iter().all(|zone| before.iter().any(|outer| lies_in(zone, outer)))
            });
            if let Some((_, first)) = hidden {
                let text =
                    format!("this line is never asked: the one at {} takes its names first", first.word.at);
                self.add("warning", "hidden", Some(line), text, "write the narrower zone first");
            }
        }
    }

    /// Zones of a step that another block takes, on every address of this one.
    fn hidden_by_blocks(&mut self, built: Built<'_>) {
        let listeners: Vec<_> = self
            .looked
            .plan
            .listeners
            .iter()
            .filter(|listener| listener.zones.iter().any(|served| served.chain == built.place))
            .collect();
        for step in &built.chain.steps {
            let about = step.about();
            let taken = |zone: &Zone| {
                listeners.iter().all(|listener| {
                    let question = Question::new(zone.wire(), rtype::SOA).ok();
                    let chosen = question.and_then(|question| listener.choose(&question, |_| true));
                    chosen
                        .and_then(|place| listener.zones.get(place))
                        .is_some_and(|served| served.chain != built.place)
                })
            };
            let lost: Vec<Zone> =
                about.iter().filter(|zone| !zone.is_root() && taken(zone)).cloned().collect();
            if !lost.is_empty() && !listeners.is_empty() {
                let text =
                    format!("`{}` never hears of {}: another block has that zone", step.word(), texts(&lost));
                self.add(
                    "warning",
                    "hidden",
                    built.line(step.word()),
                    text,
                    "keep the zone in one of the two",
                );
            }
        }
    }

    /// What becomes of names that the cluster does not have.
    fn fallthrough(&mut self, built: Built<'_>) {
        let Some(line) = built.line("kubernetes") else { return };
        let Some(option) = line.lines().iter().find(|option| option.word.text == "fallthrough") else {
            return;
        };
        let place = built.chain.steps.iter().position(|step| step.primary().is_some());
        let behind = built.chain.steps.iter().skip(place.map_or(0, |place| place + 1));
        let answers = behind.filter(|step| !["loop", "cache"].contains(&step.word())).count();
        if answers == 0 {
            self.add(
                "warning",
                "fallthrough-nowhere",
                Some(option),
                "names that the cluster does not have go on, and no word behind `kubernetes` answers: they are SERVFAIL".to_owned(),
                "remove `fallthrough`, so that they are NXDOMAIN",
            );
        } else if option.args.is_empty() && built.chain.forwards {
            self.add(
                "warning",
                "leak",
                Some(option),
                "every name that the cluster does not have is asked of upstreams, each candidate of a search list included".to_owned(),
                "write `fallthrough in-addr.arpa ip6.arpa`, so that only reverse names go on",
            );
        }
    }

    /// What `pods verified` costs.
    fn pods(&mut self, built: Built<'_>) {
        let Some(line) = built.line("kubernetes") else { return };
        let verified = |option: &&Directive| {
            option.word.text == "pods" && option.args.first().is_some_and(|arg| arg.text == "verified")
        };
        let watched = self.looked.parts.stores.iter().any(|asked| {
            asked.wanted.kinds().contains(&Kind::Pods) && matches!(asked.spec.source, StoreSource::Cluster(_))
        });
        if let Some(option) = line.lines().iter().find(verified).filter(|_| watched) {
            self.add(
                "hint",
                "pods-verified",
                Some(option),
                "every pod of the cluster is watched: the one list that grows with pods and changes with each of them".to_owned(),
                "write `pods insecure`, unless names of pod addresses must be checked, `autopath` asks for it, or pods without a \
                 Service carry hostnames",
            );
        }
    }

    /// Reverse names of the cluster that are asked of upstreams.
    fn reverse(&mut self, built: Built<'_>) {
        let Some(step) = built.cluster() else { return };
        if built.chain.forwards
            && !step.about().iter().any(Zone::is_reverse)
            && built.block.zones().any(Zone::is_root)
        {
            self.add(
                "hint",
                "no-reverse",
                built.line("kubernetes"),
                "there are no reverse zones, so the addresses of Services and pods are asked of upstreams"
                    .to_owned(),
                "add `in-addr.arpa ip6.arpa` behind the zone, with `fallthrough in-addr.arpa ip6.arpa`",
            );
        }
    }

    /// A cache for names that are answered here.
    fn idle_cache(&mut self, built: Built<'_>) {
        let (Some(line), Some(step)) = (built.line("cache"), built.cluster()) else { return };
        // Numbers are TTLs; what is left are zones.
        let zones: Vec<&str> =
            line.args.iter().map(|arg| arg.text.as_str()).filter(|arg| arg.parse::<u32>().is_err()).collect();
        let local = step.about();
        let inside = |zone: &Zone| local.iter().any(|outer| lies_in(zone, outer));
        let all = zones.iter().all(|zone| Zone::parse(zone).is_ok_and(|zone| inside(&zone)));
        if !zones.is_empty() && all {
            let text = format!(
                "nothing is ever kept: {} is answered here, and local answers pass no cache",
                zones.join(" ")
            );
            self.add("warning", "idle-cache", Some(line), text, "remove the zones, or the line");
        }
    }

    /// Words that a block of this kind should have.
    fn missing(&mut self, built: Built<'_>) {
        let admin = &self.looked.plan.admin;
        let line = built.line("kubernetes");
        let first = built.place == 0;
        // What is read from a folder is there at once, and nobody probes a process on a desk.
        let watches = |asked: &AskedStore| matches!(asked.spec.source, StoreSource::Cluster(_));
        let cluster = built.cluster().is_some() && self.looked.parts.stores.iter().any(watches);
        if cluster && admin.ready.is_none() {
            self.add(
                "hint",
                "no-ready",
                line,
                "without `ready` nothing tells the cluster when the first lists are complete".to_owned(),
                "add `ready`, and a readinessProbe for :8181/ready",
            );
        }
        match &admin.health {
            None if cluster => self.add(
                "hint",
                "no-health",
                line,
                "without `health` a pod that hangs is not restarted, and stopping has no lame duck"
                    .to_owned(),
                "add `health { lameduck 5s }`, and a livenessProbe for :8080/health",
            ),
            Some(health) if health.lameduck.is_zero() && cluster => self.add(
                "hint",
                "no-lameduck",
                built.line("health").or(line),
                "clients are sent here for a few seconds after SIGTERM, and `health` has no `lameduck`"
                    .to_owned(),
                "write `health { lameduck 5s }`",
            ),
            _ => {}
        }
        if first && admin.reload.is_none() {
            self.add(
                "hint",
                "no-reload",
                None,
                "a changed Corefile is read at the next start only".to_owned(),
                "add `reload`",
            );
        }
        if !built.chain.forwards && built.has("loop") {
            self.add(
                "hint",
                "idle-loop",
                built.line("loop"),
                "`loop` has nothing to do: no word of this block asks upstreams".to_owned(),
                "remove the line",
            );
        }
        if built.chain.forwards && !built.has("loop") {
            self.add(
                "hint",
                "no-loop",
                built.line("forward"),
                "without `loop` an upstream that asks us in turn is not noticed".to_owned(),
                "add `loop`: it puts such an upstream aside and never ends the process",
            );
        }
        if built.chain.forwards && !built.has("cache") {
            self.add(
                "hint",
                "no-cache",
                built.line("forward"),
                "every question for a name outside goes to an upstream".to_owned(),
                "add `cache 30`",
            );
        }
        if !built.has("errors") && !built.chain.steps.is_empty() {
            let at = built.block.directives.first();
            self.add(
                "hint",
                "no-errors",
                at,
                "queries that fail leave no line in the log".to_owned(),
                "add `errors`",
            );
        }
    }

    /// Metrics that nobody can scrape.
    fn metrics(&mut self, built: Built<'_>) {
        let Some(line) = built.line("prometheus") else { return };
        let addr = line.args.first().map_or("localhost:9153", |arg| arg.text.as_str());
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            let text = format!("metrics are served at {addr}, which no scraper outside of the pod reaches");
            self.add("hint", "metrics-loopback", Some(line), text, "write `prometheus :9153`");
        }
    }

    /// A panic that ends the process.
    fn debug(&mut self, built: Built<'_>) {
        if let Some(line) = built.line("debug") {
            self.add(
                "warning",
                "debug",
                Some(line),
                "a fault of ours ends the process instead of one query".to_owned(),
                "remove `debug` where it is not asked for by a developer",
            );
        }
    }
}

/// The addresses of this machine.
fn own_addresses() -> Vec<IpAddr> {
    crate::app::interfaces().into_iter().map(|(_, ip)| ip).collect()
}
