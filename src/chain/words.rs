//! Every word that a Corefile may hold, in the fixed order of the chain (rule S-01): served, or refused with what to do instead.

use super::build::Draft;
use super::{
    any, bind, bufsize, cache, debug, dns64, errors, forward, health, hosts, https, https3, kubernetes,
    loadbalance, log, loop_, metadata, minimal, prometheus, proxyproto, quic, ready, reload, tls, whoami,
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

/// Said of words that come later and change only what is seen or when.
const LATER: &str = "not served by this version yet: remove the line";

/// Said of back ends that we do not have.
const BACK_END: &str =
    "this back end is not part of signpost: keep a server that has it for these zones and use a stub domain";

/// All words, in the order of the chain.
pub const WORDS: &[Word] = &[
    refused("root", LATER),
    served(metadata::WORD, metadata::SYNTAX, metadata::HELP, metadata::parse),
    refused("geoip", "client locations are not looked up: remove the line"),
    refused("cancel", LATER),
    served(proxyproto::WORD, proxyproto::SYNTAX, proxyproto::HELP, proxyproto::parse),
    served(quic::WORD, quic::SYNTAX, quic::HELP, quic::parse),
    refused("grpc_server", "DNS over gRPC is not served: clients can use UDP or TCP"),
    served(https::WORD, https::SYNTAX, https::HELP, https::parse),
    served(https3::WORD, https3::SYNTAX, https3::HELP, https3::parse),
    refused("timeouts", LATER),
    refused("multisocket", "there is one socket a worker already: remove the line"),
    served(reload::WORD, reload::SYNTAX, reload::HELP, reload::parse),
    refused("nsid", LATER),
    served(bufsize::WORD, bufsize::SYNTAX, bufsize::HELP, bufsize::parse),
    served(bind::WORD, bind::SYNTAX, bind::HELP, bind::parse),
    served(debug::WORD, debug::SYNTAX, debug::HELP, debug::parse),
    refused("trace", "traces are not sent: remove the line"),
    served(ready::WORD, ready::SYNTAX, ready::HELP, ready::parse),
    served(health::WORD, health::SYNTAX, health::HELP, health::parse),
    refused("pprof", "there is no Go runtime to profile: remove the line"),
    refused("shed", LATER),
    served(prometheus::WORD, prometheus::SYNTAX, prometheus::HELP, prometheus::parse),
    served(errors::WORD, errors::SYNTAX, errors::HELP, errors::parse),
    served(log::WORD, log::SYNTAX, log::HELP, log::parse),
    refused("dnstap", LATER),
    refused("local", LATER),
    served(dns64::WORD, dns64::SYNTAX, dns64::HELP, dns64::parse),
    served(any::WORD, any::SYNTAX, any::HELP, any::parse),
    refused("chaos", LATER),
    served(loadbalance::WORD, loadbalance::SYNTAX, loadbalance::HELP, loadbalance::parse),
    refused("tsig", "signed transfers are not served: remove the line"),
    refused("rewrite", LATER),
    refused("autopath", LATER),
    refused(
        "acl",
        "not served by this version yet, and not ignored: use a network policy, and remove the line",
    ),
    served(cache::WORD, cache::SYNTAX, cache::HELP, cache::parse),
    refused("header", LATER),
    refused("dnssec", "zones are not signed: remove the line"),
    served(tls::WORD, tls::SYNTAX, tls::HELP, tls::parse),
    served(minimal::WORD, minimal::SYNTAX, minimal::HELP, minimal::parse),
    refused("template", LATER),
    refused("transfer", "zone transfers are not served by this version yet: remove the line"),
    served(hosts::WORD, hosts::SYNTAX, hosts::HELP, hosts::parse),
    refused("route53", BACK_END),
    refused("azure", BACK_END),
    refused("clouddns", BACK_END),
    refused("k8s_external", LATER),
    served("kubernetes", kubernetes::SYNTAX, kubernetes::HELP, kubernetes::parse),
    refused("file", LATER),
    refused("auto", LATER),
    refused("secondary", LATER),
    refused("etcd", BACK_END),
    served(loop_::WORD, loop_::SYNTAX, loop_::HELP, loop_::parse),
    served(forward::WORD, forward::SYNTAX, forward::HELP, forward::parse),
    refused("grpc", "gRPC upstreams are not asked: remove the line"),
    refused("erratic", LATER),
    served(whoami::WORD, whoami::SYNTAX, whoami::HELP, whoami::parse),
    refused("on", "no commands are run: remove the line"),
    refused("sign", "zones are not signed: remove the line"),
    refused("view", LATER),
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
