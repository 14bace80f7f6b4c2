//! The ConfigMap of kube-dns on disk, and what stands for the placeholders of node-local-dns.

use std::path::Path;

use super::configmap;
use crate::chain::KubeDnsConfig;

/// Where the ConfigMap is mounted in a pod of node-local-dns.
const MOUNTED: &str = "/etc/kube-dns";

/// The longest file that is read. Unit: bytes.
const LONGEST: u64 = 1 << 20;

/// What a ConfigMap says: the files of a folder that it is mounted in, or the manifest in a file. What is not there says nothing.
///
/// Errors: it can't be read, in words.
pub(crate) fn read(path: &Path) -> Result<KubeDnsConfig, String> {
    let key = |name: &str| file(&path.join(name));
    if !path.is_file() {
        return Ok(KubeDnsConfig {
            stub_domains: key("stubDomains")?,
            upstream_nameservers: key("upstreamNameservers")?,
        });
    }
    let text = file(path)?;
    let mut data =
        configmap::data(&text).ok_or("the file is no ConfigMap, and a folder would be one's mount")?;
    Ok(KubeDnsConfig {
        stub_domains: data.remove("stubDomains").unwrap_or_default(),
        upstream_nameservers: data.remove("upstreamNameservers").unwrap_or_default(),
    })
}

/// The text of a file; empty where there is none.
fn file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > LONGEST => Err(format!("{} is longer than {LONGEST} bytes", path.display())),
        Ok(_) => std::fs::read_to_string(path).map_err(unreadable),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(unreadable(error)),
    }
}

/// What the command line says for placeholders, as node-cache takes it.
#[derive(clap::Args, Clone, PartialEq, Eq, Default, Debug)]
pub struct Placeholders {
    /// node-local-dns: the addresses for __PILLAR__LOCAL__DNS__ and __PILLAR__DNS__SERVER__, with commas
    #[arg(long = "localip", value_name = "IPS", value_delimiter = ',')]
    pub local_ip: Vec<String>,

    /// node-local-dns: the Service whose address is __PILLAR__CLUSTER__DNS__ [default: kube-dns-upstream]
    #[arg(long = "upstreamsvc", value_name = "SERVICE")]
    pub upstream_service: Option<String>,
}

impl Placeholders {
    /// The value of a placeholder, `DNS__DOMAIN` for `__PILLAR__DNS__DOMAIN__`; `env` gives variables.
    ///
    /// `PILLAR_DNS_DOMAIN` and its like win over what node-cache has.
    pub(crate) fn value(&self, name: &str, env: impl Fn(&str) -> Option<String>) -> Option<String> {
        if let Some(value) = env(&format!("PILLAR_{}", name.replace("__", "_"))) {
            return Some(value);
        }
        match name {
            "LOCAL__DNS" => self.local_ip.first().cloned(),
            "DNS__SERVER" => self.local_ip.split_first().map(|(_, rest)| rest.join(" ")),
            "CLUSTER__DNS" => {
                let service = self.upstream_service.as_deref().unwrap_or("kube-dns-upstream");
                env(&format!("{}_SERVICE_HOST", service.replace('-', "_").to_ascii_uppercase()))
            }
            "UPSTREAM__SERVERS" => {
                let upstreams =
                    read(Path::new(MOUNTED)).and_then(|config| config.upstreams()).unwrap_or_default();
                Some(if upstreams.is_empty() { "/etc/resolv.conf".to_owned() } else { upstreams.join(" ") })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_folder_and_a_manifest_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("stubDomains"), "{\"a.b\": [\"10.0.0.1\"]}").unwrap();
        let manifest = "kind: ConfigMap\ndata:\n  stubDomains: '{\"a.b\": [\"10.0.0.1\"]}'\n";
        std::fs::write(dir.path().join("all.yaml"), manifest).unwrap();
        let folder = read(dir.path()).unwrap();
        assert_eq!(folder.stubs().unwrap().len(), 1);
        assert_eq!(read(&dir.path().join("all.yaml")).unwrap(), folder);
        assert_eq!(read(&dir.path().join("none")).unwrap(), KubeDnsConfig::default());
        std::fs::write(dir.path().join("text"), "a: b\n").unwrap();
        assert!(read(&dir.path().join("text")).is_err());
    }

    #[test]
    fn placeholders_have_the_values_of_node_cache_unless_the_environment_says() {
        let flags = Placeholders {
            local_ip: vec!["169.254.20.10".to_owned(), "10.96.0.10".to_owned()],
            upstream_service: None,
        };
        let env = |name: &str| match name {
            "KUBE_DNS_UPSTREAM_SERVICE_HOST" => Some("10.96.73.21".to_owned()),
            "PILLAR_DNS_DOMAIN" => Some("cluster.local".to_owned()),
            _ => None,
        };
        let value = |name: &str| flags.value(name, env);
        assert_eq!(value("LOCAL__DNS").as_deref(), Some("169.254.20.10"));
        assert_eq!(value("DNS__SERVER").as_deref(), Some("10.96.0.10"));
        assert_eq!(value("CLUSTER__DNS").as_deref(), Some("10.96.73.21"));
        assert_eq!(value("DNS__DOMAIN").as_deref(), Some("cluster.local"));
        assert_eq!(value("OTHER"), None);
        assert_eq!(Placeholders::default().value("LOCAL__DNS", env), None);
    }
}
