//! Servers of ours, those who ask them, and words for what they say.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use signpost::app::{Running, ServeOptions, serve};

/// How long something may take that should happen soon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A zone with everything that makes answers differ.
pub(crate) const EXAMPLE: &str = "\
$TTL 1h
@ IN SOA ns.example.org. hostmaster ( 7 2h 30m 2w 300 )
  NS ns
  NS ns.other.test.
  MX 10 mail
ns A 192.0.2.53
   AAAA 2001:db8::53
mail 60 A 192.0.2.25
www CNAME web
web A 192.0.2.80
 A 192.0.2.81
out CNAME www.other.test.
lost CNAME nothing.other.test.
bad CNAME bad.other.test.
foreign CNAME www.nowhere.test.
dangling CNAME nothing
a.b.c TXT \"one two\" three
*.wild A 192.0.2.9
ent.deep.wild A 192.0.2.10
sub NS ns.sub
sub NS ns.elsewhere.test.
sub DS 1 8 2 abababababababababababababababababababababababababababababababab
ns.sub A 192.0.2.99
moved DNAME target
x.target A 192.0.2.44
far DNAME other.test.
_sip._tcp SRV 0 5 5060 mail
svc HTTPS 1 web alpn=h2,h3
into CNAME deep.sub
";

/// The same zone with another serial, and what else is written.
pub(crate) fn example(serial: u32, more: &str) -> String {
    EXAMPLE.replace("( 7 ", &format!("( {serial} ")) + more
}

/// Starts a server of ours from a text.
pub(crate) fn start(text: &str) -> Running {
    try_start(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The same, or why it does not start.
pub(crate) fn try_start(text: &str) -> Result<Running, String> {
    let options = ServeOptions { text: text.to_owned(), ..ServeOptions::default() };
    serve(options).map_err(|error| error.to_string())
}

/// Starts a server from a file, which can be changed.
pub(crate) fn start_file(path: &Path, text: &str) -> Running {
    std::fs::write(path, text).unwrap();
    let options =
        ServeOptions { text: text.to_owned(), path: Some(path.to_owned()), ..ServeOptions::default() };
    serve(options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Waits until `done` says so.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A question.
pub(crate) fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    message
}

/// What a server replies over UDP; `None` where nothing comes.
pub(crate) fn exchange(server: SocketAddr, message: &Message) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).unwrap();
    let mut reply = [0; 4096];
    let length = socket.recv(&mut reply).ok()?;
    Some(Message::from_vec(&reply[..length]).unwrap())
}

/// A record in text.
pub(crate) fn line(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}

/// A reply in text: code and flags, then the records of each section, sorted.
pub(crate) fn show(reply: &Message) -> String {
    let mut text = format!("{:?}", reply.metadata.response_code);
    for (on, flag) in [(reply.metadata.authoritative, " aa"), (reply.metadata.truncation, " tc")] {
        text.push_str(if on { flag } else { "" });
    }
    for (section, records) in
        [("", &reply.answers), ("authority ", &reply.authorities), ("additional ", &reply.additionals)]
    {
        let mut lines: Vec<String> = records.iter().map(line).collect();
        lines.sort();
        lines.iter().for_each(|line| text.push_str(&format!(" | {section}{line}")));
    }
    text
}

/// What a server replies to a question, in text.
pub(crate) fn ask(server: SocketAddr, name: &str, rtype: RecordType) -> String {
    exchange(server, &query(name, rtype)).map_or("silence".to_owned(), |reply| show(&reply))
}

/// What a transfer brought.
pub(crate) struct Transferred {
    /// The code of the first message.
    pub(crate) code: ResponseCode,
    /// How many messages.
    pub(crate) messages: usize,
    /// All records, in order.
    pub(crate) records: Vec<Record>,
}

impl Transferred {
    /// The records as a set of lines.
    pub(crate) fn set(&self) -> BTreeSet<String> {
        self.records.iter().map(line).collect()
    }
}

/// A question for a whole zone; `known` makes it an IXFR of who has that serial.
pub(crate) fn whole_query(zone: &str, known: Option<u32>) -> Message {
    let rtype = if known.is_some() { RecordType::IXFR } else { RecordType::AXFR };
    let mut message = query(zone, rtype);
    if let Some(serial) = known {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let soa = SOA::new(name("a."), name("b."), serial, 1, 1, 1, 1);
        message.add_authority(Record::from_rdata(name(zone), 0, RData::SOA(soa)));
    }
    message
}

/// Sends a message over a fresh connection.
pub(crate) fn send(server: SocketAddr, message: &Message) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let bytes = message.to_vec().unwrap();
    stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    stream
}

/// Reads a message from a connection.
pub(crate) fn receive(stream: &mut TcpStream) -> Message {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).unwrap();
    Message::from_vec(&bytes).unwrap()
}

/// Transfers a zone over TCP: to the second SOA, the only SOA, or an error.
pub(crate) fn transfer(server: SocketAddr, zone: &str, known: Option<u32>) -> Transferred {
    let mut stream = send(server, &whole_query(zone, known));
    let mut all = Transferred { code: ResponseCode::NoError, messages: 0, records: Vec::new() };
    loop {
        let message = receive(&mut stream);
        all.code = message.metadata.response_code;
        all.messages += 1;
        let first = message.answers.first().is_some_and(|first| first.record_type() == RecordType::SOA);
        let alone = known.is_some() && first && all.messages == 1 && message.answers.len() == 1;
        all.records.extend(message.answers);
        let soas = all.records.iter().filter(|record| record.record_type() == RecordType::SOA).count();
        if all.code != ResponseCode::NoError || alone || soas == 2 {
            return all;
        }
        assert!(soas == 1, "a transfer begins with the SOA");
    }
}

/// Where a program is, if it is.
pub(crate) fn program(name: &str) -> Option<String> {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| format!("{place}/{name}")).find(|path| Path::new(path).exists());
    if found.is_none() {
        eprintln!("skipped: there is no {name} on this machine");
    }
    found
}

/// What a program prints.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
