//! The text that Prometheus scrapes: CoreDNS's names, labels and types where the meaning is the same.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::chain::{Completions, Counted, DROPPED, Plan, TemplateCounts, Translations, word_at};
use crate::corefile::Transport as Scheme;
use crate::forward::Loops;
use crate::metrics::{
    Bounds, ClusterNumbers, Counters, DURATION, FIELDS, Families, HistogramSum, LATENCY, PROGRAMMING, SIZE,
    ServiceKind, TallySum, Traffic, sum,
};

/// A text in the making (Prometheus text format 0.0.4).
#[derive(Default)]
pub struct Exposition {
    /// The text so far.
    text: String,
}

impl Exposition {
    /// Starts a family.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Adds one value.
    pub fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(name);
        self.labels(labels, None);
        let _ = writeln!(self.text, " {value}");
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], bounds: Bounds, sum: &HistogramSum) {
        let mut total = 0;
        for (place, count) in sum.buckets.iter().take(bounds.len() + 1).enumerate() {
            total += count;
            let bound = bounds.get(place).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            let _ = write!(self.text, "{name}_bucket");
            self.labels(labels, Some(&bound));
            let _ = writeln!(self.text, " {total}");
        }
        #[allow(clippy::cast_precision_loss, reason = "a sum of observations need not be exact")]
        let observed = sum.sum as f64 / 1e6;
        self.value(&format!("{name}_sum"), labels, observed);
        self.value(&format!("{name}_count"), labels, total);
    }

    /// Writes labels, escaped.
    fn labels(&mut self, labels: &[(&str, &str)], bound: Option<&str>) {
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut open = false;
        for (name, value) in all {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{name}=\"{value}\"", if open { "," } else { "{" });
            open = true;
        }
        if open {
            self.text.push('}');
        }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

/// Adds what workers and plan count of queries (PLUGINS: server, build, panics).
pub fn server(text: &mut Exposition, plan: &Plan, counters: &[Arc<Counters>]) {
    text.family("coredns_build_info", "gauge", "What this server was built from.");
    let version = env!("CARGO_PKG_VERSION");
    text.value("coredns_build_info", &[("version", version), ("revision", ""), ("goversion", "")], 1);

    text.family("coredns_panics_total", "counter", "Queries in which a step panicked.");
    let all = || counters.iter().map(AsRef::as_ref);
    text.value("coredns_panics_total", &[], sum(all(), |c| &c.panics));
    let name = "signpost_task_panics_total";
    text.family(name, "counter", "Panics of what runs beside queries, by task; it begins again.");
    for (task, count) in crate::panics::counted() {
        text.value(name, &[("task", task)], count);
    }
    for (name, help, field) in FIELDS {
        let name = format!("signpost_{name}_total");
        text.family(&name, "counter", help);
        text.value(&name, &[], sum(all(), *field));
    }

    text.family("coredns_plugin_enabled", "gauge", "Words that a block holds.");
    each_zone(plan, |server, served| {
        if let Some(chain) = plan.chains.get(served.chain) {
            let mut words: Vec<&str> = chain.words.clone();
            words.dedup();
            for word in words {
                let labels = [
                    ("server", server),
                    ("zone", served.zone.text()),
                    ("view", chain.view_name()),
                    ("name", word),
                ];
                text.value("coredns_plugin_enabled", &labels, 1);
            }
        }
    });

    queries(text, plan);
}

/// Adds what the kernel dropped in front of our sockets.
pub fn kernel_drops(text: &mut Exposition, drops: u64) {
    let name = "signpost_kernel_drops_total";
    let help = "Datagrams that the kernel dropped: sockets were full, or a client that floods was sifted.";
    text.family(name, "counter", help);
    text.value(name, &[], drops);
}

/// Adds what `prometheus` counts of queries.
fn queries(text: &mut Exposition, plan: &Plan) {
    let name = "coredns_dns_requests_total";
    text.family(name, "counter", "Queries by protocol, family and type.");
    each_tally(plan, |labels, tally| {
        tally.requests(|proto, family, kind, count| {
            let family = if family == 1 { "1" } else { "2" };
            let mut all = labels.to_vec();
            all.extend([("proto", proto), ("family", family), ("type", kind)]);
            text.value(name, &all, count);
        });
    });
    let name = "coredns_dns_request_duration_seconds";
    text.family(name, "histogram", "Time from the arrival of a query to its reply.");
    each_tally(plan, |labels, tally| text.histogram(name, labels, DURATION, &tally.duration()));
    for (name, help, reply) in [
        ("coredns_dns_request_size_bytes", "Size of queries.", false),
        ("coredns_dns_response_size_bytes", "Size of replies.", true),
    ] {
        text.family(name, "histogram", help);
        each_tally(plan, |labels, tally| {
            for (place, proto) in ["udp", "tcp"].into_iter().enumerate() {
                let sizes = if reply { tally.response_size(place) } else { tally.request_size(place) };
                let mut all = labels.to_vec();
                all.push(("proto", proto));
                text.histogram(name, &all, SIZE, &sizes);
            }
        });
    }
    let name = "coredns_dns_do_requests_total";
    text.family(name, "counter", "Queries with the DO bit.");
    each_tally(plan, |labels, tally| text.value(name, labels, tally.dnssec_ok()));
    let name = "coredns_dns_responses_total";
    text.family(name, "counter", "Replies by code and by the word that answered.");
    each_tally(plan, |labels, tally| {
        tally.responses(|rcode, word, count| {
            let mut all = labels.to_vec();
            all.extend([("rcode", rcode), ("plugin", word_at(word))]);
            text.value(name, &all, count);
        });
    });
}

/// Adds what is counted about API servers and the changes that they tell (rules K-260, K-275).
pub fn cluster(text: &mut Exposition, numbers: &ClusterNumbers) {
    let name = "coredns_kubernetes_dns_programming_duration_seconds";
    text.family(name, "histogram", "Time from the change of an endpoint until it is served.");
    for kind in ServiceKind::ALL {
        let empty = HistogramSum::default();
        let histogram = numbers.programming.get(&kind).unwrap_or(&empty);
        text.histogram(name, &[("service_kind", kind.label())], PROGRAMMING, histogram);
    }

    let name = "coredns_kubernetes_rest_client_requests_total";
    text.family(name, "counter", "Requests to API servers by status; `<error>` for one that got no answer.");
    for ((host, status), count) in &numbers.requests {
        let code = status.map_or_else(|| "<error>".to_owned(), |status| status.to_string());
        text.value(name, &[("code", &code), ("method", "GET"), ("host", host)], count);
    }
    for (name, help, hosts) in [
        (
            "coredns_kubernetes_rest_client_request_duration_seconds",
            "Time from a request to an API server until its answer begins.",
            &numbers.latency,
        ),
        (
            "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
            "Time that a request to an API server waits for our own limits.",
            &numbers.limited,
        ),
    ] {
        text.family(name, "histogram", help);
        for (host, histogram) in hosts {
            text.histogram(name, &[("verb", "GET"), ("host", host)], LATENCY, histogram);
        }
    }

    hosts(text, numbers);

    let name = "signpost_watch_lists_total";
    text.family(
        name,
        "counter",
        "Lists of an API server that were complete: one at start, one for each relist.",
    );
    for (resource, count) in &numbers.lists {
        text.value(name, &[("resource", resource)], count);
    }
    let name = "signpost_watch_failures_total";
    text.family(name, "counter", "Lists and watches of an API server that failed, by reason.");
    for ((resource, reason), count) in &numbers.failures {
        text.value(name, &[("resource", resource), ("reason", reason)], count);
    }
    let name = "signpost_watch_passed_over_total";
    text.family(
        name,
        "counter",
        "Objects, parts of them and events of an API server that are no good and are passed over.",
    );
    for (resource, count) in &numbers.passed_over {
        text.value(name, &[("resource", resource)], count);
    }
}

/// Adds how many host names have two owners, where host names are known (rule K-296).
fn hosts(text: &mut Exposition, numbers: &ClusterNumbers) {
    if let Some(conflicts) = numbers.conflicts {
        let name = "signpost_kubernetes_host_conflicts";
        let help = "Host names that two Ingresses, Gateways or routes claim for different addresses; the oldest is served.";
        text.family(name, "gauge", help);
        text.value(name, &[], conflicts);
    }
}

/// Adds what `autopath` counts, if anything (rule K-255).
pub fn completions(text: &mut Exposition, completions: &Completions) {
    let found = completions.all();
    if !found.is_empty() {
        let name = "coredns_autopath_success_total";
        text.family(name, "counter", "Names that autopath found for a client.");
        for (server, count) in found {
            text.value(name, &[("server", &server)], count);
        }
    }
}

/// Adds what `dns64` and `loop` know, if anything (rules S-14, S-20).
pub fn words(text: &mut Exposition, translations: &Translations, loops: &Loops) {
    let translated = translations.all();
    if !translated.is_empty() {
        let name = "coredns_dns64_requests_translated_total";
        text.family(name, "counter", "Replies with AAAA records that dns64 made.");
        for (server, count) in translated {
            text.value(name, &[("server", &server)], count);
        }
    }
    let upstreams = loops.all();
    if !upstreams.is_empty() {
        let name = "signpost_loop_detected";
        text.family(
            name,
            "gauge",
            "1 for an upstream that is put aside since what it is asked comes back here.",
        );
        for (to, looping) in upstreams {
            text.value(name, &[("to", &to)], u8::from(looping));
        }
    }
}

/// The view of a zone that is served; empty without one.
fn view<'a>(plan: &'a Plan, served: &crate::chain::Served) -> &'a str {
    plan.chains.get(served.chain).map_or("", |chain| chain.view_name())
}

/// Adds what single words count.
pub fn families(text: &mut Exposition, families: &Families) {
    families.each(|family, values| {
        text.family(family.name, "counter", family.help);
        for (labels, count) in values {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            text.value(family.name, &labels, count);
        }
    });
}

/// Adds what templates count, if anything (rule S-11).
pub fn templates(text: &mut Exposition, counts: &TemplateCounts) {
    for what in Counted::ALL {
        let (name, help) = what.metric();
        let mut begun = false;
        counts.each(what, |labels, count| {
            if !std::mem::replace(&mut begun, true) {
                text.family(name, "counter", help);
            }
            text.value(name, labels, count);
        });
    }
}

/// Adds what is counted of servers over HTTP and QUIC.
pub fn transports(text: &mut Exposition, plan: &Plan) {
    let mut seen: Vec<(Scheme, &str, &Traffic)> = Vec::new();
    for listener in &plan.listeners {
        if let Some(traffic) = &listener.entry.traffic
            && !seen.iter().any(|(_, label, _)| *label == listener.label)
        {
            seen.push((listener.scheme, &listener.label, traffic));
        }
    }
    for (scheme, name, help) in [
        (Scheme::Https, "coredns_dns_https_responses_total", "Answers over HTTPS by status."),
        (Scheme::Https3, "coredns_dns_https3_responses_total", "Answers over HTTP/3 by status."),
        (
            Scheme::Quic,
            "coredns_dns_quic_responses_total",
            "Streams of QUIC by the code that they ended with.",
        ),
    ] {
        let servers = || seen.iter().filter(|(known, ..)| *known == scheme);
        if servers().next().is_none() {
            continue;
        }
        text.family(name, "counter", help);
        for (_, server, traffic) in servers() {
            for (code, count) in traffic.answers() {
                let status = if scheme == Scheme::Quic { format!("{code:#x}") } else { code.to_string() };
                text.value(name, &[("server", server), ("status", &status)], count);
            }
        }
    }
    if seen.is_empty() {
        return;
    }
    let name = "signpost_encrypted_connections";
    text.family(name, "gauge", "Connections over HTTP and QUIC that are open.");
    for (_, server, traffic) in &seen {
        text.value(name, &[("server", server)], traffic.connections());
    }
    let name = "signpost_encrypted_connections_refused_total";
    text.family(name, "counter", "Connections over HTTP and QUIC for which there was no place.");
    for (_, server, traffic) in &seen {
        text.value(name, &[("server", server)], traffic.refusals());
    }
}

/// Calls `visit` with the label `server` of every zone that is served.
fn each_zone(plan: &Plan, mut visit: impl FnMut(&str, &crate::chain::Served)) {
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    for listener in &plan.listeners {
        for served in &listener.zones {
            let place = (listener.label.as_str(), served.zone.text(), view(plan, served));
            // The two families of a wildcard are one server.
            if !seen.contains(&place) {
                seen.push(place);
                visit(&listener.label, served);
            }
        }
    }
}

/// Calls `visit` with the labels and the tally of every zone that is counted, then of what reached no block.
fn each_tally(plan: &Plan, mut visit: impl FnMut(&[(&str, &str)], &TallySum<'_>)) {
    each_zone(plan, |server, served| {
        if let Some(tallies) = &served.tallies {
            let labels = [("server", server), ("zone", served.zone.text()), ("view", view(plan, served))];
            visit(&labels, &TallySum(tallies));
        }
    });
    let mut seen: Vec<&str> = Vec::new();
    for listener in &plan.listeners {
        let Some(tallies) = &listener.dropped else { continue };
        if !seen.contains(&listener.label.as_str()) {
            seen.push(&listener.label);
            visit(&[("server", &listener.label), ("zone", DROPPED), ("view", "")], &TallySum(tallies));
        }
    }
}

/// Adds what the kernel counts of this process.
pub fn process(text: &mut Exposition) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let stat = read("stat");
    // The name stands in parentheses and may hold anything; the fields behind it are numbered from 3.
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    #[allow(clippy::cast_precision_loss, reason = "seconds need not be exact to the last bit")]
    let seconds = |count: u64| count as f64 / ticks as f64;
    text.family("process_cpu_seconds_total", "counter", "CPU time of this process.");
    text.value("process_cpu_seconds_total", &[], seconds(field(14) + field(15)));
    text.family("process_resident_memory_bytes", "gauge", "Memory of this process.");
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    text.value("process_resident_memory_bytes", &[], field(24) * page);
    text.family("process_virtual_memory_bytes", "gauge", "Address space of this process.");
    text.value("process_virtual_memory_bytes", &[], field(23));
    text.family("process_open_fds", "gauge", "Open descriptors.");
    text.value("process_open_fds", &[], std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count));
    let limits = read("limits");
    let most = limits.lines().find(|line| line.starts_with("Max open files"));
    let most = most.and_then(|line| line.split_whitespace().nth(3)).and_then(|word| word.parse::<u64>().ok());
    text.family("process_max_fds", "gauge", "The most descriptors.");
    text.value("process_max_fds", &[], most.unwrap_or(0));
    let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
    text.family("process_start_time_seconds", "gauge", "When this process started, in seconds since 1970.");
    text.value("process_start_time_seconds", &[], boot.unwrap_or(0.0) + seconds(field(22)));
}
