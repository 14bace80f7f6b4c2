//! Who asks: batches of random questions at a steady pace, over UDP and some over TCP, each answer judged.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record};
use parking_lot::Mutex;
use signpost::time::{Clock, Tick};

use super::past::{Past, Verdict};
use super::trouble::FAULTS;
use super::universe::{Question, TTL, records};

/// Questions of a batch.
const BATCH: usize = 20;

/// Sockets that batches take turns on, so that every worker is asked.
const SOCKETS: usize = 8;

/// One batch in so many goes over TCP.
const TCP_EVERY: usize = 10;

/// Batches of a connection before it is closed.
const PER_CONNECTION: usize = 50;

/// A question without an answer for so long is unanswered.
const PATIENCE: Duration = Duration::from_secs(2);

/// Wrong answers that are kept to be shown.
const SHOWN: usize = 20;

/// What came of the questions.
#[derive(Default)]
pub(crate) struct Tally {
    /// Questions over UDP.
    pub(crate) udp: u64,
    /// Questions over TCP.
    pub(crate) tcp: u64,
    /// Wrong answers.
    pub(crate) wrong: u64,
    /// SERVFAIL among them.
    pub(crate) failed: u64,
    /// The first wrong ones, in words.
    pub(crate) shown: Vec<String>,
    /// Questions without an answer.
    pub(crate) unanswered: u64,
    /// Round trips of batches by the power of two of their microseconds.
    pub(crate) times: [u64; 32],
    /// The longest time from a question to its answer.
    pub(crate) slowest: Duration,
    /// The oldest answer while all was well.
    pub(crate) oldest: Duration,
    /// For each fault, how late behind its end an answer was still in its traces.
    pub(crate) late: Vec<Duration>,
    /// The longest that the asker itself was kept waiting for its turn.
    pub(crate) stalled: Duration,
}

/// The asker.
pub(crate) struct Asker {
    /// Whom it asks.
    pub(crate) addr: SocketAddr,
    /// The judge.
    pub(crate) past: Arc<Mutex<Past>>,
    /// The time.
    pub(crate) clock: Clock,
    /// What came of it.
    pub(crate) tally: Arc<Mutex<Tally>>,
    /// Set to end it.
    pub(crate) stop: Arc<AtomicBool>,
    /// Questions a second.
    pub(crate) rate: u32,
}

/// A question under way.
type Asked = (Question, Tick, Vec<u8>);

impl Asker {
    /// Asks until it is stopped.
    pub(crate) fn run(&self, mut rng: Rng) -> anyhow::Result<()> {
        self.tally.lock().late = vec![Duration::ZERO; FAULTS.len()];
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(self.addr)?;
            sockets.push(socket);
        }
        let mut stream = None;
        let pause = Duration::from_secs(1) * u32::try_from(BATCH)? / self.rate.max(1);
        let mut due = self.clock.now();
        for batch in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            due = due.plus(pause);
            match due.since(self.clock.now()) {
                Duration::ZERO => {
                    let stall = self.clock.now().since(due);
                    let mut tally = self.tally.lock();
                    tally.stalled = tally.stalled.max(stall);
                    // What was missed is not made up for.
                    due = self.clock.now();
                }
                early => std::thread::sleep(early),
            }
            if batch.is_multiple_of(TCP_EVERY) {
                if (batch / TCP_EVERY).is_multiple_of(PER_CONNECTION) {
                    stream = None;
                }
                self.over_tcp(&mut stream, &mut rng);
            } else {
                self.over_udp(&sockets[batch % SOCKETS], &mut rng);
            }
        }
        Ok(())
    }

    /// A batch over UDP.
    fn over_udp(&self, socket: &UdpSocket, rng: &mut Rng) {
        let mut waiting: HashMap<u16, Asked> = HashMap::new();
        let start = self.clock.now();
        while waiting.len() < BATCH {
            let (id, question) = (rng.u16(..), Question::random(rng));
            let query = encode(id, question);
            if waiting.contains_key(&id) || socket.send(&query).is_err() {
                continue;
            }
            waiting.insert(id, (question, self.clock.now(), query));
        }
        let mut buffer = [0_u8; 4096];
        while !waiting.is_empty() {
            let Some(left) =
                PATIENCE.checked_sub(self.clock.now().since(start)).filter(|left| !left.is_zero())
            else {
                break;
            };
            if socket.set_read_timeout(Some(left)).is_err() {
                break;
            }
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            self.take(&buffer[..length], &mut waiting);
        }
        self.finish(BATCH, 0, start, waiting);
    }

    /// A batch over TCP, all questions in one write.
    fn over_tcp(&self, stream: &mut Option<TcpStream>, rng: &mut Rng) {
        let mut waiting: HashMap<u16, Asked> = HashMap::new();
        let start = self.clock.now();
        let mut bytes = Vec::new();
        while waiting.len() < BATCH {
            let (id, question) = (rng.u16(..), Question::random(rng));
            if waiting.contains_key(&id) {
                continue;
            }
            let query = encode(id, question);
            bytes.extend_from_slice(&u16::try_from(query.len()).unwrap_or(0).to_be_bytes());
            bytes.extend_from_slice(&query);
            waiting.insert(id, (question, start, query));
        }
        if self.converse(stream, &bytes, &mut waiting).is_err() {
            *stream = None;
        }
        self.finish(0, BATCH, start, waiting);
    }

    /// Writes the questions and reads until all are answered.
    fn converse(
        &self,
        stream: &mut Option<TcpStream>,
        bytes: &[u8],
        waiting: &mut HashMap<u16, Asked>,
    ) -> std::io::Result<()> {
        let stream = match stream {
            Some(stream) => stream,
            None => {
                let fresh = TcpStream::connect_timeout(&self.addr, PATIENCE)?;
                fresh.set_read_timeout(Some(PATIENCE))?;
                fresh.set_nodelay(true)?;
                stream.insert(fresh)
            }
        };
        stream.write_all(bytes)?;
        let mut buffer = [0_u8; 65_535];
        while !waiting.is_empty() {
            let mut length = [0_u8; 2];
            stream.read_exact(&mut length)?;
            let length = usize::from(u16::from_be_bytes(length));
            stream.read_exact(&mut buffer[..length])?;
            self.take(&buffer[..length], waiting);
        }
        Ok(())
    }

    /// Takes a reply and judges it.
    fn take(&self, reply: &[u8], waiting: &mut HashMap<u16, Asked>) {
        let now = self.clock.now();
        let id = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        // A reply to a question that was given up already counted as none.
        let Some((question, asked, query)) = waiting.remove(&id) else { return };
        let answer = read(reply, &query);
        let verdict = self.past.lock().judge(question, &answer, asked, now);
        let mut tally = self.tally.lock();
        tally.slowest = tally.slowest.max(now.since(asked));
        match verdict {
            Verdict::Right { age, late } => {
                tally.oldest = tally.oldest.max(age.unwrap_or_default());
                if let Some((fault, late)) = late
                    && let Some(one) = tally.late.get_mut(fault)
                {
                    *one = (*one).max(late);
                }
            }
            Verdict::Wrong(right) => {
                tally.wrong += 1;
                tally.failed += u64::from(answer.starts_with("SERVFAIL"));
                if tally.shown.len() < SHOWN {
                    let shown = format!(
                        "at {:.3} s, after {:.1} ms: {} {:?}: {answer}; right was: {}",
                        seconds(asked),
                        now.since(asked).as_secs_f64() * 1e3,
                        question.name(),
                        question.qtype(),
                        right.join(" | "),
                    );
                    super::say(&format!("WRONG {shown}"));
                    tally.shown.push(shown);
                }
            }
        }
    }

    /// Counts a batch.
    fn finish(&self, udp: usize, tcp: usize, start: Tick, waiting: HashMap<u16, Asked>) {
        let took = self.clock.now().since(start);
        let mut tally = self.tally.lock();
        tally.udp += udp as u64;
        tally.tcp += tcp as u64;
        tally.unanswered += waiting.len() as u64;
        for (question, ..) in waiting.into_values() {
            if tally.shown.len() < SHOWN {
                let over = if tcp > 0 { "TCP" } else { "UDP" };
                let shown = format!("at {:.3} s: {} over {over}: no answer", seconds(start), question.name());
                super::say(&format!("UNANSWERED {shown}"));
                tally.shown.push(shown);
            }
        }
        let bucket = (64 - u64::try_from(took.as_micros()).unwrap_or(u64::MAX).leading_zeros()) as usize;
        if let Some(count) = tally.times.get_mut(bucket) {
            *count += 1;
        }
    }
}

/// A moment in seconds.
fn seconds(tick: Tick) -> f64 {
    tick.since(Tick(0)).as_secs_f64()
}

/// A question as bytes, with EDNS so that no set is cut.
pub(crate) fn encode(id: u16, question: Question) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in question.name().split('.') {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend_from_slice(&(question.qtype() as u16).to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    query
}

/// A reply in the words of [`Question::answer`], or what is wrong with it whatever the cluster is like.
fn read(reply: &[u8], query: &[u8]) -> String {
    let message = match Message::from_vec(reply) {
        Ok(message) => message,
        Err(error) => return format!("cannot be decoded: {error}"),
    };
    let end = query.len() - 11;
    if reply.get(12..end) != query.get(12..end) {
        return "another question is echoed".to_owned();
    }
    let code = message.metadata.response_code;
    if code != ResponseCode::NoError && code != ResponseCode::NXDomain {
        return format!("{code:?}").to_uppercase();
    }
    if !message.metadata.authoritative || message.metadata.truncation {
        return "not authoritative, or cut".to_owned();
    }
    let has_soa = message.authorities.iter().any(|record| matches!(record.data, RData::SOA(_)));
    let owner = message.queries.first().map(|question| question.name().clone()).unwrap_or_default();
    match (code, message.answers.is_empty(), has_soa) {
        (ResponseCode::NXDomain, true, true) => "NX".to_owned(),
        (ResponseCode::NoError, true, true) => "NODATA".to_owned(),
        (ResponseCode::NoError, false, false) => {
            if let Some(odd) = message.answers.iter().find(|one| one.ttl != TTL || one.name != owner) {
                return format!("an odd record: {odd}");
            }
            let count = message.answers.len();
            let all = records(message.answers.iter().map(show));
            if all.split("; ").count() == count { all } else { format!("twice: {all}") }
        }
        _ => format!("{code:?} with {} answers, SOA {has_soa}", message.answers.len()),
    }
}

/// A record's type and data.
fn show(record: &Record) -> String {
    let data = match &record.data {
        RData::A(a) => a.0.to_string(),
        RData::CNAME(name) => name.0.to_ascii(),
        RData::PTR(name) => name.0.to_ascii(),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.to_ascii())
        }
        other => format!("{other:?}"),
    };
    format!("{} {data}", record.record_type())
}
