//! What the tests with real sockets share: a running server, a client, and messages as text.
//!
//! ```text
//! "web.shop.svc.Z A +do" ─► Ask ─► bytes ─► Client (UDP or TCP) ─► bytes ─► text ─┐
//!                                  "@ A 10.96.1.1" ─► expand ─────────────────────┴─► equal?
//! ```
//!
//! A question reads as with dig, `NAME TYPE [CLASS] [+WORD…]`, see [`Ask::parse`]; an expected reply as in a zone file,
//! see [`expand`]. Replies are decoded by hickory-proto, which shares nothing with the server's own codec.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, RData, Record};
use signpost::app::{Running, ServeOptions, serve};

/// How long a client waits for a reply that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client waits where no reply may come.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

/// The folder `tests/fixtures/NAME`.
pub(crate) fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A Corefile with one block for all names on both loopback addresses, and in it `kubernetes` with the shop's manifests.
pub(crate) fn corefile(zones: &str, options: &[&str]) -> String {
    block(".", zones, &fixtures("cluster"), options, &[])
}

/// One block: its zone, the zones, folder and lines of its `kubernetes` stanza, and the other words.
pub(crate) fn block(key: &str, zones: &str, folder: &Path, options: &[&str], words: &[&str]) -> String {
    let mut text = format!("{key} {{\n    bind 127.0.0.1 ::1\n");
    for word in words {
        let _ = writeln!(text, "    {word}");
    }
    let _ = writeln!(text, "    kubernetes {zones} {{\n        manifests {}", folder.display());
    for option in options {
        let _ = writeln!(text, "        {option}");
    }
    text.push_str("    }\n}\n");
    text
}

/// Starts a server and waits until it knows its cluster.
pub(crate) fn start(corefile: &str) -> Running {
    let running = start_unsynced(corefile, ServeOptions::default());
    assert!(running.wait_synced(PATIENCE), "no sync with\n{corefile}");
    running
}

/// Starts a server with these options but for the Corefile; it may not know its cluster yet.
pub(crate) fn start_unsynced(corefile: &str, options: ServeOptions) -> Running {
    let options = ServeOptions { text: corefile.to_owned(), ..options };
    serve(options).unwrap_or_else(|error| panic!("{error}\n{corefile}"))
}

/// Over what a question goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    /// Datagrams.
    Udp,
    /// One connection for all questions.
    Tcp,
}

/// A client of one address over one transport.
pub(crate) struct Client {
    /// Over what it asks.
    pub(crate) via: Via,
    /// Whom it asks.
    pub(crate) to: SocketAddr,
    /// The socket, if it asks over UDP.
    udp: Option<UdpSocket>,
    /// The connection, once it asked over TCP.
    tcp: Option<TcpStream>,
}

impl Client {
    /// A client with a socket of its own.
    pub(crate) fn new(via: Via, to: SocketAddr) -> Self {
        let here = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let udp = (via == Via::Udp).then(|| {
            let socket = UdpSocket::bind(here).unwrap();
            socket.connect(to).unwrap();
            socket
        });
        Self { via, to, udp, tcp: None }
    }

    /// A client for each address of a server and each transport.
    pub(crate) fn all(addresses: &[SocketAddr]) -> Vec<Self> {
        addresses
            .iter()
            .flat_map(|&to| [Via::Udp, Via::Tcp].into_iter().map(move |via| Self::new(via, to)))
            .collect()
    }

    /// Sends a message without waiting.
    pub(crate) fn send(&mut self, message: &[u8]) {
        match &self.udp {
            Some(socket) => assert_eq!(socket.send(message).unwrap(), message.len()),
            None => {
                let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
                framed.extend_from_slice(message);
                self.connection().write_all(&framed).unwrap();
            }
        }
    }

    /// The next message that arrives within `wait`.
    pub(crate) fn receive(&mut self, wait: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0_u8; 65_535];
        if let Some(socket) = &self.udp {
            socket.set_read_timeout(Some(wait)).unwrap();
            let received = loop {
                match socket.recv(&mut buffer) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    received => break received,
                }
            };
            let length = none_if_late(received)?;
            buffer.truncate(length);
            return Some(buffer);
        }
        let stream = self.connection();
        stream.set_read_timeout(Some(wait)).unwrap();
        let mut length = [0_u8; 2];
        none_if_late(stream.read_exact(&mut length))?;
        buffer.truncate(usize::from(u16::from_be_bytes(length)));
        none_if_late(stream.read_exact(&mut buffer))?;
        Some(buffer)
    }

    /// Asks and returns the reply's bytes.
    pub(crate) fn exchange(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        self.send(message);
        self.receive(PATIENCE)
    }

    /// Asks and returns the reply as [`text`].
    pub(crate) fn ask(&mut self, ask: &Ask) -> String {
        let query = ask.bytes(fastrand::u16(..));
        match self.exchange(&query) {
            Some(reply) => {
                let limit = if self.via == Via::Tcp { 65_535 } else { ask.limit() };
                assert!(reply.len() <= limit, "{ask:?}: {} bytes over {:?}", reply.len(), self.via);
                assert_eq!(reply.get(..2), query.get(..2), "{ask:?}: the id");
                text(&reply, &query)
            }
            None => "no reply".to_owned(),
        }
    }

    /// The connection, opened anew where there is none.
    fn connection(&mut self) -> &mut TcpStream {
        let to = self.to;
        self.tcp.get_or_insert_with(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap())
    }
}

/// `None` for a read that timed out or met the end of the connection.
fn none_if_late<T>(read: std::io::Result<T>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A question and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The name as it goes out.
    pub(crate) name: Name,
    /// QTYPE.
    pub(crate) qtype: u16,
    /// QCLASS.
    pub(crate) qclass: u16,
    /// Opcode.
    opcode: u8,
    /// Flags of the second header word: RD 0x0100, RA 0x0080, Z 0x0040, AD 0x0020, CD 0x0010, TC 0x0200, AA 0x0400.
    flags: u16,
    /// The OPT's size, flags and version (its TTL field), if there is one.
    edns: Option<(u16, u32)>,
    /// The OPT's options.
    options: Vec<u8>,
}

impl Ask {
    /// Reads `NAME TYPE [CLASS] [+WORD…]`.
    ///
    /// A name's last label `Z` stands for `cluster.local`; `arpa:ADDRESS` is the address's reverse name. Words: `+rd`
    /// `+cd` `+ad` `+aa` `+tc` `+ra` `+z`, `+edns` (size 1232), `+bufsize=N`, `+do`, `+version=N`, `+opt=CODE:HEX`,
    /// `+opcode=N`.
    pub(crate) fn parse(ask: &str) -> Self {
        let mut words = ask.split_whitespace();
        let name = typed_name(&full_name(words.next().expect("a name")));
        let qtype = type_number(words.next().expect("a type"));
        let mut this = Self { name, qtype, qclass: 1, opcode: 0, flags: 0, edns: None, options: Vec::new() };
        for word in words {
            let (word, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || value.parse().unwrap_or_else(|_| panic!("{ask}: {word}"));
            let (size, ttl) = this.edns.unwrap_or((1232, 0));
            match word {
                "CH" => this.qclass = 3,
                "ANY" => this.qclass = 255,
                "+aa" => this.flags |= 0x0400,
                "+tc" => this.flags |= 0x0200,
                "+rd" => this.flags |= 0x0100,
                "+ra" => this.flags |= 0x0080,
                "+z" => this.flags |= 0x0040,
                "+ad" => this.flags |= 0x0020,
                "+cd" => this.flags |= 0x0010,
                "+opcode" => this.opcode = value.parse().unwrap(),
                "+edns" => this.edns = Some((size, ttl)),
                "+bufsize" => this.edns = Some((number(), ttl)),
                "+do" => this.edns = Some((size, ttl | 0x8000)),
                "+version" => this.edns = Some((size, ttl | u32::from(number()) << 16)),
                "+opt" => {
                    let (code, hex) = value.split_once(':').unwrap();
                    let bytes: Vec<u8> = (0..hex.len() / 2)
                        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                        .collect();
                    this.options.extend_from_slice(&code.parse::<u16>().unwrap().to_be_bytes());
                    this.options.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
                    this.options.extend_from_slice(&bytes);
                    this.edns = Some((size, ttl));
                }
                other => panic!("{ask}: what is {other}?"),
            }
        }
        this
    }

    /// The query in wire form.
    pub(crate) fn bytes(&self, id: u16) -> Vec<u8> {
        let flags = self.flags | u16::from(self.opcode) << 11;
        let mut bytes = Vec::new();
        for word in [id, flags, 1, 0, 0, u16::from(self.edns.is_some())] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        for label in &self.name {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
        bytes.extend_from_slice(&self.qtype.to_be_bytes());
        bytes.extend_from_slice(&self.qclass.to_be_bytes());
        if let Some((size, ttl)) = self.edns {
            bytes.extend_from_slice(&[0, 0, 41]);
            bytes.extend_from_slice(&size.to_be_bytes());
            bytes.extend_from_slice(&ttl.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(self.options.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&self.options);
        }
        bytes
    }

    /// The largest UDP reply that it allows (rule K-012). Unit: bytes.
    pub(crate) fn limit(&self) -> usize {
        self.edns.map_or(512, |(size, _)| usize::from(size).clamp(512, 1232))
    }
}

/// A whole name with any bytes in its labels: `\.`, `\\` and `\DDD` as in a zone file.
fn typed_name(text: &str) -> Name {
    let mut labels = vec![Vec::new()];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let label = labels.last_mut().expect("there is a label");
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => match bytes.next().expect("an escaped byte") {
                digit if digit.is_ascii_digit() => {
                    let digits = [digit, bytes.next().unwrap(), bytes.next().unwrap()];
                    label.push(std::str::from_utf8(&digits).unwrap().parse().unwrap());
                }
                other => label.push(other),
            },
            other => label.push(other),
        }
    }
    labels.retain(|label| !label.is_empty());
    let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
    name.set_fqdn(true);
    name
}

/// A name in a table as a whole name: `Z` and `arpa:` spelled out.
fn full_name(name: &str) -> String {
    if let Some(address) = name.strip_prefix("arpa:") {
        return reverse(address.parse().unwrap());
    }
    if name == "Z" {
        return "cluster.local.".to_owned();
    }
    name.strip_suffix(".Z").map_or_else(|| name.to_owned(), |left| format!("{left}.cluster.local."))
}

/// The reverse name of an address.
pub(crate) fn reverse(address: IpAddr) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(v4) => {
            for octet in v4.octets().iter().rev() {
                let _ = write!(name, "{octet}.");
            }
            name + "in-addr.arpa."
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name + "ip6.arpa."
        }
    }
}

/// The number of a type.
fn type_number(name: &str) -> u16 {
    const KNOWN: &[(&str, u16)] = &[
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("HINFO", 13),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("NAPTR", 35),
        ("DS", 43),
        ("SVCB", 64),
        ("HTTPS", 65),
        ("IXFR", 251),
        ("AXFR", 252),
        ("ANY", 255),
        ("CAA", 257),
    ];
    let number = name.strip_prefix("TYPE").and_then(|number| number.parse().ok());
    let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    number.or(known).unwrap_or_else(|| panic!("the number of type {name}"))
}

/// A reply as text: a line of code and flags, a line of its OPT, then its records, each with its section.
///
/// Shape: records in alphabetical order within their section, but an answer's CNAMEs first, as they came. The SOA's serial
/// is `*`. Where the reply breaks a rule for every reply (question echoed, QR, CNAMEs in front), a line says so.
pub(crate) fn text(reply: &[u8], query: &[u8]) -> String {
    let message = match Message::from_vec(reply) {
        Ok(message) => message,
        Err(error) => return format!("cannot be decoded: {error}\n"),
    };
    let head = &message.metadata;
    let mut text = match u16::from(head.response_code) {
        // With TSIG the same number means BADSIG, which hickory prefers.
        16 => "BADVERS".to_owned(),
        _ => format!("{:?}", head.response_code).to_uppercase(),
    };
    let flags = [
        (head.authoritative, " aa"),
        (head.truncation, " tc"),
        (head.recursion_desired, " rd"),
        (head.recursion_available, " ra"),
        (head.authentic_data, " ad"),
        (head.checking_disabled, " cd"),
        (message.queries.is_empty(), " headeronly"),
        (head.message_type != MessageType::Response, " noresponse"),
        (reply.get(3).is_some_and(|byte| byte & 0x40 != 0), " z"),
    ];
    flags.iter().filter(|(set, _)| *set).for_each(|(_, word)| text.push_str(word));
    if head.op_code != OpCode::Query {
        let _ = write!(text, " opcode={}", u8::from(head.op_code));
    }
    text.push('\n');
    if !message.queries.is_empty() {
        let end = query.iter().skip(12).position(|&byte| byte == 0).map_or(12, |at| 12 + at + 5);
        if query.get(12..end) != reply.get(12..end) {
            text.push_str("the question is not echoed\n");
        }
    }
    if let Some(edns) = &message.edns {
        let _ = write!(text, "edns {}", edns.max_payload());
        if edns.version() != 0 {
            let _ = write!(text, " version={}", edns.version());
        }
        if edns.flags().dnssec_ok {
            text.push_str(" do");
        }
        if edns.flags().z != 0 {
            let _ = write!(text, " z={}", edns.flags().z);
        }
        for (code, option) in &edns.options().options {
            match option {
                // The text of an extended error is not promised.
                EdnsOption::Unknown(15, value) => {
                    let code = value.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    let _ = write!(text, " ede={code}");
                }
                _ => {
                    let _ = write!(text, " option={}", u16::from(*code));
                }
            }
        }
        text.push('\n');
    }
    let is_alias = |record: &&Record| matches!(record.data, RData::CNAME(_));
    let aliases = message.answers.iter().take_while(is_alias).count();
    if message.answers.iter().skip(aliases).any(|record| is_alias(&record)) {
        text.push_str("a CNAME stands behind other records\n");
    }
    let asked = Message::from_vec(query).ok();
    let owner = asked.as_ref().unwrap_or(&message).queries.first().map(|question| question.name().to_ascii());
    let owner = owner.unwrap_or_default();
    let (alias_records, others) = message.answers.split_at(aliases);
    alias_records.iter().for_each(|record| line(&mut text, "answer", &show(record, &owner)));
    section(&mut text, "answer", others, &owner);
    section(&mut text, "authority", &message.authorities, &owner);
    section(&mut text, "additional", &message.additionals, &owner);
    text
}

/// Adds a section's records in alphabetical order.
fn section(text: &mut String, name: &str, records: &[Record], owner: &str) {
    let mut lines: Vec<String> = records.iter().map(|record| show(record, owner)).collect();
    lines.sort();
    lines.iter().for_each(|record| line(text, name, record));
}

/// Adds one record.
fn line(text: &mut String, section: &str, record: &str) {
    let _ = writeln!(text, "{section} {record}");
}

/// A record as in a zone file; `@` for the question's name, letter by letter.
fn show(record: &Record, question: &str) -> String {
    let owner = record.name.to_ascii();
    let owner = if owner == question { "@" } else { &owner };
    let data = match &record.data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(aaaa) => aaaa.0.to_string(),
        RData::CNAME(name) => name.0.to_ascii(),
        RData::NS(name) => name.0.to_ascii(),
        RData::PTR(name) => name.0.to_ascii(),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.to_ascii()),
        RData::TXT(txt) => txt
            .txt_data
            .iter()
            .map(|part| format!("\"{}\"", String::from_utf8_lossy(part)))
            .collect::<Vec<_>>()
            .join(" "),
        RData::SOA(soa) => format!(
            "{} {} * {} {} {} {}",
            soa.mname.to_ascii(),
            soa.rname.to_ascii(),
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        other => format!("{other:?}"),
    };
    format!("{owner} {} {} {data}", record.ttl, record.record_type())
}

/// An expected reply in short, spelled out as [`text`] prints it; `ttl` is the stanza's.
///
/// ```text
/// @ A 10.96.1.1; +web.shop.svc.Z 30 A 10.0.0.1    records, `;` between; `+` additional; the TTL may be left out
/// soa [ZONE]                                      the zone's SOA in the answer
/// NX [ZONE] FLAG…   NODATA [ZONE] FLAG…           AA and the zone's SOA in the authority section
/// REFUSED FLAG…; edns 1232 do                     a code with all of its flags; the OPT
/// ```
///
/// Records alone are NOERROR with AA. A zone that is not said is the question's last two labels, as typed. Names end in
/// `Z` for `cluster.local.`, and `@` is the question's.
pub(crate) fn expand(short: &str, ask: &Ask, ttl: u32) -> String {
    let typed = ask.name.to_ascii();
    let labels: Vec<&str> = typed.trim_end_matches('.').split('.').collect();
    let tail = labels.get(labels.len().saturating_sub(2)..).unwrap_or_default().join(".") + ".";
    let soa = |zone: &str| {
        let owner = if zone == typed { "@" } else { zone };
        format!("{owner} {} SOA ns.dns.{zone} hostmaster.{zone} * 7200 1800 86400 {ttl}", ttl.min(300))
    };
    let mut head = "NOERROR aa".to_owned();
    let mut edns = String::new();
    let (mut aliases, mut answers, mut authority, mut additional) = (vec![], vec![], vec![], vec![]);
    for segment in short.split(';').map(str::trim).filter(|segment| !segment.is_empty()) {
        let words: Vec<&str> = segment.split_whitespace().collect();
        let zone = words.get(1).filter(|word| word.ends_with('.') || **word == "Z");
        let zone = zone.map_or_else(|| tail.clone(), |zone| full_name(zone));
        let flags = words.iter().skip(1).filter(|word| !word.ends_with('.') && **word != "Z");
        let flags: String = flags.map(|flag| format!(" {flag}")).collect();
        match words.first().copied().unwrap_or_default() {
            "NX" => {
                head = format!("NXDOMAIN aa{flags}");
                authority.push(soa(&zone));
            }
            "NODATA" => {
                head = format!("NOERROR aa{flags}");
                authority.push(soa(&zone));
            }
            "UNSYNCED" => {
                head = format!("SERVFAIL aa{flags}");
                authority.push(soa(&zone));
            }
            "soa" => answers.push(soa(&zone)),
            "edns" => edns = format!("{segment}\n"),
            "NOERROR" | "SERVFAIL" | "REFUSED" | "FORMERR" | "NOTIMP" | "BADVERS" => {
                head = segment.to_owned();
            }
            owner => {
                let bare = owner.strip_prefix('+');
                let name = full_name(bare.unwrap_or(owner));
                let name = if name == typed { "@".to_owned() } else { name };
                let has_ttl = words.get(1).is_some_and(|word| word.parse::<u32>().is_ok());
                let shown = if has_ttl { words[1].to_owned() } else { ttl.to_string() };
                let rest = words.iter().skip(if has_ttl { 2 } else { 1 }).map(|word| match *word {
                    "Z" => "cluster.local.".to_owned(),
                    word if word.ends_with(".Z") => full_name(word),
                    word => word.to_owned(),
                });
                let record = format!("{name} {shown} {}", rest.collect::<Vec<_>>().join(" "));
                match (bare, record.split(' ').nth(2)) {
                    (Some(_), _) => additional.push(record),
                    (None, Some("CNAME")) => aliases.push(record),
                    (None, _) => answers.push(record),
                }
            }
        }
    }
    let mut text = format!("{head}\n{edns}");
    aliases.iter().for_each(|record| line(&mut text, "answer", record));
    for (section, mut records) in [("answer", answers), ("authority", authority), ("additional", additional)]
    {
        records.sort();
        records.iter().for_each(|record| line(&mut text, section, record));
    }
    text
}
