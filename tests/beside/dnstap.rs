//! `dnstap` (rule S-27): a collector, and what it is told by CoreDNS and by us.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType::{A, AAAA};
use parking_lot::Mutex;

use super::coredns::CoreDns;
use super::world::{PATIENCE, Upstream, exchange, metrics, page, query, show, start, until};

/// What the upstream holds.
const LINES: &str = "far.test. 300 A 192.0.2.1\n";

/// A field of protobuf.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Field {
    /// A number.
    Number(u64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Field {
    /// The number.
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => panic!("{self:?}"),
        }
    }

    /// The bytes.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => panic!("{self:?}"),
        }
    }
}

/// Reads a message of protobuf.
fn fields(mut rest: &[u8]) -> BTreeMap<u64, Field> {
    fn varint(rest: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, behind) = rest.split_first().unwrap();
            *rest = behind;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut all = BTreeMap::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut rest)),
            2 => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (bytes, behind) = rest.split_at(length);
                rest = behind;
                Field::Bytes(bytes.to_vec())
            }
            5 => {
                let (bytes, behind) = rest.split_first_chunk::<4>().unwrap();
                rest = behind;
                Field::Number(u32::from_le_bytes(*bytes).into())
            }
            other => panic!("wire type {other}"),
        };
        all.insert(tag >> 3, field);
    }
    all
}

/// An event: what is around the message, and the message.
type Told = (BTreeMap<u64, Field>, BTreeMap<u64, Field>);

/// A collector on a socket of the file system.
struct Collector {
    /// What it was told.
    told: Arc<Mutex<Vec<Told>>>,
}

/// Serves one sender.
fn collect(mut stream: UnixStream, told: &Mutex<Vec<Told>>) -> std::io::Result<()> {
    let word = |stream: &mut UnixStream| -> std::io::Result<usize> {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes)?;
        Ok(usize::try_from(u32::from_be_bytes(bytes)).unwrap())
    };
    loop {
        let length = word(&mut stream)?;
        if length > 0 {
            let mut message = vec![0; length];
            stream.read_exact(&mut message)?;
            let around = fields(&message);
            let inside = fields(around[&14].bytes());
            told.lock().push((around, inside));
            continue;
        }
        let length = word(&mut stream)?;
        let mut control = vec![0; length];
        stream.read_exact(&mut control)?;
        match control[3] {
            // READY: accepted, with the same content.
            4 => {
                control[3] = 1;
                stream.write_all(&[0; 4])?;
                stream.write_all(&u32::try_from(length).unwrap().to_be_bytes())?;
                stream.write_all(&control)?;
            }
            // STOP: finished.
            3 => stream.write_all(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5])?,
            _ => {}
        }
    }
}

impl Collector {
    /// One that listens at a path.
    fn listen(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let list = told.clone();
        std::thread::spawn(move || {
            // It ends with the tests.
            while let Ok((stream, _)) = listener.accept() {
                let _ = collect(stream, &list);
            }
        });
        Self { told }
    }

    /// One that connects to a path, as soon as somebody listens there.
    fn connect(path: &Path) -> Self {
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let (list, path) = (told.clone(), path.to_owned());
        std::thread::spawn(move || {
            let mut stream = UnixStream::connect(&path);
            while stream.is_err() {
                stream = UnixStream::connect(&path);
            }
            let _ = collect(stream.unwrap(), &list);
        });
        Self { told }
    }

    /// Waits for so many events and takes them.
    fn events(&self, count: usize) -> Vec<Told> {
        until("all events", || self.told.lock().len() >= count);
        std::mem::take(&mut *self.told.lock())
    }
}

/// An event in words, without what differs from one query to the next.
fn words(told: &Told, upstream: SocketAddr) -> String {
    let (around, message) = told;
    let text = |field: u64| {
        let bytes = around.get(&field).map(|field| field.bytes().to_vec()).unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    };
    let mut words = format!("{} | {} | {} | {}", text(1), text(2), text(3), around[&15].number());
    for (number, field) in message {
        words += &match number {
            6 => format!(" {number}=client"),
            7 if field.number() == u64::from(upstream.port()) => format!(" {number}=upstream"),
            8 | 9 | 12 | 13 => format!(" {number}=time"),
            10 | 14 => {
                let message = Message::from_vec(field.bytes()).unwrap();
                format!(" {number}=[{} {}]", message.queries[0], show(&message))
            }
            _ => format!(" {number}={field:?}"),
        };
    }
    words
}

/// A Corefile with a collector at a path.
fn corefile(port: u16, path: &Path, word: &str, options: &str, upstream: &Upstream) -> String {
    format!(
        ".:{port} {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n metadata\n {word} {} full {{\n identity me\n version v1\n {options}\n }}\n \
         rewrite name near.test far.test\n forward . {}\n}}\n",
        path.display(),
        upstream.addr()
    )
}

#[test]
fn what_clients_and_upstreams_say_is_told() {
    let upstream = Upstream::start(LINES);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours");
    let collector = Collector::listen(&path);
    let running =
        start(&corefile(0, &path, "dnstap", "extra \"{/forward/upstream} {name} {rcode}\"", &upstream));
    let server = running.addresses()[0];
    assert_eq!(
        show(&exchange(server, &query("near.test.", A)).unwrap().0),
        "NoError | near.test. 300 A 192.0.2.1"
    );
    let told = collector.events(4);
    let got: Vec<String> = told.iter().map(|told| words(told, upstream.addr())).collect();
    let to = upstream.addr();
    let local = "4=Bytes([127, 0, 0, 1])";
    assert_eq!(
        got,
        [
            format!(
                "me | v1 | - near.test. - | 1 1=Number(5) 2=Number(1) 3=Number(1) {local} 6=client 8=time 9=time 10=[near.test. IN A NoError]"
            ),
            "me | v1 | - near.test. - | 1 1=Number(7) 2=Number(1) 3=Number(1) 5=Bytes([127, 0, 0, 1]) 7=upstream 8=time 9=time 10=[far.test. IN A NoError]".to_owned(),
            "me | v1 | - near.test. - | 1 1=Number(8) 2=Number(1) 3=Number(1) 5=Bytes([127, 0, 0, 1]) 7=upstream 8=time 9=time 12=time 13=time 14=[far.test. IN A NoError | far.test. 300 A 192.0.2.1]".to_owned(),
            format!(
                "me | v1 | {to} near.test. - | 1 1=Number(6) 2=Number(1) 3=Number(1) {local} 6=client 8=time 9=time 12=time 13=time 14=[near.test. IN A NoError | near.test. 300 A 192.0.2.1]"
            ),
        ]
    );
    let seconds = |told: &Told, field: u64| Duration::from_secs(told.1[&field].number());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.abs_diff(seconds(&told[0], 8)) < PATIENCE && now.abs_diff(seconds(&told[3], 12)) < PATIENCE);
    until("the count", || {
        let sent = metrics(&running, "signpost_dnstap_sent_total{");
        sent == [format!("signpost_dnstap_sent_total{{endpoint=\"unix://{}\"}} 4", path.display())]
    });
    drop(running);
}

#[test]
fn collectors_that_come_are_told_too() {
    let upstream = Upstream::start(LINES);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours");
    let running = start(&corefile(0, &path, "dnstap listen", "", &upstream));
    let collector = Collector::connect(&path);
    let server = running.addresses()[0];
    until("the collector", || {
        exchange(server, &query("far.test.", AAAA)).unwrap();
        !collector.told.lock().is_empty()
    });
    drop(running);
}

#[test]
fn whoever_has_a_question_explained_asks_none_and_collectors_hear_nothing_of_it() {
    let upstream = Upstream::start(LINES);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours");
    let collector = Collector::listen(&path);
    let running = start(&corefile(0, &path, "dnstap", "", &upstream));
    let server = running.addresses()[0];
    let ask = || exchange(server, &query("near.test.", A)).unwrap();
    // The collector is there: what is not told from now on is not told on purpose.
    ask();
    assert_eq!(collector.events(4).len(), 4);
    for name in ["near.test.", "far.test."] {
        let told = page(&running, &format!("/explain?name={name}&type=A"));
        assert!(
            told.starts_with("HTTP/1.1 200") && told.contains(&upstream.addr().to_string()),
            "{name}: {told}"
        );
    }
    // Events come in order, so those of a look would be in front of these.
    ask();
    let kinds: Vec<u64> = collector.events(4).iter().map(|(_, message)| message[&1].number()).collect();
    assert_eq!(kinds, [5, 7, 8, 6], "the query, what the upstream was asked and said, the reply");
    drop(running);
}

#[test]
fn coredns_tells_the_same() {
    let upstream = Upstream::start(LINES);
    let folder = tempfile::tempdir().unwrap();
    let (our_path, their_path) = (folder.path().join("ours"), folder.path().join("theirs"));
    let (ours, theirs) = (Collector::listen(&our_path), Collector::listen(&their_path));
    let started = CoreDns::start(|port| corefile(port, &their_path, "dnstap", "extra {proto}", &upstream));
    let Some((_theirs, their_addr)) = started else { return };
    let running = start(&corefile(0, &our_path, "dnstap", "extra {proto}", &upstream));
    theirs.told.lock().clear();
    for (server, collector, forwarders) in
        [(running.addresses()[0], &ours, true), (their_addr, &theirs, true)]
    {
        let _ = forwarders;
        exchange(server, &query("near.test.", A)).unwrap();
        until("all events", || collector.told.lock().iter().any(|told| told.1[&1].number() == 6));
    }
    // It asked something else before, to see whether it is there.
    let about_ours = |collector: &Collector| {
        let told = collector.told.lock();
        let mut all: Vec<String> = told
            .iter()
            .filter(|told| {
                let message = told.1.get(&10).or(told.1.get(&14)).unwrap();
                let message = Message::from_vec(message.bytes()).unwrap();
                ["near.test.", "far.test."].contains(&message.queries[0].name().to_string().as_str())
            })
            .map(|(around, message)| {
                let mut message = message.clone();
                // From where an upstream was asked, it tells and we don't (rule S-27).
                if [7, 8].contains(&message[&1].number()) {
                    message.remove(&4);
                    message.remove(&6);
                }
                words(&(around.clone(), message), upstream.addr())
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(about_ours(&ours), about_ours(&theirs));
    drop(running);
}
