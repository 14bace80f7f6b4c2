//! `extra`: a text with placeholders, as in `log`, of what is known when a query comes.

use std::fmt::Write as _;

use crate::chain::asked::Asked;
use crate::chain::plan::Chain;
use crate::corefile::{Error, Token};
use crate::wire::{class_mnemonic, show_name, type_mnemonic};

/// A piece of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// Text as it is.
    Text(String),
    /// The value of a placeholder.
    Value(&'static str),
    /// The value of a metadata label.
    Metadata(String),
}

/// The placeholders; those of a reply are `-`, as in CoreDNS.
const PLACEHOLDERS: &[&str] = &[
    "{type}",
    "{class}",
    "{name}",
    "{proto}",
    "{remote}",
    "{port}",
    "{local}",
    "{size}",
    "{>id}",
    "{>opcode}",
    "{>do}",
    "{>bufsize}",
    "{rcode}",
    "{rsize}",
    "{duration}",
    "{>rflags}",
];

/// The text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Extra(Vec<Piece>);

impl Extra {
    /// Reads it.
    ///
    /// Errors: a placeholder that there is not, at its place.
    pub(super) fn parse(token: &Token) -> Result<Self, Error> {
        let mut pieces = Vec::new();
        let mut rest = token.text.as_str();
        while let Some((before, behind)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let Some((inner, behind)) = behind.split_once('}') else {
                return Err(token.error("a `{` has no `}`"));
            };
            let whole = format!("{{{inner}}}");
            pieces.push(match inner.strip_prefix('/') {
                Some(label) => Piece::Metadata(label.to_owned()),
                None => match PLACEHOLDERS.iter().find(|known| **known == whole) {
                    Some(known) => Piece::Value(known),
                    None => {
                        let hint = format!("known: {} and {{/label}} for metadata", PLACEHOLDERS.join(" "));
                        return Err(token.error(format!("`{whole}` is no placeholder")).hint(hint));
                    }
                },
            });
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The text for a query.
    pub(super) fn write(&self, asked: &Asked, chain: &Chain) -> String {
        let (question, client, header) = (asked.sent(), &asked.client, asked.query.header);
        let mut text = String::new();
        for piece in &self.0 {
            // Writing into a String cannot fail.
            let _ = match piece {
                Piece::Text(piece) => text.write_str(piece),
                Piece::Metadata(label) => {
                    let value = chain.metadata(asked, label).filter(|value| !value.is_empty());
                    text.write_str(value.as_deref().unwrap_or("-"))
                }
                Piece::Value("{type}") => match type_mnemonic(question.qtype) {
                    Some(known) => text.write_str(known),
                    None => write!(text, "TYPE{}", question.qtype),
                },
                Piece::Value("{class}") => match class_mnemonic(question.qclass) {
                    Some(known) => text.write_str(known),
                    None => write!(text, "CLASS{}", question.qclass),
                },
                Piece::Value("{name}") => text.write_str(&show_name(question.lower())),
                Piece::Value("{proto}") => text.write_str(client.transport.text()),
                Piece::Value("{remote}") => match client.addr.ip().to_canonical() {
                    std::net::IpAddr::V4(ip) => write!(text, "{ip}"),
                    std::net::IpAddr::V6(ip) => write!(text, "[{ip}]"),
                },
                Piece::Value("{port}") => write!(text, "{}", client.addr.port()),
                Piece::Value("{local}") => match client.local {
                    Some(local) => write!(text, "{local}"),
                    None => text.write_str("-"),
                },
                Piece::Value("{size}") => write!(text, "{}", client.size),
                Piece::Value("{>id}") => write!(text, "{}", header.id),
                Piece::Value("{>opcode}") => write!(text, "{}", header.opcode().0),
                Piece::Value("{>do}") => {
                    write!(text, "{}", asked.query.edns.is_some_and(|edns| edns.dnssec_ok))
                }
                Piece::Value("{>bufsize}") => {
                    write!(text, "{}", asked.query.edns.map_or(512, |edns| edns.udp_size.max(512)))
                }
                Piece::Value(_) => text.write_str("-"),
            };
        }
        text
    }
}
