//! What a Corefile says: blocks of keys and directives, every token with its place.

use std::fmt;

use super::location::Location;
use super::warning::Warning;
use super::zone::Zone;

/// A whole configuration: the Corefile with everything it imports.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spec {
    /// The server blocks, in file order.
    pub blocks: Vec<Block>,
    /// What is odd but no error, in file order.
    pub warnings: Vec<Warning>,
    /// Every file that was read, the Corefile first, each once.
    pub files: Vec<String>,
}

/// A server block: the zones it serves and what it does with their queries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The keys, at least one.
    pub keys: Vec<Key>,
    /// The lines of the block, in file order.
    pub directives: Vec<Directive>,
    /// Where the first key stands.
    pub at: Location,
}

impl Block {
    /// The directives of this word, in file order.
    pub fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Directive> + 'a {
        self.directives.iter().filter(move |directive| directive.word.text == word)
    }

    /// Every zone of the block, keys in file order.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.keys.iter().flat_map(|key| key.zones.iter())
    }
}

/// One key of a block: `[SCHEME://]ZONE[:PORT]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// How queries arrive.
    pub transport: Transport,
    /// The zone; a CIDR may stand for several, never for none.
    pub zones: Vec<Zone>,
    /// The port as written; see `Transport::default_port` for what an absent one means. 0 asks for any free port.
    pub port: Option<u16>,
    /// The key as written, variables replaced.
    pub text: String,
    /// Where it stands.
    pub at: Location,
}

impl Key {
    /// The port that is listened on; `dns_port` is that of plain DNS where the key names none (rule S-06).
    #[must_use]
    pub fn listening_port(&self, dns_port: u16) -> u16 {
        match (self.port, self.transport) {
            (Some(port), _) => port,
            (None, Transport::Dns) => dns_port,
            (None, transport) => transport.default_port(),
        }
    }
}

/// How queries arrive at a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Plain DNS over UDP and TCP, `dns://` or no scheme.
    Dns,
    /// DNS over TLS, `tls://` (RFC 7858).
    Tls,
    /// DNS over HTTP/2, `https://` (RFC 8484).
    Https,
    /// DNS over HTTP/3, `https3://`.
    Https3,
    /// DNS over QUIC, `quic://` (RFC 9250).
    Quic,
    /// CoreDNS's DNS over gRPC, `grpc://`.
    Grpc,
}

impl Transport {
    /// Every transport, in the order in which messages name them.
    pub const ALL: [Self; 6] = [Self::Dns, Self::Tls, Self::Https, Self::Https3, Self::Quic, Self::Grpc];

    /// The port of a key that names none.
    ///
    /// Source: coredns `plugin/pkg/transport/transport.go`; `-dns.port` replaces the 53 (see `Source::dns_port`).
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Dns => 53,
            Self::Tls | Self::Quic => 853,
            Self::Https | Self::Https3 | Self::Grpc => 443,
        }
    }

    /// The scheme, without `://`.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Https => "https",
            Self::Https3 => "https3",
            Self::Quic => "quic",
            Self::Grpc => "grpc",
        }
    }

    /// The transport of this scheme; schemes are written in lower case.
    #[must_use]
    pub fn from_scheme(scheme: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.scheme() == scheme)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// One line: a word, its arguments and perhaps lines in braces, which have the same form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directive {
    /// The first token of the line.
    pub word: Token,
    /// The other tokens of the line, up to a brace.
    pub args: Vec<Token>,
    /// The lines in braces; `None` where there are no braces.
    pub block: Option<Vec<Directive>>,
}

/// One word of the text, quotes removed and variables replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it says.
    pub text: String,
    /// Whether it stood in quotes.
    pub quoted: bool,
    /// Where it stands.
    pub at: Location,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
