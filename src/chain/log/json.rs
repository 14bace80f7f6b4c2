//! A line as one JSON object: every value of the text form under the name of its placeholder, numbers as numbers.

use std::fmt::Write as _;

use super::{class_text, flags_text, metadata, room, type_text};
use crate::chain::asked::Asked;
use crate::chain::plan::Chain;
use crate::chain::step::Sent;
use crate::corefile::{Error, Token};
use crate::wire::show_name;

/// The form.
pub(super) struct Json {
    /// The metadata labels that are told too.
    labels: Vec<String>,
}

impl Json {
    /// With these labels, written with or without `/` in front.
    pub(super) fn new(labels: &[Token]) -> Result<Self, Error> {
        let mut known = Vec::new();
        for token in labels {
            let label = token.text.strip_prefix('/').unwrap_or(&token.text);
            if !label.contains('/') {
                return Err(token
                    .error(format!("`{}` is no metadata label", token.text))
                    .hint("a label has a word of the Corefile in front: `kubernetes/service`"));
            }
            if !known.iter().any(|known| known == label) {
                known.push(label.to_owned());
            }
        }
        Ok(Self { labels: known })
    }

    /// Writes the line of a query; what is not known is left out.
    pub(super) fn write(&self, asked: &Asked, sent: &Sent, chain: &Chain) -> String {
        let question = asked.sent();
        let client = &asked.client;
        let header = asked.query.header;
        let edns = asked.query.edns;
        let mut line = String::with_capacity(320);
        // Writing into a String cannot fail.
        let _ = write!(
            line,
            "{{\"remote\":\"{}\",\"port\":{},\"proto\":\"{}\"",
            client.addr.ip(),
            client.addr.port(),
            client.transport.text()
        );
        if let Some(local) = client.local {
            let _ = write!(line, ",\"local\":\"{local}\"");
        }
        let _ = write!(
            line,
            ",\"id\":{},\"opcode\":{},\"type\":\"{}\",\"class\":\"{}\",\"name\":",
            header.id,
            header.opcode().0,
            type_text(question.qtype),
            class_text(question.qclass)
        );
        quote(&mut line, &show_name(question.lower()));
        let _ = write!(
            line,
            ",\"size\":{},\"do\":{},\"bufsize\":{}",
            client.size,
            edns.is_some_and(|edns| edns.dnssec_ok),
            room(asked),
        );
        if let Some(rcode) = sent.rcode {
            let _ = write!(line, ",\"rcode\":\"{}\",\"rflags\":\"{}\"", rcode.text(), flags_text(sent.flags));
        }
        let took = sent.at.since(asked.arrived).as_secs_f64();
        let _ = write!(line, ",\"rsize\":{},\"duration\":{took}", sent.size);
        let mut open = false;
        for label in &self.labels {
            let Some(value) = metadata(asked, sent, chain, label) else { continue };
            line.push_str(if open { "," } else { ",\"metadata\":{" });
            open = true;
            quote(&mut line, label);
            line.push(':');
            quote(&mut line, &value);
        }
        line.push_str(if open { "}}" } else { "}" });
        line
    }
}

/// Adds a text in quotes, escaped (RFC 8259 §7).
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            '\0'..='\x1f' | '\x7f' => {
                // Writing into a String cannot fail.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            _ => line.push(c),
        }
    }
    line.push('"');
}
