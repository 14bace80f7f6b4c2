//! The cluster that is asked about: as manifests, as a zone file, and as files of questions.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// How many namespaces.
const NAMESPACES: usize = 100;

/// How many Services.
pub(crate) const SERVICES: usize = 10_000;

/// One Service in so many is headless.
pub(crate) const HEADLESS_EVERY: usize = 10;

/// How many endpoints a Service has.
pub(crate) const ENDPOINTS: usize = 5;

/// Lines of a question file; dnsperf starts over at its end.
const QUESTIONS: usize = 50_000;

/// Folder of the manifests.
pub(crate) const MANIFESTS: &str = "manifests";

/// File of the zone.
pub(crate) const ZONE: &str = "cluster.local.zone";

/// File of the zone that upstreams have.
pub(crate) const OUTSIDE: &str = "example.org.zone";

/// Names outside that are asked again and again.
const NAMES: usize = 10_000;

/// Names that are asked once: more than the fastest server asks for in a run.
const NEW_NAMES: usize = 1_000_000;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// A of Services with a cluster address.
    ClusterIp,
    /// A of headless Services.
    Headless,
    /// SRV of a port of headless Services, with EDNS so that all records fit.
    Srv,
    /// A of Services that there are not.
    Missing,
    /// A of names outside, out of a cache that holds all of them.
    Cached,
    /// A of names outside, each asked once: an upstream is asked for every one.
    New,
    /// What pods with `ndots:5` send: names of the cluster as they are written, names outside along the search list, for
    /// both families, and now and then SRV.
    Pod,
    /// A of Services with a cluster address while `log` writes a line for each query.
    Logged,
    /// A of Services with a cluster address, many queries on each of 32 TCP connections.
    Tcp,
    /// The same over TLS.
    Tls,
}

impl Work {
    /// All kinds.
    pub(crate) const ALL: [Self; 10] = [
        Self::ClusterIp,
        Self::Headless,
        Self::Srv,
        Self::Missing,
        Self::Cached,
        Self::New,
        Self::Pod,
        Self::Logged,
        Self::Tcp,
        Self::Tls,
    ];

    /// Whether upstreams are asked.
    pub(crate) fn forwarded(self) -> bool {
        matches!(self, Self::Cached | Self::New | Self::Pod)
    }

    /// How dnsperf sends it.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "dot",
            _ => "udp",
        }
    }

    /// What the processor time of an answer may be at most, as a multiple of the echo's; of CoreDNS's where there is no echo.
    pub(crate) fn bar(self) -> Option<f64> {
        match self {
            Self::ClusterIp => Some(1.15),
            Self::Headless => Some(1.20),
            Self::Srv => Some(1.45),
            Self::Missing => Some(1.10),
            Self::Cached => Some(1.25),
            Self::New => Some(3.2),
            Self::Pod => Some(1.35),
            // Half as much again as without `log`.
            Self::Logged => None,
            Self::Tcp | Self::Tls => Some(0.5),
        }
    }

    /// How many names there are to ask for.
    fn names(self) -> usize {
        match self {
            Self::Cached => NAMES,
            Self::New => NEW_NAMES,
            _ => SERVICES,
        }
    }

    /// As flags and tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClusterIp => "clusterip",
            Self::Headless => "headless",
            Self::Srv => "srv",
            Self::Missing => "nxdomain",
            Self::Cached => "cached",
            Self::New => "new",
            Self::Pod => "pod",
            Self::Logged => "log",
            Self::Tcp => "tcp",
            Self::Tls => "dot",
        }
    }

    /// Name of its file of questions.
    pub(crate) fn file(self) -> String {
        format!("{}.queries", self.name())
    }

    /// Type of its questions, by number.
    pub(crate) fn qtype(self) -> u16 {
        match self {
            Self::Srv => 33,
            _ => 1,
        }
    }

    /// Whether its questions come with EDNS.
    pub(crate) fn edns(self) -> bool {
        matches!(self, Self::Srv | Self::Pod)
    }

    /// Response code and number of answer records that are right; of a mixture, those of its first question.
    pub(crate) fn right(self) -> (u8, usize) {
        match self {
            Self::ClusterIp | Self::Cached | Self::New | Self::Pod | Self::Logged | Self::Tcp | Self::Tls => {
                (0, 1)
            }
            Self::Headless | Self::Srv => (0, ENDPOINTS),
            Self::Missing => (3, 0),
        }
    }

    /// Whether its replies have different codes.
    pub(crate) fn mixed(self) -> bool {
        self == Self::Pod
    }

    /// The name of question `number`; all names of a kind are of one length.
    pub(crate) fn question(self, number: usize) -> String {
        let headless = |number: usize| number - number % HEADLESS_EVERY;
        match self {
            Self::Headless => owner(headless(number)),
            Self::Srv => format!("_http._tcp.{}", owner(headless(number))),
            Self::Missing => owner(number).replace("svc-", "non-"),
            Self::Cached => format!("host-{number:07}.example.org"),
            // Answered by a wildcard.
            Self::New => format!("new-{number:07}.w.example.org"),
            Self::ClusterIp | Self::Pod | Self::Logged | Self::Tcp | Self::Tls
                if number.is_multiple_of(HEADLESS_EVERY) =>
            {
                owner(number + 1)
            }
            Self::ClusterIp | Self::Pod | Self::Logged | Self::Tcp | Self::Tls => owner(number),
        }
    }

    /// The questions that one look-up of a program makes, each with its type.
    ///
    /// Shape: one question, but for pods, whose resolvers walk the search list for both families at once.
    pub(crate) fn look_up(self, number: usize, rng: &mut fastrand::Rng) -> Vec<(String, &'static str)> {
        let plain = if self.qtype() == 33 { "SRV" } else { "A" };
        if self != Self::Pod {
            return vec![(self.question(number), plain)];
        }
        let both = |name: String| [(name.clone(), "A"), (name, "AAAA")];
        match rng.u32(..10) {
            // `svc.ns.svc` and such end in the search list's last zone but one, half of them at the first try.
            0..=2 => both(self.question(number)).to_vec(),
            3 | 4 => {
                let name = self.question(number);
                let short = name.trim_end_matches(".svc.cluster.local");
                let own = format!("{short}.{}.svc.cluster.local", namespace(number));
                [both(own), both(name.clone())].concat()
            }
            5 => vec![(Self::Srv.question(number), "SRV")],
            // A name outside: three of the search list, then itself.
            _ => {
                let outside = Self::Cached.question(number % NAMES);
                let lists = [
                    format!("{}.svc.cluster.local", namespace(number)),
                    "svc.cluster.local".to_owned(),
                    "cluster.local".to_owned(),
                ];
                let walked = lists.iter().flat_map(|list| both(format!("{outside}.{list}")));
                walked.chain(both(outside.clone())).collect()
            }
        }
    }
}

/// Name of a Service.
fn service(number: usize) -> String {
    format!("svc-{number:05}")
}

/// Name of its namespace.
fn namespace(number: usize) -> String {
    format!("ns-{:03}", number * NAMESPACES / SERVICES)
}

/// The whole name of a Service.
fn owner(number: usize) -> String {
    format!("{}.{}.svc.cluster.local", service(number), namespace(number))
}

/// Address of a Service, in 10.96.0.0/12.
fn cluster_ip(number: usize) -> String {
    format!("10.96.{}.{}", number / 250, number % 250 + 1)
}

/// Address of an endpoint, in 10.128.0.0/9.
fn endpoint_ip(number: usize, endpoint: usize) -> String {
    let count = number * ENDPOINTS + endpoint;
    format!("10.{}.{}.{}", 128 + count / 50_000, count / 250 % 200, count % 250 + 1)
}

/// All objects, for an API server.
pub(crate) fn objects() -> impl Iterator<Item = serde_json::Value> {
    let texts = (0..NAMESPACES)
        .map(namespace_object)
        .chain((0..SERVICES).flat_map(|number| [service_object(number), slice_object(number)]));
    texts.filter_map(|text| serde_json::from_str(&text).ok())
}

/// Writes manifests, zone and questions into `dir`.
pub(crate) fn write(dir: &Path) -> anyhow::Result<()> {
    let manifests = dir.join(MANIFESTS);
    std::fs::create_dir_all(&manifests).context("making the folder of the manifests")?;
    for (name, text) in [
        ("namespaces.json", list((0..NAMESPACES).map(namespace_object))),
        ("services.json", list((0..SERVICES).map(service_object))),
        ("slices.json", list((0..SERVICES).map(slice_object))),
    ] {
        std::fs::write(manifests.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    std::fs::write(dir.join(ZONE), zone()).context("writing the zone")?;
    std::fs::write(dir.join(OUTSIDE), outside()).context("writing the upstream's zone")?;
    for work in Work::ALL {
        // The same questions at every run.
        let mut rng = fastrand::Rng::with_seed(7);
        let mut text = String::new();
        let looked_up = if work == Work::New { NEW_NAMES } else { QUESTIONS };
        for number in 0..looked_up {
            let number = if work == Work::New { number } else { rng.usize(..work.names()) };
            for (name, kind) in work.look_up(number, &mut rng) {
                writeln!(text, "{name} {kind}")?;
            }
        }
        std::fs::write(dir.join(work.file()), text).context("writing questions")?;
    }
    Ok(())
}

/// A list of objects.
fn list(objects: impl Iterator<Item = String>) -> String {
    let objects: Vec<String> = objects.collect();
    format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n{}\n]}}\n", objects.join(",\n"))
}

/// A Namespace.
fn namespace_object(number: usize) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"ns-{number:03}"}}}}"#)
}

/// A Service.
fn service_object(number: usize) -> String {
    let ip = match number.is_multiple_of(HEADLESS_EVERY) {
        true => "None".to_owned(),
        false => cluster_ip(number),
    };
    format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{}","namespace":"{}"}},"spec":{{"clusterIP":"{ip}","clusterIPs":["{ip}"],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}}}}"#,
        service(number),
        namespace(number),
    )
}

/// The EndpointSlice of a Service.
fn slice_object(number: usize) -> String {
    let endpoints: Vec<String> = (0..ENDPOINTS)
        .map(|endpoint| {
            format!(
                r#"{{"addresses":["{}"],"conditions":{{"ready":true}},"hostname":"pod-{endpoint}"}}"#,
                endpoint_ip(number, endpoint)
            )
        })
        .collect();
    format!(
        r#"{{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"name":"{0}-abcde","namespace":"{1}","labels":{{"kubernetes.io/service-name":"{0}"}}}},"addressType":"IPv4","endpoints":[{2}],"ports":[{{"name":"http","protocol":"TCP","port":8080}}]}}"#,
        service(number),
        namespace(number),
        endpoints.join(","),
    )
}

/// The zone of the upstream.
fn outside() -> String {
    let mut text = String::from(
        "$ORIGIN example.org.\n$TTL 3600\n\
         @ IN SOA ns.example.org. hostmaster.example.org. 1 7200 1800 86400 5\n\
         @ IN NS ns.example.org.\nns IN A 127.0.0.1\n*.w IN A 192.0.2.1\n",
    );
    for number in 0..NAMES {
        text.push_str(&format!("host-{number:07} IN A 10.1.{}.{}\n", number / 250, number % 250 + 1));
    }
    text
}

/// The same names as a zone file.
fn zone() -> String {
    let mut text = String::from(
        "$ORIGIN cluster.local.\n$TTL 5\n\
         @ IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5\n\
         @ IN NS ns.dns.cluster.local.\nns.dns IN A 127.0.0.1\n",
    );
    for number in 0..SERVICES {
        let owner = owner(number);
        if !number.is_multiple_of(HEADLESS_EVERY) {
            text.push_str(&format!(
                "{owner}. IN A {}\n_http._tcp.{owner}. IN SRV 0 100 8080 {owner}.\n",
                cluster_ip(number)
            ));
            continue;
        }
        for endpoint in 0..ENDPOINTS {
            let ip = endpoint_ip(number, endpoint);
            text.push_str(&format!(
                "{owner}. IN A {ip}\npod-{endpoint}.{owner}. IN A {ip}\n\
                 _http._tcp.{owner}. IN SRV 0 20 8080 pod-{endpoint}.{owner}.\n"
            ));
        }
    }
    text
}
