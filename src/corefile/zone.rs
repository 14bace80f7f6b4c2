//! Zones: names, and networks that stand for the reverse zones of their addresses.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::key;

/// The longest name. Unit: bytes in wire form (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// The longest label. Unit: bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// The zone of a block or directive: an absolute name in lower case, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone {
    /// Wire form, lower case, with the final zero.
    wire: Arc<[u8]>,
    /// Presentation form, with the final dot.
    text: Arc<str>,
    /// How many labels, the root not counted.
    labels: usize,
    /// Whether it lies in the reverse trees.
    reverse: bool,
}

impl Zone {
    /// The zone of a name in presentation form; a missing final dot is added.
    ///
    /// `\.` and the like stand for the character, `\DDD` for the byte; other bytes stand for themselves, also
    /// beyond ASCII.
    ///
    /// Errors: `Empty`, `EmptyLabel`, `LabelTooLong`, `NameTooLong`, `Escape`, `Character`.
    /// Source: RFC 1035 §2.3.4 and §5.1, RFC 4343.
    pub fn parse(text: &str) -> Result<Self, ZoneFault> {
        if text.is_empty() {
            return Err(ZoneFault::Empty);
        }
        let mut wire = Vec::with_capacity(text.len().saturating_add(2).min(MAX_NAME));
        let mut label: Vec<u8> = Vec::new();
        let mut bytes = if text == "." { "".bytes() } else { text.bytes() };
        while let Some(byte) = bytes.next() {
            match byte {
                b'.' => end_label(&mut label, &mut wire)?,
                b'\\' => label.push(escaped(&mut bytes)?),
                0..=b' ' | 0x7f | b'{' | b'}' => {
                    return Err(ZoneFault::Character { character: char::from(byte) });
                }
                _ => label.push(byte),
            }
        }
        if !label.is_empty() {
            end_label(&mut label, &mut wire)?;
        }
        if wire.len() >= MAX_NAME {
            return Err(ZoneFault::NameTooLong);
        }
        wire.push(0);
        wire.make_ascii_lowercase();
        let labels: Vec<&[u8]> = labels(&wire).collect();
        let reverse = matches!(labels.as_slice(), [.., b"in-addr" | b"ip6", b"arpa"]);
        Ok(Self { labels: labels.len(), reverse, text: present(&wire).into(), wire: wire.into() })
    }

    /// Presentation form: lower case, absolute, odd bytes escaped; `.` for the root.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Wire form: lower case, uncompressed, with the final zero. Unit: 1..=255 bytes.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// How many labels it has, the root not counted.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// Whether it lies in `in-addr.arpa.` or `ip6.arpa.`, or is one of them.
    #[must_use]
    pub fn is_reverse(&self) -> bool {
        self.reverse
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.text)
    }
}

/// The zones of a name or of a network in CIDR notation.
///
/// A mask between two octets (IPv4) or nibbles (IPv6) gives the zones of the next longer one: `10.244.0.0/20` is
/// `0.244.10.in-addr.arpa.` to `15.244.10.in-addr.arpa.`, in this order. Never empty; at most 128 zones.
/// A scheme or port before or behind the zone is checked and has no meaning.
///
/// Errors: see [`ZoneFault`].
/// Source: coredns `plugin/normalize.go` and `plugin/pkg/cidr/cidr.go`, rule K-180.
pub fn zones(text: &str) -> Result<Vec<Zone>, ZoneFault> {
    host(key::split(text)?.host)
}

/// The zones of a name or CIDR without scheme and port.
pub(super) fn host(text: &str) -> Result<Vec<Zone>, ZoneFault> {
    let Some((address, mask)) = text.split_once('/') else { return Zone::parse(text).map(|zone| vec![zone]) };
    // RFC 2317 names such as `0/25.2.0.192.in-addr.arpa` have a slash too: a mask is digits and nothing else.
    let numeric = !mask.is_empty() && mask.bytes().all(|byte| byte.is_ascii_digit());
    let dotted = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match (address.parse::<IpAddr>(), mask.parse::<u8>()) {
        (Ok(address), Ok(mask)) if numeric => networks(address, mask),
        (Ok(_), _) => Err(ZoneFault::Mask { mask: mask.to_owned() }),
        (Err(_), _) if address.contains(':') || (dotted && numeric) => {
            Err(ZoneFault::Address { address: address.to_owned() })
        }
        (Err(_), _) => Zone::parse(text).map(|zone| vec![zone]),
    }
}

/// The reverse zones of a network; host bits are ignored.
fn networks(address: IpAddr, mask: u8) -> Result<Vec<Zone>, ZoneFault> {
    let (bits, step, suffix, address) = match address {
        IpAddr::V4(v4) => (32_u8, 8_u8, "in-addr.arpa.", u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, 4, "ip6.arpa.", v6.to_bits()),
    };
    if mask > bits {
        return Err(ZoneFault::Mask { mask: mask.to_string() });
    }
    let long = mask.div_ceil(step).saturating_mul(step);
    let digits = long / step;
    let host_bits = u32::from(bits - long);
    let free = u32::from(long - mask);
    // The network's part up to the longer mask; a shift by the whole width leaves nothing.
    let part = address.checked_shr(host_bits).unwrap_or(0);
    let first = part.checked_shr(free).unwrap_or(0).checked_shl(free).unwrap_or(0);
    let digit_mask = (1_u128 << step) - 1;
    (0..1_u128 << free)
        .map(|offset| {
            let mut value = first | offset;
            let mut name = String::new();
            for _ in 0..digits {
                let digit = value & digit_mask;
                let written = if step == 8 { format!("{digit}.") } else { format!("{digit:x}.") };
                name.push_str(&written);
                value >>= step;
            }
            name.push_str(suffix);
            Zone::parse(&name)
        })
        .collect()
}

/// Appends a finished label to the wire form.
fn end_label(label: &mut Vec<u8>, wire: &mut Vec<u8>) -> Result<(), ZoneFault> {
    let long =
        || ZoneFault::LabelTooLong { label: String::from_utf8_lossy(label).chars().take(20).collect() };
    match u8::try_from(label.len()) {
        Ok(0) => return Err(ZoneFault::EmptyLabel),
        Ok(length) if label.len() <= MAX_LABEL => wire.push(length),
        _ => return Err(long()),
    }
    wire.append(label);
    Ok(())
}

/// The byte behind a backslash: three digits, or the character itself.
fn escaped(bytes: &mut std::str::Bytes<'_>) -> Result<u8, ZoneFault> {
    let first = bytes.next().ok_or(ZoneFault::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(ZoneFault::Escape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| ZoneFault::Escape)
}

/// The labels of a name in wire form.
fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first().filter(|(length, _)| **length > 0)?;
        let (label, tail) = tail.split_at_checked(usize::from(length))?;
        rest = tail;
        Some(label)
    })
}

/// Presentation form of a name in wire form.
fn present(wire: &[u8]) -> String {
    let mut text = String::with_capacity(wire.len());
    for label in labels(wire) {
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                0x21..=0x7e => text.push(char::from(byte)),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Why a text is no zone.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ZoneFault {
    /// No text at all.
    #[error("there is no name")]
    Empty,
    /// Two dots, or a dot at the start.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label beyond 63 bytes.
    #[error("the label that begins with `{label}` is longer than 63 bytes")]
    LabelTooLong {
        /// Its beginning.
        label: String,
    },
    /// A name beyond 255 bytes.
    #[error("the name is longer than 255 bytes")]
    NameTooLong,
    /// A backslash that stands for nothing.
    #[error("a `\\` must be followed by a character or by three digits up to 255")]
    Escape,
    /// A character no name has unless escaped.
    #[error("a name cannot hold {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// A mask that is none.
    #[error("`/{mask}` is not a mask of this address")]
    Mask {
        /// What stands there.
        mask: String,
    },
    /// An address before a mask that is none.
    #[error("`{address}` is not an IP address")]
    Address {
        /// What stands there.
        address: String,
    },
    /// An IPv6 address without a mask.
    #[error("an IPv6 network needs a mask")]
    NoMask,
    /// A port that is none.
    #[error("`{port}` is not a port")]
    Port {
        /// What stands there.
        port: String,
    },
    /// A colon at the end.
    #[error("there is no port behind the `:`")]
    NoPort,
    /// A scheme that is none.
    #[error("`{scheme}://` is not a transport")]
    Scheme {
        /// What stands there.
        scheme: String,
    },
}

impl ZoneFault {
    /// What to do about it, where the message leaves a question.
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Empty => "the root zone is written `.`, so all names on port 1053 are `.:1053`",
            Self::EmptyLabel => "dots stand between labels and at the end only, and `.` alone is the root",
            Self::Mask { .. } => "a mask is 0 to 32 for IPv4 and 0 to 128 for IPv6",
            Self::Address { address } if address.contains(':') => {
                "an IPv6 network is written like `2001:db8::/32`"
            }
            Self::Address { .. } => "write all four numbers of an IPv4 network: `10.0.0.0/24`",
            Self::NoMask => "write `2001:db8::/32`, or `2001:db8::/32:53` with a port",
            Self::Port { .. } | Self::NoPort => "a port is a number from 0 to 65535",
            Self::Scheme { .. } => SCHEMES,
            Self::Character { .. } => "put a space before `{`, and separate zones by spaces or commas",
            Self::LabelTooLong { .. } | Self::NameTooLong | Self::Escape => return None,
        })
    }
}

/// The schemes there are, as a hint.
const SCHEMES: &str = "use one of `dns://`, `tls://`, `https://`, `https3://`, `quic://`";
