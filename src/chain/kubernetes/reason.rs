//! Why a name of the cluster is answered as it is: the rule, the object, and names near to it that there are.

use std::net::IpAddr;

use super::grammar::{self, Below, Name};
use super::{Kubernetes, Options, PodMode, ServedZone, needs_data, pod};
use crate::chain::explain::{ObjectAccount, Said};
use crate::chain::step::Context;
use crate::corefile::nearest;
use crate::store::{Protocol, Service, Spec};
use crate::wire::{Question, Reverse, reverse_address, rtype, show_label, show_name};

/// The most names that are given as near.
const NEAR: usize = 5;

/// The word.
const WORD: &str = "kubernetes";

/// The first label of a run in wire form.
fn first(run: &[u8]) -> &[u8] {
    run.get(1..=run.first().copied().map_or(0, usize::from)).unwrap_or_default()
}

/// A run in wire form behind its first label.
fn rest(run: &[u8]) -> &[u8] {
    run.get(1 + run.first().copied().map_or(0, usize::from)..).unwrap_or_default()
}

/// One look at why.
pub(super) struct Reason<'a> {
    /// The stanza.
    pub(super) options: &'a Options,
    /// The question.
    question: &'a Question,
    /// How many labels stand left of the zone.
    left: usize,
    /// The zone that matched.
    served: &'a ServedZone,
    /// Seconds since 1970.
    now: u32,
}

impl Kubernetes {
    /// Why a question is answered as it is; nothing where it is about another zone.
    pub(super) fn reason(&self, question: &Question, context: &Context<'_>) -> Option<Said> {
        let (served, left) = self.zone(question)?;
        let now = context.clock.wall().serial();
        let reason = Reason { options: &self.options, question, left, served, now };
        let mut said = reason.say();
        if self.options.store.freshness().stale(served.forms.need(), context.now) {
            said.text.push_str("; nothing has confirmed it lately, so it is told with a short TTL and EDE 3");
            said.rules.push("K-269".to_owned());
        }
        said.near.truncate(NEAR);
        Some(said)
    }
}

/// What is said.
pub(super) fn said(text: impl Into<String>, rules: &[&str]) -> Said {
    Said::new(WORD, text, rules)
}

/// Addresses in words.
pub(super) fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(" ") }
}

impl Reason<'_> {
    /// The forward zone as names end in it.
    pub(super) fn zone(&self) -> &str {
        if self.served.zone.is_reverse() { self.options.primary.text() } else { self.served.zone.text() }
    }

    /// Why.
    fn say(&self) -> Said {
        if self.served.zone.is_reverse() {
            return self.reverse();
        }
        let name = grammar::read(self.question, self.left, self.served.forms);
        if !self.options.store.synced() && needs_data(self.options, name) {
            return said(
                "the first lists of the cluster are not complete: the question waits for them, then fails",
                &["K-016", "K-230"],
            );
        }
        match name {
            Name::Apex => said("the zone itself: it has an SOA and NS records", &["K-031", "K-050", "K-052"]),
            Name::Bare => said("a name with names below it and no data of its own", &["K-031", "K-037"]),
            Name::Server => said("the name of this server", &["K-054"]),
            Name::Version => {
                said("the version of the DNS specification that is served, as TXT", &["K-056", "K-057"])
            }
            Name::Impossible => self.impossible(),
            Name::Namespace { namespace } => self.namespace(namespace),
            Name::PodNamespace { namespace } => {
                if self.options.pods == PodMode::Disabled && !self.options.pod_hostnames {
                    return said("there are no names of pods: the stanza has no `pods`", &["K-150"]);
                }
                self.namespace(namespace)
            }
            Name::Service { run, below } if self.served.forms.multicluster => self.import(run, below),
            Name::Service { run, below } => self.service(run, below),
            Name::Pod { namespace, label, run, hostname, more } => {
                self.pod(namespace, label, run, hostname, more)
            }
        }
    }

    /// A name that no record can have.
    fn impossible(&self) -> Said {
        let kind = show_label(self.question.label(self.left.saturating_sub(1)));
        if kind != "svc" && kind != "pod" {
            let mut said = said(
                format!(
                    "`{kind}` stands next to the zone, where only `svc` and `pod` can be: names are SERVICE.NAMESPACE.svc.{}",
                    self.zone()
                ),
                &["K-033"],
            );
            // `web.shop.Z`, `svc` forgotten.
            if self.left == 2 {
                let run = self.question.run(0, 2);
                if self
                    .options
                    .store
                    .service(run)
                    .is_some_and(|service| self.options.exposes(service.namespace()))
                {
                    said.near.push(format!("{}svc.{}", show_name(run), self.zone()));
                }
            }
            return said;
        }
        let labels = self.left.saturating_sub(3);
        if labels == 2 && kind == "svc" {
            let protocol = show_label(self.question.label(1));
            return said(
                format!(
                    "two labels in front of a Service are port and protocol, and `{protocol}` is no protocol; a search list makes such names of names outside"
                ),
                &["K-035", "K-016"],
            );
        }
        said(
            format!(
                "{labels} labels stand in front of SERVICE.NAMESPACE.{kind}, where at most two can; a search list makes such names of names outside"
            ),
            &["K-034"],
        )
    }

    /// Whether a namespace is there, in words; nothing where all is well with it.
    pub(super) fn no_namespace(&self, run: &[u8]) -> Option<Said> {
        let name = show_label(first(run));
        match self.options.store.namespace(run) {
            Some(namespace) if self.options.exposes(&namespace) => None,
            Some(_) => {
                let (option, rule) = match &self.options.namespaces {
                    Some(_) => ("namespaces", "K-207"),
                    None => ("namespace_labels", "K-209"),
                };
                Some(said(
                    format!("the namespace `{name}` is there, and `{option}` of the stanza leaves it out"),
                    &[rule, "K-032"],
                ))
            }
            None => {
                let mut names: Vec<String> = Vec::new();
                self.options.store.each_namespace(|namespace| {
                    if self.options.exposes(namespace) {
                        names.push(namespace.name().to_owned());
                    }
                });
                names.sort_unstable();
                let near = like(&name, names.iter().map(String::as_str)).map(str::to_owned);
                let mut said = said(format!("there is no namespace `{name}`"), &["K-032"]);
                said.near.extend(near.map(|near| format!("{near}.svc.{}", self.zone())));
                Some(said)
            }
        }
    }

    /// `NS.svc.Z`, `NS.pod.Z`.
    fn namespace(&self, run: &[u8]) -> Said {
        self.no_namespace(run).unwrap_or_else(|| {
            let mut said = said("a namespace: it has names below it and no data of its own", &["K-032"]);
            said.object = Some(ObjectAccount {
                kind: "Namespace".to_owned(),
                namespace: String::new(),
                name: show_label(first(run)),
                uid: String::new(),
                version: String::new(),
                unchanged_seconds: None,
            });
            said
        })
    }

    /// A Service as an object.
    fn object(&self, service: &Service) -> ObjectAccount {
        ObjectAccount {
            kind: "Service".to_owned(),
            namespace: service.namespace().name().to_owned(),
            name: show_label(first(service.key())),
            uid: service.uid(),
            version: service.version(),
            unchanged_seconds: Some(self.now.saturating_sub(service.changed())),
        }
    }

    /// The names of Services near to one that is not there: the same name elsewhere, and nearly the same name here.
    fn near_services(&self, run: &[u8]) -> Vec<String> {
        let (name, namespace) = (show_label(first(run)), show_label(first(rest(run))));
        let mut here: Vec<String> = Vec::new();
        let mut elsewhere: Vec<String> = Vec::new();
        self.options.store.each_service(|service| {
            if matches!(service.spec(), Spec::Orphan) || !self.options.exposes(service.namespace()) {
                return;
            }
            let other = show_label(first(service.key()));
            if service.namespace().name() == namespace {
                here.push(other);
            } else if other == name {
                elsewhere.push(service.namespace().name().to_owned());
            }
        });
        here.sort_unstable();
        elsewhere.sort_unstable();
        let zone = self.zone();
        let near = like(&name, here.iter().map(String::as_str)).map(str::to_owned);
        let there = elsewhere.iter().map(|ns| format!("{name}.{ns}.svc.{zone}"));
        let rest = here.iter().filter(|other| near.as_ref() != Some(other));
        let here = near.iter().chain(rest).map(|other| format!("{other}.{namespace}.svc.{zone}"));
        match near.is_some() {
            true => here.take(1).chain(there).collect(),
            // Nothing is like it: what there is at all.
            false => there.chain(here).collect(),
        }
    }

    /// `SVC.NS.svc.Z` and names below it.
    fn service(&self, run: &[u8], below: Below<'_>) -> Said {
        let (name, namespace) = (show_label(first(run)), show_label(first(rest(run))));
        if let Some(said) = self.no_namespace(rest(run)) {
            let mut said = said;
            if said.near.is_empty() || matches!(below, Below::Itself) {
                said.near.extend(self.near_services(run));
            }
            return said;
        }
        let Some(service) = self.options.store.service(run) else {
            let mut said = said(format!("the namespace `{namespace}` has no Service `{name}`"), &["K-079"]);
            said.near = self.near_services(run);
            return said;
        };
        let mut said = match service.spec() {
            Spec::Orphan => said(
                format!(
                    "there are EndpointSlices for `{name}` in `{namespace}`, and no Service of that name"
                ),
                &["K-116"],
            ),
            Spec::ExternalInvalid => {
                said("an ExternalName whose target is an IP address or no name", &["K-136"])
            }
            Spec::External(target) if matches!(below, Below::Itself) => {
                let rules = match self.question.qtype {
                    rtype::A | rtype::AAAA => "K-131",
                    rtype::CNAME => "K-130",
                    _ => "K-141",
                };
                said(format!("an alias for {}", show_name(target)), &[rules])
            }
            Spec::External(_) => said("an ExternalName has no names below it", &["K-140"]),
            Spec::Cluster { .. } | Spec::Headless => self.below(&service, below),
        };
        said.object = Some(self.object(&service));
        said
    }

    /// A name of a Service with addresses, or below one.
    fn below(&self, service: &Service, below: Below<'_>) -> Said {
        let headless = matches!(service.spec(), Spec::Headless);
        let endpoints = service.endpoints();
        let name = show_label(first(service.key()));
        if headless && !self.options.endpoints {
            return said(
                "a headless Service, and `noendpoints` of the stanza reads no endpoints",
                &["K-205"],
            );
        }
        if !headless && self.options.ignore_empty && endpoints.is_empty() {
            return said(
                "a Service without ready endpoints, which `ignore empty_service` leaves out",
                &["K-206"],
            );
        }
        if headless && endpoints.is_empty() {
            return said(
                format!(
                    "the headless Service `{name}` has no ready endpoint: no pod matches its selector, or none of them is ready"
                ),
                &["K-104", "K-102"],
            );
        }
        match below {
            Below::Itself => self.itself(service),
            Below::Port(port, protocol) => self.port(service, port, protocol),
            Below::Endpoint(label) => self.endpoint(service, label),
            Below::Cluster(..) => {
                said("an endpoint of another cluster, which only Services of a clusterset have", &["K-212"])
            }
            Below::AboveZones => said("a name above the names of topology zones", &["K-220"]),
            Below::Zone { .. } if !headless => {
                said("only headless Services have names of topology zones", &["K-223"])
            }
            Below::Zone { zone, prefer } => self.in_zone(service, zone, prefer),
        }
    }

    /// A Service at its own name.
    fn itself(&self, service: &Service) -> Said {
        let headless = matches!(service.spec(), Spec::Headless);
        let (v4, v6): (usize, usize) = match service.spec() {
            Spec::Cluster { v4, v6 } => (v4.len(), v6.len()),
            _ => (service.endpoints().v4().len(), service.endpoints().v6().len()),
        };
        let what = match headless {
            true => match service.endpoints().len() {
                1 => "a headless Service with 1 ready endpoint".to_owned(),
                count => format!("a headless Service with {count} ready endpoints"),
            },
            false => format!("a Service with cluster addresses: {}", list(&service.cluster_ips())),
        };
        let family = if headless { "K-101" } else { "K-073" };
        match self.question.qtype {
            rtype::A if v4 == 0 => said(format!("{what}; it has no IPv4 address"), &[family]),
            rtype::AAAA if v6 == 0 => said(format!("{what}; it has no IPv6 address"), &[family]),
            rtype::A => said(what, &[if headless { "K-100" } else { "K-070" }]),
            rtype::AAAA => said(what, &[if headless { "K-101" } else { "K-071" }]),
            rtype::SRV => said(what, &[if headless { "K-109" } else { "K-074" }]),
            _ => said(format!("{what}; there are no records of this type"), &["K-085"]),
        }
    }

    /// A port's name.
    fn port(&self, service: &Service, port: Option<&[u8]>, protocol: Option<Protocol>) -> Said {
        let headless = matches!(service.spec(), Spec::Headless);
        let mut ports: Vec<(String, Protocol)> = match headless {
            true => {
                let parts = service.endpoints().parts().iter().filter(|part| !part.is_empty());
                parts
                    .flat_map(|part| part.ports())
                    .map(|port| (port.name.to_string(), port.protocol))
                    .collect()
            }
            false => service.ports().iter().map(|port| (port.name.to_string(), port.protocol)).collect(),
        };
        ports.retain(|(name, _)| !name.is_empty());
        ports.sort_unstable();
        ports.dedup();
        let wanted = port.map(show_label);
        let found = ports.iter().any(|(name, of)| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
                && protocol.is_none_or(|protocol| protocol == *of)
        });
        let rule = if headless { "K-108" } else { "K-075" };
        if found || wanted.is_none() {
            return said("a port of the Service", &[rule]);
        }
        let base = format!("{}svc.{}", show_name(service.key()), self.zone());
        let near =
            ports.iter().map(|(name, protocol)| format!("_{name}._{}.{base}", text(*protocol))).collect();
        let wanted = wanted.unwrap_or_default();
        let protocol = protocol.map_or("any protocol", text);
        let mut said = match ports.is_empty() {
            true => {
                said("no port of the Service has a name, so there are no names of ports", &["K-083", "K-082"])
            }
            false => said(format!("the Service has no port named `{wanted}` over {protocol}"), &["K-082"]),
        };
        said.near = near;
        said
    }

    /// An endpoint's name.
    fn endpoint(&self, service: &Service, label: &[u8]) -> Said {
        let naming = self.options.naming;
        let endpoints = service.endpoints();
        let name = show_label(label);
        if name.starts_with('_') {
            return said(
                "a name above names of ports: it is there as long as one of the ports has a name and that protocol",
                &["K-036", "K-037"],
            );
        }
        if endpoints.named(label, naming).next().is_some() {
            let rule = if matches!(service.spec(), Spec::Headless) { "K-105" } else { "K-078" };
            return said("a ready endpoint of the Service", &[rule]);
        }
        let mut names: Vec<String> = Vec::new();
        for member in endpoints.parts().iter().flat_map(|part| part.members()).take(1000) {
            let name = show_label(member.name(naming).as_bytes());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.sort_unstable();
        let near = like(&name, names.iter().map(String::as_str)).map(str::to_owned);
        let near: Vec<String> = near.into_iter().chain(names).take(NEAR).collect();
        let mut said = said(
            format!(
                "the Service has no ready endpoint named `{name}`; endpoints are named by their hostname, else by their address with dashes"
            ),
            &["K-117", "K-105"],
        );
        let base = format!("{}svc.{}", show_name(service.key()), self.zone());
        said.near = near.into_iter().map(|name| format!("{name}.{base}")).collect();
        said.near.dedup();
        said
    }

    /// A name below `NS.pod.Z`.
    fn pod(&self, namespace: &[u8], label: &[u8], run: &[u8], hostname: Option<&[u8]>, more: bool) -> Said {
        let name = show_label(label);
        let ip = pod::address(label);
        if self.options.pods == PodMode::Disabled && (ip.is_some() || !self.options.pod_hostnames) {
            let mut said = said(
                "names of pod addresses are off: the stanza has no `pods insecure` or `pods verified`",
                &["K-150"],
            );
            if hostname.is_some() && !self.options.pod_hostnames {
                said.text =
                    "names of pods are off: the stanza has neither `pods` nor `pod_hostnames`".to_owned();
                said.near = self.in_service(run, hostname);
            }
            return said;
        }
        if let Some(said) = self.no_namespace(namespace) {
            return said;
        }
        let by_host = hostname.is_some() && !more && ip.is_none();
        if let (true, Some(hostname)) = (by_host, hostname) {
            let host = show_label(hostname);
            if !self.options.pod_hostnames {
                let mut said = said(
                    format!(
                        "`{name}` spells no address, and names by hostname are off: the stanza has no `pod_hostnames`"
                    ),
                    &["K-157", "K-159"],
                );
                said.near = self.in_service(run, Some(hostname));
                return said;
            }
            let mut said = said(
                format!(
                    "the ready endpoints with the hostname `{host}` of the Service `{name}`, if there are any"
                ),
                &["K-157"],
            );
            if let Some(service) = self.options.store.service(run) {
                said.object = Some(self.object(&service));
            } else {
                said.text =
                    format!("there is no Service `{name}` whose endpoints carry the hostname `{host}`");
                said.near = self.near_services(run);
            }
            return said;
        }
        match (ip, self.options.pods) {
            (None, _) => said(format!("`{name}` spells no address"), &["K-159", "K-153"]),
            (Some(ip), PodMode::Insecure) => said(format!("the address {ip}, unchecked"), &["K-151"]),
            (Some(ip), PodMode::Verified) if self.options.store.pods().contains(ip, namespace) => {
                said(format!("a pod of the namespace has the address {ip}"), &["K-152"])
            }
            (Some(ip), _) => said(
                format!("no pod of the namespace has the address {ip}, or it has ended"),
                &["K-152", "K-158"],
            ),
        }
    }

    /// The name of a pod's hostname below its Service, where it is there.
    fn in_service(&self, run: &[u8], hostname: Option<&[u8]>) -> Vec<String> {
        let found = hostname.and_then(|hostname| {
            let service = self.options.store.service(run)?;
            let named = service.endpoints().named(hostname, self.options.naming).next().is_some();
            named.then(|| format!("{}.{}svc.{}", show_label(hostname), show_name(run), self.zone()))
        });
        found.into_iter().collect()
    }

    /// A reverse name.
    fn reverse(&self) -> Said {
        let store = &self.options.store;
        match reverse_address(self.question) {
            Some(Reverse::Whole(ip)) => {
                if !store.synced() {
                    return said("the first lists of the cluster are not complete", &["K-016"]);
                }
                let mut found = None;
                store.reverse().cluster(ip, |known| {
                    found = store.service(known.key());
                    found.is_some()
                });
                if let Some(service) = found.filter(|service| self.options.exposes(service.namespace())) {
                    let mut said = said(format!("{ip} is a cluster address of a Service"), &["K-170"]);
                    said.object = Some(self.object(&service));
                    return said;
                }
                let service = store.reverse().endpoint(ip).find_map(|known| store.service(known.key()));
                match service.filter(|service| self.options.exposes(service.namespace())) {
                    Some(service) => {
                        let mut said = said(format!("{ip} is a ready endpoint of a Service"), &["K-171"]);
                        said.object = Some(self.object(&service));
                        said
                    }
                    None => said(
                        format!(
                            "no Service has the cluster address {ip}, and none has a ready endpoint there; pods outside of Services have no reverse names"
                        ),
                        &["K-174", "K-184"],
                    ),
                }
            }
            Some(Reverse::Part(..)) => {
                said("a part of an address: it is there as long as a reverse name lies below it", &["K-175"])
            }
            None => said(
                "a reverse zone: it has an SOA, NS records, and reverse names below it",
                &["K-182", "K-174"],
            ),
        }
    }
}

/// The name that is most like one that is not there: the same letters in another order, or few of them others.
fn like<'n>(name: &str, names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let letters = |name: &str| {
        let mut letters: Vec<char> = name.chars().collect();
        letters.sort_unstable();
        letters
    };
    let same = letters(name);
    names.clone().find(|other| letters(other) == same).or_else(|| nearest(name, names))
}

/// A protocol in lower case.
fn text(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}
