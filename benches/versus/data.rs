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

/// How many endpoints a headless Service has.
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
}

impl Work {
    /// All kinds.
    pub(crate) const ALL: [Self; 6] =
        [Self::ClusterIp, Self::Headless, Self::Srv, Self::Missing, Self::Cached, Self::New];

    /// Whether upstreams are asked.
    pub(crate) fn forwarded(self) -> bool {
        matches!(self, Self::Cached | Self::New)
    }

    /// How many names there are to ask for.
    fn names(self) -> usize {
        match self {
            Self::ClusterIp | Self::Headless | Self::Srv | Self::Missing => SERVICES,
            Self::Cached => NAMES,
            Self::New => NEW_NAMES,
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
        }
    }

    /// Name of its file of questions.
    pub(crate) fn file(self) -> String {
        format!("{}.queries", self.name())
    }

    /// Type of its questions, by number.
    pub(crate) fn qtype(self) -> u16 {
        match self {
            Self::ClusterIp | Self::Headless | Self::Missing | Self::Cached | Self::New => 1,
            Self::Srv => 33,
        }
    }

    /// Whether its questions come with EDNS.
    pub(crate) fn edns(self) -> bool {
        self == Self::Srv
    }

    /// Response code and number of answer records that are right.
    pub(crate) fn right(self) -> (u8, usize) {
        match self {
            Self::ClusterIp | Self::Cached | Self::New => (0, 1),
            Self::Headless | Self::Srv => (0, ENDPOINTS),
            Self::Missing => (3, 0),
        }
    }

    /// The name of question `number`; all names of a kind are of one length.
    pub(crate) fn question(self, number: usize) -> String {
        let headless = |number: usize| number - number % HEADLESS_EVERY;
        match self {
            Self::ClusterIp if number.is_multiple_of(HEADLESS_EVERY) => owner(number + 1),
            Self::ClusterIp => owner(number),
            Self::Headless => owner(headless(number)),
            Self::Srv => format!("_http._tcp.{}", owner(headless(number))),
            Self::Missing => owner(number).replace("svc-", "non-"),
            Self::Cached => format!("host-{number:07}.example.org"),
            // Answered by a wildcard.
            Self::New => format!("new-{number:07}.w.example.org"),
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
    let count = number / HEADLESS_EVERY * ENDPOINTS + endpoint;
    format!("10.128.{}.{}", count / 250, count % 250 + 1)
}

/// Writes manifests, zone and questions into `dir`.
pub(crate) fn write(dir: &Path) -> anyhow::Result<()> {
    let manifests = dir.join(MANIFESTS);
    std::fs::create_dir_all(&manifests).context("making the folder of the manifests")?;
    for (name, text) in [
        ("namespaces.json", list((0..NAMESPACES).map(namespace_object))),
        ("services.json", list((0..SERVICES).map(service_object))),
        ("slices.json", list((0..SERVICES).step_by(HEADLESS_EVERY).map(slice_object))),
    ] {
        std::fs::write(manifests.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    std::fs::write(dir.join(ZONE), zone()).context("writing the zone")?;
    std::fs::write(dir.join(OUTSIDE), outside()).context("writing the upstream's zone")?;
    for work in Work::ALL {
        // The same questions at every run.
        let mut rng = fastrand::Rng::with_seed(7);
        let kind = if work.qtype() == 33 { "SRV" } else { "A" };
        let mut text = String::new();
        match work {
            Work::New => {
                for number in 0..NEW_NAMES {
                    writeln!(text, "{} {kind}", work.question(number))?;
                }
            }
            _ => {
                for _ in 0..QUESTIONS {
                    writeln!(text, "{} {kind}", work.question(rng.usize(..work.names())))?;
                }
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

/// The EndpointSlice of a headless Service.
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
