//! `proxyproto`: the address of a client as the proxy before us tells it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::build::Draft;
use crate::corefile::{Directive, Error, Token};

/// The Corefile's word.
pub(super) const WORD: &str = "proxyproto";

/// How it is written.
pub(super) const SYNTAX: &str = "\
proxyproto [{
    allow CIDR…
    default use|ignore|reject|skip
    udp_session_tracking DURATION [MAX_SESSIONS]
}]";

/// What it does.
pub(super) const HELP: &str = "reads the client's address from PROXY headers (versions 1 and 2)";

/// How many senders of datagrams are remembered unless the Corefile says.
const SESSIONS: usize = 10_240;

/// What is done with the header of a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Treatment {
    /// The client is who it says, if there is one.
    Use,
    /// It is taken off and not believed.
    Ignore,
    /// Who sends one is cut off.
    Reject,
    /// None is looked for.
    Skip,
}

/// What `default` may say.
const TREATMENTS: [(&str, Treatment); 4] = [
    ("use", Treatment::Use),
    ("ignore", Treatment::Ignore),
    ("reject", Treatment::Reject),
    ("skip", Treatment::Skip),
];

/// A range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    /// An address of it.
    base: IpAddr,
    /// How many bits count.
    bits: u32,
}

impl Range {
    /// Reads `ADDRESS/BITS`.
    fn parse(token: &Token) -> Result<Self, Error> {
        let wrong = || {
            token.error(format!("`{}` is no range of addresses", token.text)).hint(
                "write an address and how many bits of it count: `10.0.0.0/8`, `fd00::/8`, `192.0.2.1/32`",
            )
        };
        let (base, bits) = token.text.split_once('/').ok_or_else(wrong)?;
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Ok(Self { base, bits })
    }

    /// Whether an address lies in it.
    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differs = base.to_bits() ^ address.to_bits();
                differs.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Who may tell the address of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyPolicy {
    /// Who is believed; empty for `others`.
    allow: Vec<Range>,
    /// What is done with the headers of all others.
    others: Treatment,
    /// How long a header that came in a datagram counts for those behind it, and of how many senders; `None` for that
    /// datagram alone.
    pub sessions: Option<(Duration, usize)>,
}

impl ProxyPolicy {
    /// What is done with the header of a sender.
    #[must_use]
    pub fn treatment(&self, sender: IpAddr) -> Treatment {
        if self.allow.iter().any(|range| range.contains(sender)) { Treatment::Use } else { self.others }
    }
}

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    if draft.block.all(WORD).next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Err(directive.error("`proxyproto` is in this block already"));
    }
    let (mut allow, mut others, mut sessions) = (Vec::new(), None, None);
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "allow" => {
                for token in line.expect_args(1..=usize::MAX)? {
                    allow.push(Range::parse(token)?);
                }
            }
            "default" => {
                let token = line.only_arg()?;
                let text = token.text.to_ascii_lowercase();
                let known = TREATMENTS.iter().find(|(word, _)| *word == text);
                let words = TREATMENTS.map(|(word, _)| word);
                others =
                    Some(known.ok_or_else(|| token.unknown("what can be done with a header", &words))?.1);
            }
            "udp_session_tracking" => {
                let args = line.expect_args(1..=2)?;
                let time = args.first().map_or(Ok(Duration::ZERO), Token::duration)?;
                let most = args.get(1).map_or(Ok(SESSIONS), |token| token.number(1..=1_000_000))?;
                sessions = (!time.is_zero()).then_some((time, most));
            }
            _ => {
                let known = ["allow", "default", "udp_session_tracking"];
                return Err(line.word.unknown("an option of `proxyproto`", &known));
            }
        }
    }
    let anybody = allow.is_empty() && matches!(others, None | Some(Treatment::Use));
    if anybody {
        draft.warnings.push(format!(
            "{}: `proxyproto` without `allow` believes anybody: clients can pretend to be others",
            directive.word.at
        ));
    }
    let others = others.unwrap_or(if allow.is_empty() { Treatment::Use } else { Treatment::Ignore });
    draft.entry.proxy = Some(Arc::new(ProxyPolicy { allow, others, sessions }));
    Ok(())
}
