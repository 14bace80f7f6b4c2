//! `edns0`: options of the query that goes to upstreams.

use super::super::asked::Asked;
use super::super::step::Context;
use super::parse::Words;
use crate::corefile::{Error, Token};
use crate::wire::{NameText, client_options};

/// NSID (RFC 5001).
const NSID: u16 = 3;

/// Client subnet (RFC 7871).
const SUBNET: u16 = 8;

/// The variables, for hints.
const VARIABLES: &[&str] =
    &["{qname}", "{qtype}", "{client_ip}", "{client_port}", "{protocol}", "{server_ip}", "{server_port}"];

/// What is done to an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// It is there, with this data.
    Set,
    /// It is added where there is none.
    Append,
    /// It gets this data where there is one.
    Replace,
    /// It is taken away.
    Unset,
}

/// The actions by name.
const ACTIONS: &[(&str, Action)] = &[
    ("set", Action::Set),
    ("append", Action::Append),
    ("replace", Action::Replace),
    ("unset", Action::Unset),
];

/// The data of an option.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Data {
    /// Always this.
    Fixed(Vec<u8>),
    /// The name asked for, as text.
    Name,
    /// The type, two bytes.
    Type,
    /// The client's address, four or sixteen bytes.
    ClientIp,
    /// The client's port, two bytes.
    ClientPort,
    /// `udp` or `tcp`.
    Protocol,
    /// The address that was asked.
    ServerIp,
    /// The port that was asked.
    ServerPort,
    /// The value of a metadata label.
    Metadata(String),
    /// The client's subnet: so many bits of an IPv4 or IPv6 address.
    Subnet(u8, u8),
}

/// A line about an option.
#[derive(Debug)]
pub(super) struct EdnsRule {
    /// What is done.
    action: Action,
    /// To which option.
    code: u16,
    /// What it holds then.
    data: Data,
}

/// Reads what follows `edns0`.
///
/// `revert` asks that no reply shows the option: none ever does (rule K-011).
pub(super) fn parse(words: &mut Words<'_>) -> Result<EdnsRule, Error> {
    let kind = words.expect("`local`, `nsid` or `subnet`")?;
    let word = words.expect("what to do with the option")?;
    let text = word.text.to_ascii_lowercase();
    let known: Vec<&str> = ACTIONS.iter().map(|(text, _)| *text).collect();
    let found = ACTIONS.iter().find(|(known, _)| *known == text);
    let action = found.map(|(_, action)| *action).ok_or_else(|| word.unknown("what can be done", &known))?;
    if action != Action::Unset {
        words.ends_with("revert");
    }
    let (code, data) = match kind.text.to_ascii_lowercase().as_str() {
        "local" => {
            let code = words.expect("the option's code")?;
            let number = number(&code.text).ok_or_else(|| {
                code.error(format!("`{}` is no option code", code.text)).hint("write a number such as 0xffee")
            })?;
            match action {
                Action::Unset => (number, Data::Fixed(Vec::new())),
                _ => (number, data(words.expect("the option's data")?)?),
            }
        }
        "nsid" => (NSID, Data::Fixed(Vec::new())),
        "subnet" if action == Action::Unset => (SUBNET, Data::Fixed(Vec::new())),
        "subnet" => {
            let four = words.expect("how many bits of an IPv4 address")?.number(0..=32)?;
            (SUBNET, Data::Subnet(four, words.expect("how many bits of an IPv6 address")?.number(0..=128)?))
        }
        _ => return Err(kind.unknown("an option", &["local", "nsid", "subnet"])),
    };
    Ok(EdnsRule { action, code, data })
}

/// A number as Go's base 0 reads it: decimal, or `0x`, `0o`, `0b` before it.
fn number(text: &str) -> Option<u16> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (lower.get(2..)?, 16),
        Some("0o") => (lower.get(2..)?, 8),
        Some("0b") => (lower.get(2..)?, 2),
        _ if lower.len() > 1 && lower.starts_with('0') => (lower.get(1..)?, 8),
        _ => (lower.as_str(), 10),
    };
    // `+1` is a number for Rust only.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric())
        .then(|| u16::from_str_radix(digits, radix).ok())?
}

/// Reads the data of an option.
fn data(token: &Token) -> Result<Data, Error> {
    let text = token.text.as_str();
    if let Some(variable) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return Ok(match variable {
            "qname" => Data::Name,
            "qtype" => Data::Type,
            "client_ip" => Data::ClientIp,
            "client_port" => Data::ClientPort,
            "protocol" => Data::Protocol,
            "server_ip" => Data::ServerIp,
            "server_port" => Data::ServerPort,
            label if label.find('/').is_some_and(|at| at > 0 && at + 1 < label.len()) => {
                Data::Metadata(label.to_owned())
            }
            _ => return Err(token.unknown("a variable or a metadata label such as {view/name}", VARIABLES)),
        });
    }
    let Some(digits) = text.strip_prefix("0x") else { return Ok(Data::Fixed(text.as_bytes().to_vec())) };
    let nibbles: Option<Vec<u8>> =
        digits.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match nibbles.filter(|nibbles| nibbles.len() % 2 == 0) {
        Some(nibbles) => Ok(Data::Fixed(
            nibbles
                .chunks_exact(2)
                .map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble))
                .collect(),
        )),
        None => Err(token.error(format!("`{text}` is not pairs of hexadecimal digits"))),
    }
}

impl EdnsRule {
    /// Changes the options that go upstream; says whether the rule was applied. `unset` holds the client's options that a
    /// rule before took away.
    pub(super) fn apply(&self, asked: &mut Asked, unset: &mut Vec<u16>, context: &Context<'_>) -> bool {
        if self.action == Action::Unset {
            remove(&mut asked.options, self.code);
            unset.push(self.code);
            return true;
        }
        let ours = options(&asked.options).any(|(code, _)| code == self.code);
        let theirs = !unset.contains(&self.code)
            && client_options(&asked.message)
                .is_some_and(|rdata| options(rdata).any(|(code, _)| code == self.code));
        let applies = match self.action {
            Action::Set => true,
            Action::Append => !ours && !theirs,
            Action::Replace => ours || theirs,
            Action::Unset => false,
        };
        if !applies {
            return false;
        }
        let Some(data) = self.value(asked, context) else { return false };
        let Ok(length) = u16::try_from(data.len()) else { return false };
        remove(&mut asked.options, self.code);
        asked.options.extend_from_slice(&self.code.to_be_bytes());
        asked.options.extend_from_slice(&length.to_be_bytes());
        asked.options.extend_from_slice(&data);
        true
    }

    /// The data for a query; `None` where there is none.
    fn value(&self, asked: &Asked, context: &Context<'_>) -> Option<Vec<u8>> {
        let ip = |ip: std::net::IpAddr| match ip.to_canonical() {
            std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
            std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let listener = || context.plan?.listeners.get(asked.client.listener);
        Some(match &self.data {
            Data::Fixed(bytes) => bytes.clone(),
            Data::Name => NameText::new(asked.question.typed()).as_str().as_bytes().to_vec(),
            Data::Type => asked.question.qtype.to_be_bytes().to_vec(),
            Data::ClientIp => ip(asked.client.addr.ip()),
            Data::ClientPort => asked.client.addr.port().to_be_bytes().to_vec(),
            Data::Protocol => asked.client.transport.text().as_bytes().to_vec(),
            Data::ServerIp => {
                let bound = listener().map(|listener| listener.addr.ip()).filter(|ip| !ip.is_unspecified());
                ip(asked.client.local.or(bound)?)
            }
            Data::ServerPort => listener()?.addr.port().to_be_bytes().to_vec(),
            Data::Metadata(label) => {
                let value = context.metadata(asked, label);
                return (!value.is_empty()).then(|| value.into_bytes());
            }
            Data::Subnet(four, six) => {
                let address = ip(asked.client.addr.ip());
                let (family, bits) = if address.len() == 4 { (1_u8, *four) } else { (2, *six) };
                // Family, bits of the source, bits of the scope, and as many bytes as the bits need (RFC 7871 §6).
                let mut data = vec![0, family, bits, 0];
                let bytes = usize::from(bits).div_ceil(8);
                data.extend_from_slice(address.get(..bytes).unwrap_or_default());
                if let Some(last) = data.last_mut().filter(|_| bits % 8 != 0) {
                    *last &= 0xff << (8 - bits % 8);
                }
                data
            }
        })
    }
}

/// The options in wire form, one after another.
fn options(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (fixed, rest) = bytes.split_first_chunk::<4>()?;
        let [c0, c1, l0, l1] = *fixed;
        let (data, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        bytes = behind;
        Some((u16::from_be_bytes([c0, c1]), data))
    })
}

/// Takes the options of a code out.
fn remove(bytes: &mut Vec<u8>, code: u16) {
    let mut kept = Vec::with_capacity(bytes.len());
    for (known, data) in options(bytes).filter(|(known, _)| *known != code) {
        kept.extend_from_slice(&known.to_be_bytes());
        kept.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        kept.extend_from_slice(data);
    }
    *bytes = kept;
}
