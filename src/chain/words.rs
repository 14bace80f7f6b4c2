//! Every word that a Corefile may hold, in the fixed order of the chain (rule S-01): served, or refused with what to do instead.

use super::build::Draft;
use super::{
    acl, any, auto, autopath, bind, bufsize, cache, cancel, chaos, debug, dns64, dnstap, erratic, errors,
    file, forward, header, health, hosts, https, https3, k8s_external, kubedns_config, kubernetes,
    loadbalance, local, log, loop_, metadata, minimal, multisocket, nsid, observe, prometheus, proxyproto,
    quic, ready, reload, rewrite, root, secondary, shed, template, timeouts, tls, transfer, view, whoami,
};
use crate::corefile::{Directive, Error};

/// Reads one directive into a block's draft.
pub(super) type Parse = fn(&Directive, &mut Draft<'_>) -> Result<(), Error>;

/// What we do with a word.
pub enum Support {
    /// It is served.
    Served {
        /// How it is written, one form a line.
        syntax: &'static str,
        /// What it does, in a sentence.
        help: &'static str,
        /// Reads it.
        #[allow(private_interfaces, reason = "only this room reads directives")]
        parse: Parse,
    },
    /// It is refused by name.
    Refused {
        /// What to do instead.
        instead: &'static str,
    },
}

/// A word of the Corefile.
pub struct Word {
    /// The word.
    pub word: &'static str,
    /// What we do with it.
    pub support: Support,
}

/// A word that is served.
const fn served(word: &'static str, syntax: &'static str, help: &'static str, parse: Parse) -> Word {
    Word { word, support: Support::Served { syntax, help, parse } }
}

/// A word that is refused.
const fn refused(word: &'static str, instead: &'static str) -> Word {
    Word { word, support: Support::Refused { instead } }
}

/// Said of back ends that we do not have.
const BACK_END: &str =
    "this back end is not part of signpost: keep a server that has it for these zones and use a stub domain";

/// All words, in the order of the chain.
pub const WORDS: &[Word] = &[
    served(root::WORD, root::SYNTAX, root::HELP, root::parse),
    served(metadata::WORD, metadata::SYNTAX, metadata::HELP, metadata::parse),
    refused("geoip", "client locations are not looked up: remove the line"),
    served(cancel::WORD, cancel::SYNTAX, cancel::HELP, cancel::parse),
    served(proxyproto::WORD, proxyproto::SYNTAX, proxyproto::HELP, proxyproto::parse),
    served(quic::WORD, quic::SYNTAX, quic::HELP, quic::parse),
    refused("grpc_server", "DNS over gRPC is not served: clients can use UDP or TCP"),
    served(https::WORD, https::SYNTAX, https::HELP, https::parse),
    served(https3::WORD, https3::SYNTAX, https3::HELP, https3::parse),
    served(timeouts::WORD, timeouts::SYNTAX, timeouts::HELP, timeouts::parse),
    served(multisocket::WORD, multisocket::SYNTAX, multisocket::HELP, multisocket::parse),
    served(reload::WORD, reload::SYNTAX, reload::HELP, reload::parse),
    served(nsid::WORD, nsid::SYNTAX, nsid::HELP, nsid::parse),
    served(bufsize::WORD, bufsize::SYNTAX, bufsize::HELP, bufsize::parse),
    served(bind::WORD, bind::SYNTAX, bind::HELP, bind::parse),
    served(debug::WORD, debug::SYNTAX, debug::HELP, debug::parse),
    refused("trace", "traces are not sent: remove the line"),
    served(ready::WORD, ready::SYNTAX, ready::HELP, ready::parse),
    served(health::WORD, health::SYNTAX, health::HELP, health::parse),
    refused("pprof", "there is no Go runtime to profile: remove the line"),
    served(shed::WORD, shed::SYNTAX, shed::HELP, shed::parse),
    served(prometheus::WORD, prometheus::SYNTAX, prometheus::HELP, prometheus::parse),
    served(observe::WORD, observe::SYNTAX, observe::HELP, observe::parse),
    served(errors::WORD, errors::SYNTAX, errors::HELP, errors::parse),
    served(log::WORD, log::SYNTAX, log::HELP, log::parse),
    served(dnstap::WORD, dnstap::SYNTAX, dnstap::HELP, dnstap::parse),
    served(local::WORD, local::SYNTAX, local::HELP, local::parse),
    served(dns64::WORD, dns64::SYNTAX, dns64::HELP, dns64::parse),
    served(any::WORD, any::SYNTAX, any::HELP, any::parse),
    served(chaos::WORD, chaos::SYNTAX, chaos::HELP, chaos::parse),
    served(loadbalance::WORD, loadbalance::SYNTAX, loadbalance::HELP, loadbalance::parse),
    refused("tsig", "signed transfers are not served: remove the line"),
    served(rewrite::WORD, rewrite::SYNTAX, rewrite::HELP, rewrite::parse),
    served(autopath::WORD, autopath::SYNTAX, autopath::HELP, autopath::parse),
    served(acl::WORD, acl::SYNTAX, acl::HELP, acl::parse),
    served(cache::WORD, cache::SYNTAX, cache::HELP, cache::parse),
    served(header::WORD, header::SYNTAX, header::HELP, header::parse),
    refused("dnssec", "zones are not signed: remove the line"),
    served(tls::WORD, tls::SYNTAX, tls::HELP, tls::parse),
    served(minimal::WORD, minimal::SYNTAX, minimal::HELP, minimal::parse),
    served(template::WORD, template::SYNTAX, template::HELP, template::parse),
    served(transfer::WORD, transfer::SYNTAX, transfer::HELP, transfer::parse),
    served(hosts::WORD, hosts::SYNTAX, hosts::HELP, hosts::parse),
    refused("route53", BACK_END),
    refused("azure", BACK_END),
    refused("clouddns", BACK_END),
    served(k8s_external::WORD, k8s_external::SYNTAX, k8s_external::HELP, k8s_external::parse),
    served("kubernetes", kubernetes::SYNTAX, kubernetes::HELP, kubernetes::parse),
    served(file::WORD, file::SYNTAX, file::HELP, file::parse),
    served(auto::WORD, auto::SYNTAX, auto::HELP, auto::parse),
    served(secondary::WORD, secondary::SYNTAX, secondary::HELP, secondary::parse),
    refused("etcd", BACK_END),
    served(loop_::WORD, loop_::SYNTAX, loop_::HELP, loop_::parse),
    served(kubedns_config::WORD, kubedns_config::SYNTAX, kubedns_config::HELP, kubedns_config::parse),
    served(forward::WORD, forward::SYNTAX, forward::HELP, forward::parse),
    refused("grpc", "gRPC upstreams are not asked: remove the line"),
    served(erratic::WORD, erratic::SYNTAX, erratic::HELP, erratic::parse),
    served(whoami::WORD, whoami::SYNTAX, whoami::HELP, whoami::parse),
    refused("on", "no commands are run: remove the line"),
    refused("sign", "zones are not signed: remove the line"),
    served(view::WORD, view::SYNTAX, view::HELP, view::parse),
    refused("nomad", BACK_END),
];

/// The place that stands for no word: nobody answered.
pub(super) const NOBODY: usize = WORDS.len();

/// How many places there are for who answered: each word's, and nobody's.
pub const ANSWERERS: usize = WORDS.len() + 1;

/// The place of a step's word, for metrics.
pub(super) fn place(word: &str) -> usize {
    find(word).map_or(NOBODY, |(place, _)| place)
}

/// The word at a place; empty for nobody.
#[must_use]
pub fn word_at(place: usize) -> &'static str {
    WORDS.get(place).map_or("", |word| word.word)
}

/// The place of a word in the chain.
pub(super) fn find(word: &str) -> Option<(usize, &'static Word)> {
    WORDS.iter().enumerate().find(|(_, known)| known.word == word)
}

/// The table of words as text, for `-plugins`: a word a line, with its forms or with what to do instead.
#[must_use]
pub fn help() -> String {
    let mut text = String::new();
    for word in WORDS {
        match &word.support {
            Support::Served { syntax, help, .. } => {
                text.push_str(&format!("{:<12} {help}\n", word.word));
                for line in syntax.lines() {
                    text.push_str(&format!("{:<12}   {line}\n", ""));
                }
            }
            Support::Refused { instead } => {
                text.push_str(&format!("{:<12} refused: {instead}\n", word.word));
            }
        }
    }
    text
}
