//! Bytes to meaning and back: the one parser and the one assembler that every transport shares.
//!
//! ```text
//! bytes ──► Query::parse ──► Question, Edns ──► (chain) ──► Sections ──► assemble ──► bytes
//!               │ Fault: FORMERR, NOTIMP, BADVERS or silence                ▲
//!               └───────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: nothing here reads a clock, a socket or a random source; parsing and assembling allocate nothing
//! once the caller's buffers have grown; no byte of the network is reached by an index that was not checked;
//! hickory types stay in `codec`.

use std::borrow::Cow;

mod assemble;
mod codec;
mod freshness;
mod message;
mod mnemonic;
mod name;
pub(crate) mod presentation;
mod query;
mod sections;
mod text;

pub use assemble::{Flags, Head, Shape, assemble, bare};
pub use codec::{CodecError, Decoded, Line, decode, encode, parse_type, record_texts, sections_to_records};
pub use freshness::freshness;
pub use message::{Malformed, NameBuf, Raw, Reader, expand, rdata};
pub use mnemonic::{class_mnemonic, class_number, rcode_number, type_mnemonic, type_number};
pub use name::{
    MAX_LABELS, MAX_NAME, NameFault, Question, Reverse, label_eq, parse_name, reverse_address, show_label,
    show_name,
};
pub use presentation::{TextFault, TextRecord, record_from_text};
pub use query::{Edns, Fault, Header, Opcode, Query, client_options};
pub use sections::{Kept, Owner, Rdata, Record, Section, Sections};
pub(crate) use sections::{name_length, target_offset};
pub use text::NameText;

/// The largest UDP reply that we send, and the size that our OPT advertises (rules K-011, K-012).
///
/// Unit: bytes. Source: RFC 9715, the DNS flag day of 2020.
pub const MAX_UDP_REPLY: usize = 1232;

/// The largest UDP reply to a client without EDNS. Unit: bytes. Source: RFC 1035 §4.2.1.
pub const PLAIN_UDP_REPLY: usize = 512;

/// The largest message on a stream. Unit: bytes. Source: RFC 1035 §4.2.2.
pub const MAX_MESSAGE: usize = 65_535;

/// Response codes, as they go on the wire (RFC 1035 §4.1.1, RFC 6895 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The query could not be read.
    pub const FORMERR: Self = Self(1);
    /// We failed.
    pub const SERVFAIL: Self = Self(2);
    /// Nothing at or below the name.
    pub const NXDOMAIN: Self = Self(3);
    /// Not implemented.
    pub const NOTIMP: Self = Self(4);
    /// Policy says no.
    pub const REFUSED: Self = Self(5);
    /// A name that should not exist does: what a DNAME makes of it is too long (RFC 6672 §2.2).
    pub const YXDOMAIN: Self = Self(6);
    /// EDNS version not supported (RFC 6891 §6.1.3).
    pub const BADVERS: Self = Self(16);

    /// The mnemonic, as logs and metrics print it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            16 => "BADVERS",
            _ => "OTHER",
        }
    }
}

/// Record types that the code names (RFC 1035 §3.2.2 and successors); any other number passes as it is.
pub mod rtype {
    /// Address, IPv4.
    pub const A: u16 = 1;
    /// Name server.
    pub const NS: u16 = 2;
    /// Canonical name.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// Pointer.
    pub const PTR: u16 = 12;
    /// Kind of machine; of use for replies to ANY (RFC 8482) and for probes.
    pub const HINFO: u16 = 13;
    /// Mail exchange.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// Address, IPv6.
    pub const AAAA: u16 = 28;
    /// Service location.
    pub const SRV: u16 = 33;
    /// Rules that make a name of a name.
    pub const NAPTR: u16 = 35;
    /// An alias for all names below.
    pub const DNAME: u16 = 39;
    /// EDNS pseudo record.
    pub const OPT: u16 = 41;
    /// Delegation signer.
    pub const DS: u16 = 43;
    /// Signature.
    pub const RRSIG: u16 = 46;
    /// Next name, a proof of denial.
    pub const NSEC: u16 = 47;
    /// Service binding.
    pub const SVCB: u16 = 64;
    /// Service binding for HTTPS.
    pub const HTTPS: u16 = 65;
    /// Incremental transfer.
    pub const IXFR: u16 = 251;
    /// Full transfer.
    pub const AXFR: u16 = 252;
    /// Any type.
    pub const ANY: u16 = 255;
}

/// The Internet class.
pub const CLASS_IN: u16 = 1;
/// The class of `version.bind` and its kin.
pub const CLASS_CH: u16 = 3;

/// An extended error that goes to clients which sent EDNS.
///
/// Source: RFC 8914.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ede {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT, UTF-8, empty for none.
    pub text: Cow<'static, str>,
}

impl Ede {
    /// Not Ready (RFC 8914 §4.15): the first list of the cluster is not complete.
    pub const NOT_READY: Self =
        Self { code: 14, text: Cow::Borrowed("the cluster's objects are not loaded yet") };
    /// No Reachable Authority (RFC 8914 §4.23).
    pub const NO_AUTHORITY: Self =
        Self { code: 22, text: Cow::Borrowed("the target of the alias could not be resolved") };
    /// Network Error (RFC 8914 §4.24), said when a bound of ours is reached.
    pub const TOO_BUSY: Self = Self { code: 23, text: Cow::Borrowed("too many queries are waiting") };
    /// Stale Answer (RFC 8914 §4.4): kept beyond its time, since nobody can be asked.
    pub const STALE: Self = Self { code: 3, text: Cow::Borrowed("") };

    /// Stale Answer (RFC 8914 §4.4): made of what no API server has confirmed lately.
    pub const UNCONFIRMED: Self =
        Self { code: 3, text: Cow::Borrowed("the cluster's API server has not confirmed this lately") };

    /// An extended error with a text of this moment.
    ///
    /// Cost: allocates where `text` is owned; for failures, not for answers.
    #[must_use]
    pub fn new(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }
}
