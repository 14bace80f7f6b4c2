//! The query that goes to an upstream: built anew, nothing of the client's message but its question, RD, CD and DO,
//! and options that a rule of the Corefile put there.

use crate::wire::{MAX_UDP_REPLY, Question};

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// The id.
    pub(super) id: u16,
    /// The question; its letters go out as they stand unless `letters` are given.
    pub(super) question: &'a Question,
    /// The name in other letters.
    pub(super) letters: Option<&'a [u8]>,
    /// RD.
    pub(super) recursion: bool,
    /// CD.
    pub(super) checking_disabled: bool,
    /// DO; also sets AD, which asks for the upstream's verdict (RFC 6840 §5.7).
    pub(super) dnssec_ok: bool,
    /// Whether an OPT goes with it.
    pub(super) edns: bool,
    /// The options in that OPT, wire form.
    pub(super) options: &'a [u8],
    /// Whether its length is hidden: for encrypted transports (RFC 7830).
    pub(super) padded: bool,
}

/// The most bytes of options that go with a query.
const MOST: usize = 16_384;

/// Lengths of padded queries are multiples of this (RFC 8467 §4.1). Unit: bytes.
const BLOCK: usize = 128;

/// Writes the query into `out`, which is emptied first.
///
/// Source: RFC 1035 §4.1, RFC 6891 §6.1, rule F-02.
pub(super) fn write(ask: &Ask<'_>, out: &mut Vec<u8>) {
    out.clear();
    let mut flags = 0_u16;
    for (on, bit) in [(ask.recursion, 0x0100), (ask.dnssec_ok, 0x0020), (ask.checking_disabled, 0x0010)] {
        if on {
            flags |= bit;
        }
    }
    for word in [ask.id, flags, 1, 0, 0, u16::from(ask.edns)] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(ask.letters.unwrap_or_else(|| ask.question.typed()));
    out.extend_from_slice(&ask.question.qtype.to_be_bytes());
    out.extend_from_slice(&ask.question.qclass.to_be_bytes());
    if ask.edns {
        let [high, low] = u16::try_from(MAX_UDP_REPLY).unwrap_or(u16::MAX).to_be_bytes();
        let dnssec_ok = if ask.dnssec_ok { 0x80 } else { 0 };
        out.extend_from_slice(&[0, 0, 41, high, low, 0, 0, dnssec_ok, 0, 0, 0]);
        let rdata = out.len();
        // More than a message holds is nothing.
        if ask.options.len() <= MOST {
            out.extend_from_slice(ask.options);
        }
        if ask.padded {
            // The option's own head: code 12 and a length.
            let whole = (out.len() + 4).next_multiple_of(BLOCK);
            let padding = whole - out.len() - 4;
            let [high, low] = u16::try_from(padding).unwrap_or_default().to_be_bytes();
            out.extend_from_slice(&[0, 12, high, low]);
            out.resize(whole, 0);
        }
        let length = u16::try_from(out.len() - rdata).unwrap_or_default();
        if let Some(rdlength) = out.get_mut(rdata - 2..rdata) {
            rdlength.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Turns the letters of a name up or down by the bits of `coins`, letter by letter (draft-vixie-dnsext-dns0x20).
pub(super) fn mix_case(name: &mut [u8], mut coins: impl FnMut() -> bool) {
    for byte in name {
        // Length bytes are at most 63 and never letters.
        if byte.is_ascii_alphabetic() && coins() {
            *byte ^= 0x20;
        }
    }
}
