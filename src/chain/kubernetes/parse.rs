//! The stanza's text (SPEC I).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::build::{Draft, Parts, StoreSource, StoreSpec};
use super::super::k8s_external::K8sExternal;
use super::{Fallthrough, Forms, Kubernetes, Options, PodMode, ServedZone, SnapshotSpec, StalePolicy};
use crate::corefile::{Directive, Error, Zone};
use crate::source::Selector;
use crate::source::cluster::{Access, ThrottleOptions};
use crate::store::{Naming, Wanted};

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
kubernetes [ZONES…] {
    endpoint URL  |  kubeconfig FILE [CONTEXT]  |  manifests DIR
    tls CERT KEY CA
    namespaces NAMESPACE…  |  namespace_labels EXPRESSION
    labels EXPRESSION
    pods disabled|insecure|verified
    pod_hostnames
    endpoint_pod_names
    ttl SECONDS
    noendpoints
    ignore empty_service
    multicluster ZONES…
    zonal
    fallthrough [ZONES…]
    startup_timeout DURATION
    apiserver_qps N, apiserver_burst N, apiserver_max_inflight N
    stale serve  |  stale unready AFTER
    audit INTERVAL|off
    snapshot FILE [INTERVAL [MAX_AGE]]
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "answers the names of a cluster: Services, endpoints, pods, and their reverse names";

/// The options that are served, for hints.
const OPTIONS: &[&str] = &[
    "manifests",
    "namespaces",
    "namespace_labels",
    "labels",
    "pods",
    "pod_hostnames",
    "endpoint_pod_names",
    "ttl",
    "noendpoints",
    "ignore",
    "fallthrough",
    "startup_timeout",
    "apiserver_qps",
    "apiserver_burst",
    "apiserver_max_inflight",
    "endpoint",
    "tls",
    "kubeconfig",
    "multicluster",
    "zonal",
    "stale",
    "audit",
    "snapshot",
];

/// TTL unless the stanza says (K-005). Unit: seconds.
const TTL: u32 = 5;

/// The longest TTL that may be asked for (K-232). Unit: seconds.
const LONGEST_TTL: u32 = 3600;

/// How long queries wait for the first sync unless the stanza says (K-230).
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often each resource is audited unless the stanza says (K-271).
const AUDIT: Duration = Duration::from_secs(600);

/// The shortest interval of audits; less would be a list without an end.
const SHORTEST_AUDIT: Duration = Duration::from_secs(1);

/// The highest `apiserver_qps`; more is no limit in fact.
const MOST_QPS: f64 = 1e9;

/// A stanza as written.
struct Stanza {
    /// `manifests`.
    manifests: Option<PathBuf>,
    /// `endpoint`.
    endpoint: Option<String>,
    /// `tls`: certificate, key, CA.
    tls: Option<[PathBuf; 3]>,
    /// `kubeconfig`: file and context.
    kubeconfig: Option<(PathBuf, Option<String>)>,
    /// `labels`.
    labels: Option<Selector>,
    /// `namespaces`.
    namespaces: Option<Vec<String>>,
    /// `namespace_labels`.
    namespace_labels: Option<Selector>,
    /// `pods`.
    pods: PodMode,
    /// `pod_hostnames`.
    pod_hostnames: bool,
    /// `endpoint_pod_names`.
    pod_names: bool,
    /// `ttl`.
    ttl: u32,
    /// `noendpoints` turns it off.
    endpoints: bool,
    /// `ignore empty_service`.
    ignore_empty: bool,
    /// `multicluster`.
    multicluster: Vec<Zone>,
    /// `zonal`.
    zonal: bool,
    /// `fallthrough`.
    fallthrough: Fallthrough,
    /// `startup_timeout`.
    startup_timeout: Duration,
    /// Options that throttle an API client (K-231).
    throttle: ThrottleOptions,
    /// `stale`.
    stale: StalePolicy,
    /// `audit`; `None` where it is off.
    audit: Option<Duration>,
    /// `snapshot`.
    snapshot: Option<SnapshotSpec>,
    /// Words that say something about an API server, for a warning: manifests have none.
    about_server: Vec<String>,
}

/// Reads the stanza and adds its step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    // Once in a block (K-234).
    let twice = draft.block.all("kubernetes").next().is_some_and(|first| !std::ptr::eq(first, directive));
    if twice {
        return Err(directive.error("stands twice in this block"));
    }
    let (mut zones, primary) = zones(directive, draft)?;
    let stanza = read(directive)?;
    for line in directive.lines().iter().filter(|line| line.word.text == "multicluster") {
        for arg in &line.args {
            let known = |zone: &Zone| zones.iter().any(|served| served.zone == *zone && !zone.is_reverse());
            if !arg.zones()?.iter().all(known) {
                return Err(arg.error(format!("`{}` is none of the names that this stanza serves", arg.text)).hint(
                    "name the zone of the clusterset behind the word as well: `kubernetes cluster.local clusterset.local`",
                ));
            }
        }
    }
    for served in &mut zones {
        let multicluster = stanza.multicluster.contains(&served.zone);
        served.forms = Forms { multicluster, zonal: stanza.zonal };
    }
    let externals = std::mem::take(&mut draft.externals);
    let searches = std::mem::take(&mut draft.searches);
    let source = source(directive, &stanza, draft.parts)?;
    if matches!(source, StoreSource::Manifests(_)) {
        for option in &stanza.about_server {
            draft.warnings.push(format!(
                "{}: `{option}` has no effect with `manifests`: there is no API server",
                directive.word.at
            ));
        }
    }
    let spec = StoreSpec {
        source,
        labels: stanza.labels,
        throttle: stanza.throttle,
        audit: stanza.audit,
        snapshot: stanza.snapshot,
    };
    if let Some(line) = directive.lines().iter().find(|line| line.word.text == "snapshot")
        && draft.wants.share_a_snapshot(&spec)
    {
        return Err(line
            .error("another `kubernetes` that is fed differently keeps its snapshot in this file")
            .hint("name a file for each, or give both the same API server, `labels` and options about it"));
    }
    let pods = stanza.pods == PodMode::Verified;
    let imports = !stanza.multicluster.is_empty();
    let wanted = Wanted {
        // The endpoints of other clusters stand in slices too.
        endpoints: stanza.endpoints || imports,
        pods,
        pod_names: stanza.pod_names,
        clients: pods && !draft.metadata.is_empty(),
        zones: stanza.zonal,
        imports,
        external: !externals.is_empty(),
        ingress: externals.iter().any(|line| line.ingress),
        gateway: externals.iter().any(|line| line.gateway),
    };
    let wanted = draft.wants.add(&spec, wanted);
    let store = draft.parts.store(&spec, wanted);
    draft.store = draft.store.take().or_else(|| Some(store.clone()));
    let own = draft.own_addresses();
    let options = Arc::new(Options {
        zones,
        primary,
        store,
        ttl: stanza.ttl,
        pods: stanza.pods,
        pod_hostnames: stanza.pod_hostnames,
        naming: if stanza.pod_names { Naming::Pod } else { Naming::Address },
        endpoints: stanza.endpoints,
        ignore_empty: stanza.ignore_empty,
        namespaces: stanza.namespaces,
        namespace_labels: stanza.namespace_labels,
        fallthrough: stanza.fallthrough,
        startup_timeout: stanza.startup_timeout,
        stale: stanza.stale,
        own,
    });
    for line in externals {
        line.check(&options, draft);
        // The words stand next to each other in the chain.
        draft.steps.push(Box::new(K8sExternal::new(line, options.clone())));
    }
    for search in searches {
        search.join(&options, draft);
    }
    draft.steps.push(Box::new(Kubernetes::sharing(options)));
    Ok(())
}

/// Where the objects come from (K-233): a folder, a kubeconfig, an address, or the service account of the pod.
fn source(directive: &Directive, stanza: &Stanza, parts: &dyn Parts) -> Result<StoreSource, Error> {
    if let Some(dir) = &stanza.manifests {
        if stanza.endpoint.is_some() || stanza.kubeconfig.is_some() || stanza.tls.is_some() {
            return Err(directive.error("`manifests` and an API server exclude each other"));
        }
        if stanza.snapshot.is_some() {
            return Err(directive
                .error("`snapshot` has no use with `manifests`: the folder is there at each start")
                .hint("leave `snapshot` out"));
        }
        return Ok(StoreSource::Manifests(dir.clone()));
    }
    let access = match (&stanza.kubeconfig, &stanza.endpoint) {
        (Some((file, context)), _) => Access::Kubeconfig { file: file.clone(), context: context.clone() },
        (None, Some(url)) => Access::Endpoint { url: url.clone(), tls: stanza.tls.clone() },
        (None, None) if stanza.tls.is_some() => {
            return Err(directive.error("`tls` needs `endpoint URL` beside it"));
        }
        (None, None) => Access::InCluster,
    };
    parts.reachable(&access).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        directive.error(format!("{error}{cause}")).hint(
            "name the API server with `endpoint URL` or `kubeconfig FILE`, or a folder of manifests with `manifests DIR`",
        )
    })?;
    Ok(StoreSource::Cluster(access))
}

/// The zones of the stanza, most labels first, and the primary one (K-179, K-180).
fn zones(directive: &Directive, draft: &Draft<'_>) -> Result<(Vec<ServedZone>, Zone), Error> {
    let mut zones: Vec<ServedZone> = Vec::new();
    let mut add = |zone: Zone, from_cidr: bool| {
        if !zones.iter().any(|known: &ServedZone| known.zone == zone) {
            zones.push(ServedZone { zone, from_cidr, forms: Forms::default() });
        }
    };
    for arg in &directive.args {
        let from_cidr = arg.text.contains('/');
        arg.zones()?.into_iter().for_each(|zone| add(zone, from_cidr));
    }
    if directive.args.is_empty() {
        for key in &draft.block.keys {
            let from_cidr = key.text.contains('/');
            key.zones.iter().for_each(|zone| add(zone.clone(), from_cidr));
        }
    }
    let Some(primary) = zones.iter().find(|served| !served.zone.is_reverse()) else {
        return Err(directive
            .error("all zones are reverse zones: PTR answers would have no zone to point into")
            .hint("name the cluster's own zone first: `kubernetes cluster.local in-addr.arpa ip6.arpa`"));
    };
    let primary = primary.zone.clone();
    zones.sort_by_key(|served| std::cmp::Reverse(served.zone.labels()));
    Ok((zones, primary))
}

/// Reads the lines in braces.
fn read(directive: &Directive) -> Result<Stanza, Error> {
    let mut stanza = Stanza {
        manifests: None,
        endpoint: None,
        tls: None,
        kubeconfig: None,
        labels: None,
        namespaces: None,
        namespace_labels: None,
        pods: PodMode::Disabled,
        pod_hostnames: false,
        pod_names: false,
        ttl: TTL,
        endpoints: true,
        ignore_empty: false,
        multicluster: Vec::new(),
        zonal: false,
        fallthrough: Fallthrough::None,
        startup_timeout: STARTUP_TIMEOUT,
        throttle: ThrottleOptions::default(),
        stale: StalePolicy::default(),
        audit: Some(AUDIT),
        snapshot: None,
        about_server: Vec::new(),
    };
    for line in directive.lines() {
        line.no_block()?;
        option(line, &mut stanza)?;
    }
    if stanza.namespaces.is_some() && stanza.namespace_labels.is_some() {
        return Err(directive.error("`namespaces` and `namespace_labels` exclude each other"));
    }
    if !stanza.endpoints && stanza.zonal {
        return Err(directive.error("`zonal` needs endpoints, and `noendpoints` turns them off"));
    }
    if !stanza.endpoints && stanza.ignore_empty {
        return Err(
            directive.error("`ignore empty_service` needs endpoints, and `noendpoints` turns them off")
        );
    }
    Ok(stanza)
}

/// Reads one line.
fn option(line: &Directive, stanza: &mut Stanza) -> Result<(), Error> {
    let none = || line.expect_args(0..=0).map(drop);
    match line.word.text.as_str() {
        "manifests" => stanza.manifests = Some(PathBuf::from(&line.only_arg()?.text)),
        "namespaces" => {
            let names = line.expect_args(1..=usize::MAX)?;
            stanza.namespaces.get_or_insert_default().extend(names.iter().map(|name| name.text.clone()));
        }
        "namespace_labels" => stanza.namespace_labels = Some(selector(line)?),
        "labels" => stanza.labels = Some(selector(line)?),
        "pods" => {
            let mode = line.only_arg()?;
            stanza.pods = match mode.text.as_str() {
                "disabled" => PodMode::Disabled,
                "insecure" => PodMode::Insecure,
                "verified" => PodMode::Verified,
                _ => return Err(mode.unknown("a mode of `pods`", &["disabled", "insecure", "verified"])),
            };
        }
        "pod_hostnames" => {
            none()?;
            stanza.pod_hostnames = true;
        }
        "endpoint_pod_names" => {
            none()?;
            stanza.pod_names = true;
        }
        "ttl" => stanza.ttl = line.only_arg()?.number(0..=LONGEST_TTL)?,
        "noendpoints" => {
            none()?;
            stanza.endpoints = false;
        }
        "ignore" => {
            let what = line.only_arg()?;
            if what.text != "empty_service" {
                return Err(what.unknown("something to ignore", &["empty_service"]));
            }
            stanza.ignore_empty = true;
        }
        "fallthrough" => {
            let zones = line.zones_from(0)?;
            stanza.fallthrough = if zones.is_empty() { Fallthrough::All } else { Fallthrough::Zones(zones) };
        }
        "startup_timeout" => stanza.startup_timeout = line.only_arg()?.duration()?,
        name @ ("apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight") => {
            let arg = line.only_arg()?;
            match name {
                "apiserver_qps" => {
                    let rate: f64 = arg.number(0.0..=MOST_QPS)?;
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "between 0 and 1,000 times MOST_QPS"
                    )]
                    let rate = (rate * 1000.0).ceil() as u64;
                    stanza.throttle.per_1000_seconds = rate;
                }
                "apiserver_burst" => stanza.throttle.burst = arg.number(0..=u32::MAX)?,
                _ => stanza.throttle.in_flight = arg.number(0..=u32::MAX)?,
            }
            stanza.about_server.push(name.to_owned());
        }
        "endpoint" => {
            // CoreDNS uses the first of several, too.
            let urls = line.expect_args(1..=usize::MAX)?;
            stanza.endpoint = urls.first().map(|url| url.text.clone());
        }
        "tls" => {
            let files: Vec<PathBuf> =
                line.expect_args(3..=3)?.iter().map(|file| PathBuf::from(&file.text)).collect();
            stanza.tls = files.try_into().ok();
        }
        "kubeconfig" => {
            let args = line.expect_args(1..=2)?;
            if let Some(file) = args.first() {
                let context = args.get(1).map(|context| context.text.clone());
                stanza.kubeconfig = Some((PathBuf::from(&file.text), context));
            }
        }
        "multicluster" => {
            line.expect_args(1..=usize::MAX)?;
            stanza.multicluster.extend(line.zones_from(0)?);
        }
        "zonal" => {
            none()?;
            stanza.zonal = true;
        }
        name @ "stale" => {
            stanza.stale = StalePolicy::read(line)?;
            stanza.about_server.push(name.to_owned());
        }
        name @ "audit" => {
            stanza.audit = audit(line)?;
            stanza.about_server.push(name.to_owned());
        }
        "snapshot" => stanza.snapshot = Some(SnapshotSpec::read(line)?),
        _ => return Err(line.word.unknown("an option of `kubernetes`", OPTIONS)),
    }
    Ok(())
}

/// How often each resource is audited; `None` for never (K-271).
fn audit(line: &Directive) -> Result<Option<Duration>, Error> {
    let arg = line.only_arg()?;
    if arg.text == "off" {
        return Ok(None);
    }
    let interval = arg.duration()?;
    if interval < SHORTEST_AUDIT {
        return Err(arg
            .error(format!("an audit every {} is too often", arg.text))
            .hint("name at least `1s`, or `audit off` for none"));
    }
    Ok(Some(interval))
}

/// The label selector that a line's arguments spell together.
fn selector(line: &Directive) -> Result<Selector, Error> {
    let args = line.expect_args(1..=usize::MAX)?;
    let text = args.iter().map(|arg| arg.text.as_str()).collect::<Vec<_>>().join(" ");
    Selector::parse(&text).map_err(|fault| line.error(format!("`{text}` is no label selector: {fault}")))
}
