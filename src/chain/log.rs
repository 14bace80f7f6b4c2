//! `log`: a line for each query (rule S-16).

use std::fmt::Write as _;
use std::time::Duration;

use self::json::Json;
use super::asked::Asked;
use super::build::Draft;
use super::plan::Chain;
use super::step::{Context, Flow, Sent, Step};
use crate::corefile::{Directive, Error, Token, Zone};
use crate::wire::{Rcode, show_name};

mod json;
#[cfg(test)]
mod tests;

/// The Corefile's word.
pub(super) const WORD: &str = "log";

/// How it is written.
pub(super) const SYNTAX: &str = "\
log [NAMES…] [\"FORMAT\"] {
    class success|denial|error|all…
    format text|json [LABELS…]
}";

/// What it does.
pub(super) const HELP: &str =
    "writes a line for each query, as {common}, {combined} or FORMAT says, or as JSON";

/// The form of a line unless the Corefile says.
const COMMON: &str = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} {>rflags} {rsize} {duration}";

/// The same with the opcode.
const COMBINED: &str = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} {>rflags} {rsize} {duration} \"{>opcode}\"";

/// Reads all `log` lines of the block at the first of them: they are rules of one step, and the first that fits writes.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut lines = draft.block.all(WORD);
    if lines.next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    let mut rules = vec![parse_rule(directive)?];
    for line in lines {
        rules.push(parse_rule(line).map_err(|error| error.within(line))?);
    }
    draft.steps.push(Box::new(Log { rules }));
    Ok(())
}

/// Reads one line.
fn parse_rule(directive: &Directive) -> Result<Rule, Error> {
    let (names, format) = match directive.args.as_slice() {
        [one] if one.text.contains('{') => {
            return Err(one
                .error("a format needs the names it is for before it")
                .hint(format!("write `log . \"{}\"`", one.text)));
        }
        [names @ .., last] if !names.is_empty() && last.text.contains('{') => {
            (names, Some((last, Format::parse(last)?)))
        }
        names => (names, None),
    };
    let mut zones = Vec::new();
    for name in names {
        zones.extend(name.zones()?);
    }
    let mut classes = Classes::default();
    let mut json = None;
    for line in directive.lines() {
        match line.word.text.as_str() {
            "class" => {
                for class in line.expect_args(1..=usize::MAX)? {
                    classes.add(class)?;
                }
            }
            "format" => {
                json = match line.expect_args(1..=usize::MAX)?.split_first() {
                    Some((form, labels)) if form.text == "json" => Some(Json::new(labels)?),
                    Some((form, _)) if form.text == "text" => {
                        line.expect_args(1..=1)?;
                        None
                    }
                    Some((form, _)) => return Err(form.unknown("a form of `log`", &["text", "json"])),
                    None => None,
                };
            }
            _ => return Err(line.word.unknown("an option of `log`", &["class", "format"])),
        }
    }
    let form = match (format, json) {
        (Some((token, _)), Some(_)) => {
            return Err(token
                .error("a line is either of this form or JSON")
                .hint("leave the form away: JSON holds all values; labels stand behind `format json`"));
        }
        (Some((_, format)), None) => Form::Text(format),
        (None, Some(json)) => Form::Json(json),
        (None, None) => Form::Text(Format::common()),
    };
    Ok(Rule { zones, form, classes })
}

/// What one line of the Corefile asks for.
struct Rule {
    /// The names it is for; none means all.
    zones: Vec<Zone>,
    /// The form of a line.
    form: Form,
    /// The replies it is for.
    classes: Classes,
}

/// The form of a line.
enum Form {
    /// Text with placeholders.
    Text(Format),
    /// One JSON object.
    Json(Json),
}

/// What a reply is, as CoreDNS tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Records, or neither records nor a denial.
    NoError,
    /// A delegation.
    Delegation,
    /// The name is there, the type is not.
    NoData,
    /// No such name.
    NameError,
    /// SERVFAIL or NOTIMP.
    ServerError,
    /// Any other code, and no reply at all.
    OtherError,
}

impl Kind {
    /// What was sent.
    fn of(sent: &Sent) -> Self {
        match sent.rcode {
            Some(Rcode::NOERROR) if sent.answers => Self::NoError,
            Some(Rcode::NOERROR) if sent.soa => Self::NoData,
            Some(Rcode::NOERROR) if sent.ns => Self::Delegation,
            Some(Rcode::NOERROR) => Self::NoError,
            Some(Rcode::NXDOMAIN) => Self::NameError,
            Some(Rcode::SERVFAIL | Rcode::NOTIMP) => Self::ServerError,
            _ => Self::OtherError,
        }
    }

    /// Its class, and itself, as `{/log/class}` and `{/log/type}` print them.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::NoError => ("success", "NOERROR"),
            Self::Delegation => ("success", "DELEGATION"),
            Self::NoData => ("denial", "NODATA"),
            Self::NameError => ("denial", "NXDOMAIN"),
            Self::ServerError => ("error", "SERVERERROR"),
            Self::OtherError => ("error", "OTHERERROR"),
        }
    }
}

/// The value of a metadata label; `log` itself publishes two, with `metadata` or without it.
fn metadata(asked: &Asked, sent: &Sent, chain: &Chain, label: &str) -> Option<String> {
    let (class, kind) = Kind::of(sent).texts();
    match label {
        "log/class" => Some(class.to_owned()),
        "log/type" => Some(kind.to_owned()),
        _ => chain.metadata(asked, label).filter(|value| !value.is_empty()),
    }
}

/// Which replies a rule writes down.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Classes {
    /// `success`.
    success: bool,
    /// `denial`.
    denial: bool,
    /// `error`.
    error: bool,
}

impl Classes {
    /// Takes a class in.
    fn add(&mut self, class: &Token) -> Result<(), Error> {
        match class.text.as_str() {
            "success" => self.success = true,
            "denial" => self.denial = true,
            "error" => self.error = true,
            "all" => *self = Self { success: true, denial: true, error: true },
            _ => return Err(class.unknown("a class", &["success", "denial", "error", "all"])),
        }
        Ok(())
    }

    /// Whether a reply is one to write down; no class named means all.
    fn contains(self, sent: &Sent) -> bool {
        if self == Self::default() {
            return true;
        }
        match Kind::of(sent) {
            Kind::NoError | Kind::Delegation => self.success,
            Kind::NoData | Kind::NameError => self.denial,
            Kind::ServerError | Kind::OtherError => self.error,
        }
    }
}

/// A piece of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// Text as it is.
    Text(String),
    /// `{type}`.
    Type,
    /// `{class}`.
    Class,
    /// `{name}`.
    Name,
    /// `{proto}`.
    Proto,
    /// `{remote}`.
    Remote,
    /// `{port}`.
    Port,
    /// `{local}`.
    Local,
    /// `{size}`.
    Size,
    /// `{rcode}`.
    Rcode,
    /// `{rsize}`.
    ReplySize,
    /// `{duration}`.
    Duration,
    /// `{>id}`.
    Id,
    /// `{>opcode}`.
    Opcode,
    /// `{>do}`.
    DnssecOk,
    /// `{>bufsize}`.
    BufferSize,
    /// `{>rflags}`.
    ReplyFlags,
    /// `{/label}`.
    Metadata(String),
}

/// The placeholders that stand for themselves.
const PLACEHOLDERS: &[(&str, Piece)] = &[
    ("{type}", Piece::Type),
    ("{class}", Piece::Class),
    ("{name}", Piece::Name),
    ("{proto}", Piece::Proto),
    ("{remote}", Piece::Remote),
    ("{port}", Piece::Port),
    ("{local}", Piece::Local),
    ("{size}", Piece::Size),
    ("{rcode}", Piece::Rcode),
    ("{rsize}", Piece::ReplySize),
    ("{duration}", Piece::Duration),
    ("{>id}", Piece::Id),
    ("{>opcode}", Piece::Opcode),
    ("{>do}", Piece::DnssecOk),
    ("{>bufsize}", Piece::BufferSize),
    ("{>rflags}", Piece::ReplyFlags),
];

/// The form of a line, read once.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Format(Vec<Piece>);

impl Format {
    /// `{common}`.
    fn common() -> Self {
        Self(pieces(COMMON))
    }

    /// Reads a format; a placeholder that is none is an error, since it would print nothing but dashes.
    fn parse(token: &Token) -> Result<Self, Error> {
        let text = token.text.replace("{common}", COMMON).replace("{combined}", COMBINED);
        let pieces = pieces(&text);
        let unknown = pieces.iter().find_map(|piece| match piece {
            Piece::Text(text) if text.starts_with('{') && text.ends_with('}') => Some(text.clone()),
            _ => None,
        });
        match unknown {
            None => Ok(Self(pieces)),
            Some(text) => {
                let known: Vec<&str> = PLACEHOLDERS.iter().map(|(text, _)| *text).collect();
                Err(token
                    .error(format!("`{text}` is no placeholder"))
                    .hint(format!("known: {} and {{/label}} for metadata", known.join(" "))))
            }
        }
    }

    /// Writes the line of a query.
    fn write(&self, asked: &Asked, sent: &Sent, chain: &Chain) -> String {
        let question = asked.sent();
        let client = &asked.client;
        let header = asked.query.header;
        let edns = asked.query.edns;
        let mut line = String::with_capacity(160);
        for piece in &self.0 {
            // Writing into a String cannot fail.
            let _ = match piece {
                Piece::Text(text) => line.write_str(text),
                Piece::Type => line.write_str(&type_text(question.qtype)),
                Piece::Class => line.write_str(&class_text(question.qclass)),
                Piece::Name => line.write_str(&show_name(question.lower())),
                Piece::Proto => line.write_str(client.transport.text()),
                Piece::Remote if client.addr.is_ipv6() => write!(line, "[{}]", client.addr.ip()),
                Piece::Remote => write!(line, "{}", client.addr.ip()),
                Piece::Port => write!(line, "{}", client.addr.port()),
                Piece::Local => match client.local {
                    Some(local) => write!(line, "{local}"),
                    None => line.write_str("-"),
                },
                Piece::Size => write!(line, "{}", client.size),
                Piece::Rcode => line.write_str(sent.rcode.map_or("-", Rcode::text)),
                Piece::ReplySize => write!(line, "{}", sent.size),
                Piece::Duration => {
                    let took: Duration = sent.at.since(asked.arrived);
                    write!(line, "{}s", took.as_secs_f64())
                }
                Piece::Id => write!(line, "{}", header.id),
                Piece::Opcode => write!(line, "{}", header.opcode().0),
                Piece::DnssecOk => write!(line, "{}", edns.is_some_and(|edns| edns.dnssec_ok)),
                Piece::BufferSize => write!(line, "{}", room(asked)),
                Piece::ReplyFlags if sent.rcode.is_none() => line.write_str("-"),
                Piece::ReplyFlags => line.write_str(&flags_text(sent.flags)),
                Piece::Metadata(label) => {
                    line.write_str(metadata(asked, sent, chain, label).as_deref().unwrap_or("-"))
                }
            };
        }
        line
    }
}

/// Cuts a format into its pieces.
fn pieces(format: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        let (text, after) = match rest.find('{') {
            Some(0) => match rest.find('}') {
                Some(end) => rest.split_at(end + 1),
                None => (rest, ""),
            },
            Some(start) => rest.split_at(start),
            None => (rest, ""),
        };
        let known = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == text);
        pieces.push(match (known, text.strip_prefix("{/").and_then(|label| label.strip_suffix('}'))) {
            (Some((_, piece)), _) => piece.clone(),
            (None, Some(label)) => Piece::Metadata(label.to_owned()),
            (None, None) => Piece::Text(text.to_owned()),
        });
        rest = after;
    }
    pieces
}

/// A type as logs print it: its mnemonic, or `TYPE65280` (RFC 3597 §5).
pub(super) fn type_text(qtype: u16) -> String {
    match hickory_proto::rr::RecordType::from(qtype) {
        hickory_proto::rr::RecordType::Unknown(_) | hickory_proto::rr::RecordType::ZERO => {
            format!("TYPE{qtype}")
        }
        known => known.to_string(),
    }
}

/// A class as logs print it.
pub(super) fn class_text(qclass: u16) -> String {
    match qclass {
        1 => "IN".to_owned(),
        3 => "CH".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("CLASS{other}"),
    }
}

/// The flags of a reply as logs print them: `qr,aa,rd`.
fn flags_text(flags: u16) -> String {
    [(15, "qr"), (10, "aa"), (9, "tc"), (8, "rd"), (7, "ra"), (6, "z"), (5, "ad"), (4, "cd")]
        .into_iter()
        .filter(|(bit, _)| flags >> bit & 1 == 1)
        .map(|(_, name)| name)
        .collect::<Vec<_>>()
        .join(",")
}

/// The step.
struct Log {
    /// Its rules, in the order of the file.
    rules: Vec<Rule>,
}

/// How many bytes of a reply the client takes, as `{>bufsize}` says it: on a stream as many as a message can have.
fn room(asked: &Asked) -> u16 {
    match asked.client.transport.over_tcp() {
        true => u16::MAX,
        false => asked.query.edns.map_or(512, |edns| edns.udp_size.max(512)),
    }
}

impl Step for Log {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn writes_down(&self) -> bool {
        true
    }

    fn sent(&self, asked: &Asked, sent: &Sent, chain: &Chain) {
        let question = asked.sent();
        let rule = self.rules.iter().find(|rule| {
            rule.zones.is_empty()
                || rule.zones.iter().any(|zone| question.below(zone.wire(), zone.labels()).is_some())
        });
        if let Some(rule) = rule
            && rule.classes.contains(sent)
        {
            match &rule.form {
                Form::Text(format) => {
                    tracing::info!(target: "query", "{}", format.write(asked, sent, chain));
                }
                Form::Json(json) => {
                    tracing::info!(target: "query/json", "{}", json.write(asked, sent, chain));
                }
            }
        }
    }
}
