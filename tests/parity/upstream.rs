//! An upstream over UDP and TCP that says all that upstreams say, by the first label of the name.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, NULL, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;

/// The names that it knows: `NAME.test.`; all others are NXDOMAIN.
pub(crate) const NAMES: &[&str] = &[
    "plain",
    "many",
    "ttl0",
    "ttl1",
    "ttl4",
    "ttl5",
    "ttl60",
    "ttlmax",
    "chain",
    "half",
    "dangling",
    "missing",
    "nosoa",
    "empty",
    "nodata",
    "nodata0",
    "referral",
    "servfail",
    "refused",
    "notimp",
    "formerr",
    "big",
    "extra",
    "stray",
    "authentic",
    "authoritative",
    "norecursion",
    "unknown",
];

/// The upstream; its threads end with the process.
pub(crate) struct Upstream {
    /// Where it is, for both transports.
    pub(crate) addr: SocketAddr,
    /// What it was asked since it was last looked at: name in lower case and type.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let this = Self { addr: udp.local_addr().unwrap(), asked: Arc::default() };
        let list = this.asked.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut bytes) {
                if let Some(reply) = answer(&bytes[..length], &list, false) {
                    let _ = udp.send_to(&reply, from);
                }
            }
        });
        let list = this.asked.clone();
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let list = list.clone();
                std::thread::spawn(move || serve(stream, &list));
            }
        });
        this
    }

    /// Whether it was asked this since the last call.
    pub(crate) fn was_asked(&self, question: &str) -> bool {
        let asked = std::mem::take(&mut *self.asked.lock());
        asked.iter().any(|asked| asked == question)
    }
}

/// Serves a connection to its end.
fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        let Some(reply) = answer(&query, asked, true) else { return };
        let mut framed = u16::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(&reply);
        let _ = stream.write_all(&framed);
    }
}

/// A name.
fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The SOA of negative answers: that of the name's last label.
fn soa(below: &Name, ttl: u32, minimum: u32) -> Record {
    let soa = SOA::new(name("ns.test."), name("hostmaster.test."), 1, 7200, 1800, 86_400, minimum);
    Record::from_rdata(below.to_lowercase().trim_to(1), ttl, RData::SOA(soa))
}

/// The reply to a query; `None` for what is none.
fn answer(query: &[u8], asked: &Mutex<Vec<String>>, over_tcp: bool) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let (owner, rtype) = (question.name().clone(), question.query_type());
    let lower = owner.to_lowercase().to_ascii();
    asked.lock().push(format!("{lower} {rtype}"));
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.add_query(question);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.checking_disabled = query.metadata.checking_disabled;
    reply.metadata.recursion_available = true;
    if let Some(edns) = query.edns {
        let mut own = hickory_proto::op::Edns::new();
        own.set_max_payload(1232);
        own.set_dnssec_ok(edns.flags().dnssec_ok);
        reply.set_edns(own);
    }
    let first = lower.split('.').next()?;
    let known = lower.ends_with(".test.") && NAMES.contains(&first);
    fill(&mut reply, if known { first } else { "missing" }, &owner, rtype, over_tcp);
    reply.to_vec().ok()
}

/// Adds an IPv4 address to the answer.
fn address(reply: &mut Message, owner: &Name, ttl: u32, last: u8) {
    reply.add_answer(Record::from_rdata(owner.clone(), ttl, RData::A(A::new(192, 0, 2, last))));
}

/// Adds an alias to the answer.
fn alias(reply: &mut Message, owner: &Name, ttl: u32, target: &str) {
    reply.add_answer(Record::from_rdata(owner.clone(), ttl, RData::CNAME(CNAME(name(target)))));
}

/// What is said by a name.
fn fill(reply: &mut Message, first: &str, owner: &Name, rtype: RecordType, over_tcp: bool) {
    let code = match first {
        "servfail" => ResponseCode::ServFail,
        "refused" => ResponseCode::Refused,
        "notimp" => ResponseCode::NotImp,
        "formerr" => ResponseCode::FormErr,
        "missing" | "nosoa" | "dangling" => ResponseCode::NXDomain,
        _ => ResponseCode::NoError,
    };
    reply.metadata.response_code = code;
    match first {
        "servfail" | "refused" | "notimp" | "formerr" | "nosoa" | "empty" => {}
        "missing" => drop(reply.add_authority(soa(owner, 300, 60))),
        "nodata" => drop(reply.add_authority(soa(owner, 60, 300))),
        "nodata0" => drop(reply.add_authority(soa(owner, 300, 0))),
        "dangling" => {
            alias(reply, owner, 200, "gone.test.");
            reply.add_authority(soa(owner, 300, 60));
        }
        "half" => {
            alias(reply, owner, 200, "other.test.");
            reply.add_authority(soa(owner, 300, 60));
        }
        "referral" => {
            let ns = RData::NS(NS(name("ns.elsewhere.test.")));
            reply.add_authority(Record::from_rdata(owner.clone(), 300, ns));
        }
        "chain" if matches!(rtype, RecordType::A | RecordType::CNAME) => {
            alias(reply, owner, 300, "mid.test.");
            if rtype == RecordType::A {
                alias(reply, &name("mid.test."), 20, "end.test.");
                address(reply, &name("end.test."), 100, 9);
            }
        }
        "big" if rtype == RecordType::TXT => {
            if !over_tcp {
                reply.metadata.truncation = true;
                return;
            }
            for number in 0..10 {
                let data = RData::TXT(TXT::new(vec![format!("{number}{}", "x".repeat(200))]));
                reply.add_answer(Record::from_rdata(owner.clone(), 300, data));
            }
        }
        "unknown" if rtype == RecordType::from(65_400) => {
            let data = RData::Unknown { code: rtype, rdata: NULL::with(vec![1, 2, 3, 4]) };
            reply.add_answer(Record::from_rdata(owner.clone(), 300, data));
        }
        _ => data(reply, first, owner, rtype),
    }
}

/// The same for names with addresses.
fn data(reply: &mut Message, first: &str, owner: &Name, rtype: RecordType) {
    let ttl = match first {
        "ttlmax" => u32::MAX,
        _ => first.strip_prefix("ttl").map_or(300, |ttl| ttl.parse().unwrap()),
    };
    if matches!(rtype, RecordType::A | RecordType::ANY) {
        address(reply, owner, ttl, 1);
        if first == "many" {
            address(reply, owner, ttl, 2);
            address(reply, owner, ttl, 3);
        }
    }
    if matches!(rtype, RecordType::AAAA | RecordType::ANY) && first == "many" {
        let data = RData::AAAA(AAAA("2001:db8::1".parse().unwrap()));
        reply.add_answer(Record::from_rdata(owner.clone(), ttl, data));
    }
    if reply.answers.is_empty() {
        reply.add_authority(soa(owner, 60, 60));
        return;
    }
    match first {
        "stray" => address(reply, &name("victim.test."), 300, 66),
        "extra" => {
            let ns = RData::NS(NS(name("ns.test.")));
            reply.add_authority(Record::from_rdata(name("test."), 500, ns));
            let glue = RData::A(A::new(192, 0, 2, 53));
            reply.add_additional(Record::from_rdata(name("ns.test."), 500, glue));
        }
        "authentic" => reply.metadata.authentic_data = true,
        "authoritative" => reply.metadata.authoritative = true,
        "norecursion" => reply.metadata.recursion_available = false,
        _ => {}
    }
}
