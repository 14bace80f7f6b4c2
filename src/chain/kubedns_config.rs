//! `kubedns_config`: the stub domains and upstreams of kube-dns's ConfigMap, as lines of `forward` (rules F-09, F-10).
//!
//! The word reads what the ConfigMap says and stands for the lines that say the same in a Corefile, in front of the block's own.

use std::collections::BTreeMap;

use super::build::Draft;
use super::forward;
use crate::corefile::{Directive, Error, Token};

/// The Corefile's word.
pub(super) const WORD: &str = "kubedns_config";

/// How it is written.
pub(super) const SYNTAX: &str = "\
kubedns_config [PATH] {
    OPTION-OF-FORWARD…
}";

/// What it does.
pub(super) const HELP: &str = "asks the servers of kube-dns's ConfigMap: `stubDomains` and `upstreamNameservers`, a folder \
                               it is mounted in or a file; followed as `reload` follows the Corefile";

/// Where the ConfigMap is mounted unless the line says.
const PATH: &str = "/etc/kube-dns";

/// What a ConfigMap of kube-dns holds, as its two keys have it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KubeDnsConfig {
    /// `stubDomains`: a JSON object of lists of servers.
    pub stub_domains: String,
    /// `upstreamNameservers`: a JSON list of servers.
    pub upstream_nameservers: String,
}

impl KubeDnsConfig {
    /// The servers of all other names.
    ///
    /// Errors: what stands there is no JSON list of texts; in words.
    pub fn upstreams(&self) -> Result<Vec<String>, String> {
        if self.upstream_nameservers.trim().is_empty() {
            return Ok(Vec::new());
        }
        serde_json::from_str(&self.upstream_nameservers)
            .map_err(|error| format!("`upstreamNameservers` is no JSON list of servers: {error}"))
    }

    /// The servers of stub domains.
    ///
    /// Errors: what stands there is no JSON object of lists of texts; in words.
    pub fn stubs(&self) -> Result<BTreeMap<String, Vec<String>>, String> {
        if self.stub_domains.trim().is_empty() {
            return Ok(BTreeMap::new());
        }
        serde_json::from_str(&self.stub_domains)
            .map_err(|error| format!("`stubDomains` is no JSON object of lists of servers: {error}"))
    }
}

/// Reads the line and adds the steps that it stands for.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Err(directive.error("stands twice in this block"));
    }
    let path = directive.expect_args(0..=1)?.first().map_or(PATH, |arg| arg.text.as_str());
    let fail = |text: String| directive.error(format!("{path}: {text}"));
    let config = draft.parts.kubedns(path.as_ref()).map_err(fail)?;
    draft.inputs.push(format!("{path}\n{}\n{}", config.stub_domains, config.upstream_nameservers));
    let stubs = config.stubs().map_err(fail)?;
    let upstreams = config.upstreams().map_err(fail)?;
    for (domain, servers) in stubs.iter().filter(|(_, servers)| !servers.is_empty()) {
        forward::parse(&line(directive, domain, servers), draft).map_err(|error| error.within(directive))?;
    }
    if !upstreams.is_empty() {
        forward::parse(&line(directive, ".", &upstreams), draft).map_err(|error| error.within(directive))?;
    } else if stubs.is_empty() {
        // The options are read even where there is nobody to ask: a mistake shows at once.
        let nobody = ["192.0.2.1".to_owned()];
        let before = draft.steps.len();
        forward::parse(&line(directive, ".", &nobody), draft).map_err(|error| error.within(directive))?;
        draft.steps.truncate(before);
    }
    Ok(())
}

/// The line of `forward` that asks these servers for the names of a domain.
fn line(directive: &Directive, domain: &str, servers: &[String]) -> Directive {
    let token = |text: &str| Token { text: text.to_owned(), quoted: false, at: directive.word.at.clone() };
    let args = std::iter::once(token(domain)).chain(servers.iter().map(|server| token(server))).collect();
    Directive { word: token(forward::WORD), args, block: directive.block.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kube_dns_writes_is_read() {
        let config = KubeDnsConfig {
            stub_domains: "{\"acme.local\": [\"1.2.3.4\", \"1.2.3.5:5353\"]}\n".to_owned(),
            upstream_nameservers: "[\"8.8.8.8\"]".to_owned(),
        };
        assert_eq!(config.upstreams(), Ok(vec!["8.8.8.8".to_owned()]));
        let stubs = config.stubs().expect("it is sound");
        assert_eq!(stubs.get("acme.local").map(Vec::len), Some(2));
        assert_eq!(KubeDnsConfig::default().stubs(), Ok(BTreeMap::new()));
    }

    #[test]
    fn what_is_no_json_is_said() {
        let config = KubeDnsConfig {
            stub_domains: "acme.local: 1.2.3.4".to_owned(),
            upstream_nameservers: "8.8.8.8".to_owned(),
        };
        assert!(config.stubs().is_err_and(|text| text.starts_with("`stubDomains` is no JSON object")));
        assert!(
            config.upstreams().is_err_and(|text| text.starts_with("`upstreamNameservers` is no JSON list"))
        );
    }
}
