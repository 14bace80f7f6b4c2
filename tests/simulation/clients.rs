//! Clients: what they asked, over a network that loses and doubles, and what came back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use signpost::server::StreamId;
use signpost::server::memory::World;
use signpost::store::STALE_TTL;

use crate::harness::{Ask, text};
use crate::history::{History, TTL};
use crate::outside;
use crate::rig::Rig;
use crate::truth::Asked;

/// How long any query may take.
pub(crate) const LONGEST: Duration = Duration::from_secs(12);

/// Names of the cluster: as a table has them, what they are about, and how they are asked for.
pub(crate) type Names = Rc<[(String, Asked, Ask)]>;

/// What is asked for.
#[derive(Clone)]
enum Subject {
    /// A name of the cluster.
    Cluster(Asked),
    /// A name outside.
    Outside(String),
}

/// A query under way.
struct Query {
    /// What is asked for, as a table has it.
    words: String,
    /// What that is about.
    subject: Subject,
    /// How it was asked.
    ask: Ask,
    /// Its bytes.
    bytes: Vec<u8>,
    /// When it was sent.
    sent: Duration,
    /// How many replies it may have.
    copies: u32,
    /// How many it had.
    got: u32,
    /// Whether its stream was cut before the reply could come.
    given_up: bool,
    /// Whether it was sent on a stream.
    stream: bool,
}

/// What is known to be so when a reply comes.
pub(crate) struct Facts<'h> {
    /// What objects were.
    pub(crate) history: &'h History,
    /// When the first lists were complete.
    pub(crate) synced: Option<Duration>,
    /// Whether upstreams fail, or did a moment ago.
    pub(crate) troubled: bool,
    /// Whether answers about the cluster may be said to be fresh, and to be stale.
    pub(crate) may_be: (bool, bool),
    /// The time.
    pub(crate) now: Duration,
}

/// All clients.
pub(crate) struct Clients {
    /// Names of the cluster.
    names: Names,
    /// Queries by id.
    queries: HashMap<u16, Query>,
    /// Streams that are open, with what was read of each.
    streams: Vec<(StreamId, Vec<u8>)>,
    /// The last id.
    last: u16,
    /// How many replies were judged.
    pub(crate) judged: u64,
    /// How many of them said that nothing can be said.
    pub(crate) failures: u64,
    /// How many of them said that they are stale.
    pub(crate) stale: u64,
}

/// What is asked for a name outside.
fn outside(name: String) -> (String, Ask, Subject) {
    let words = format!("{name} A +rd +edns");
    (words.clone(), Ask::parse(&words), Subject::Outside(name))
}

/// A client's address.
fn peer(id: u16) -> SocketAddr {
    // No client has more streams than one may have.
    let [high, low] = id.to_be_bytes();
    SocketAddr::from(([10, 9, high, low], id))
}

impl Clients {
    /// Clients that asked nothing yet.
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            queries: HashMap::new(),
            streams: Vec::new(),
            last: 1023,
            judged: 0,
            failures: 0,
            stale: 0,
        }
    }

    /// Somebody asks for something, over a datagram or a stream, and the network does to it what it does.
    pub(crate) fn ask_any(&mut self, world: &World, rng: &mut Rng, now: Duration) {
        let (words, ask, subject) = if rng.u8(..10) < 7 {
            let (words, asked, ask) = self.names[rng.usize(..self.names.len())].clone();
            // Half of them would be told that an answer is stale.
            let extended = rng.bool().then(|| format!("{words} +edns"));
            let ask = extended.as_deref().map_or(ask, Ask::parse);
            (extended.unwrap_or(words), ask, Subject::Cluster(asked))
        } else {
            outside(outside::name(rng))
        };
        let id = self.note(words, ask, subject, now);
        let Some(query) = self.queries.get_mut(&id) else { return };
        match rng.u8(..20) {
            // Lost.
            0 => query.copies = 0,
            // Doubled.
            1 => query.copies = 2,
            // Over a stream, in pieces, perhaps cut at once.
            2 | 3 => {
                query.stream = true;
                let stream = world.connect(0, peer(id), usize::MAX);
                let framed =
                    [&u16::try_from(query.bytes.len()).unwrap().to_be_bytes()[..], &query.bytes].concat();
                let cut = rng.usize(..=framed.len());
                world.write(stream, &framed[..cut]);
                if rng.u8(..4) == 0 {
                    query.given_up = true;
                    world.end(stream);
                } else {
                    world.write(stream, &framed[cut..]);
                    if rng.bool() {
                        world.end(stream);
                    }
                }
                self.streams.push((stream, Vec::new()));
                return;
            }
            _ => {}
        }
        (0..query.copies).for_each(|_| world.send(0, peer(id), &query.bytes));
    }

    /// Asks for all names at once; their ids.
    pub(crate) fn ask_all(&mut self, world: &World, cluster: bool, now: Duration) -> Vec<u16> {
        let subjects: Vec<(String, Ask, Subject)> = match cluster {
            true => self
                .names
                .iter()
                .map(|(words, asked, ask)| (words.clone(), ask.clone(), Subject::Cluster(asked.clone())))
                .collect(),
            false => outside::names().map(outside).collect(),
        };
        let mut ids = Vec::new();
        for (words, ask, subject) in subjects {
            let id = self.note(words, ask, subject, now);
            world.send(0, peer(id), &self.queries[&id].bytes);
            ids.push(id);
        }
        ids
    }

    /// Writes a query down; its id.
    fn note(&mut self, words: String, ask: Ask, subject: Subject, now: Duration) -> u16 {
        self.last = if self.last == u16::MAX { 1024 } else { self.last + 1 };
        let bytes = ask.bytes(self.last);
        let query = Query {
            words,
            subject,
            ask,
            bytes,
            sent: now,
            copies: 1,
            got: 0,
            given_up: false,
            stream: false,
        };
        self.queries.insert(self.last, query);
        self.last
    }

    /// Takes what came back and judges it. Errors: what is wrong.
    pub(crate) fn receive(&mut self, rig: &mut Rig, facts: &Facts<'_>) -> Result<(), String> {
        for (_, to, bytes) in rig.received() {
            self.judge(to.port(), &bytes, facts)?;
        }
        let world = &rig.world;
        let mut replies = Vec::new();
        for (stream, read) in &mut self.streams {
            read.extend(world.read(*stream));
            while let Some(length) = read.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)))
                && read.len() >= 2 + length
            {
                let rest = read.split_off(2 + length);
                replies.push(std::mem::replace(read, rest).split_off(2));
            }
        }
        self.streams.retain(|(stream, _)| {
            let closed = world.closed(*stream);
            if closed {
                world.forget(*stream);
            }
            !closed
        });
        for reply in replies {
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            self.judge(id, &reply, facts)?;
        }
        Ok(())
    }

    /// Judges a reply. Errors: what is wrong with it.
    fn judge(&mut self, id: u16, bytes: &[u8], facts: &Facts<'_>) -> Result<(), String> {
        let query = self.queries.get_mut(&id).ok_or_else(|| format!("{id} asked nothing and has a reply"))?;
        query.got += 1;
        self.judged += 1;
        let said = text(bytes, &query.bytes);
        let wrong = |why: &str| {
            Err(format!(
                "{} asked at {:?}, answered at {:?}: {why}\n{said}",
                query.words, query.sent, facts.now
            ))
        };
        if bytes[..2] != id.to_be_bytes() {
            return wrong("another id");
        }
        if query.got > query.copies {
            return wrong("a reply too many");
        }
        let reply = Message::from_vec(bytes).map_err(|error| format!("{error}: {bytes:02x?}"))?;
        let code = u16::from(reply.metadata.response_code);
        let failure = code == 2 || code == 5;
        self.failures += u64::from(failure);
        match &query.subject {
            Subject::Cluster(asked) => {
                // Before the first lists are complete nobody knows anything, which is said, and not that nothing is there.
                let early = facts.synced.is_none_or(|synced| query.sent <= synced);
                if early && code == 2 {
                    return Ok(());
                }
                // The line of the OPT says whether it is stale; who sent none is told by the TTL alone.
                let (opt, rest): (Vec<&str>, Vec<&str>) =
                    said.split_inclusive('\n').partition(|line| line.starts_with("edns "));
                let rest = rest.concat();
                let told: &[&str] = match query.words.ends_with(" +edns") {
                    true => &["edns 1232\n", "edns 1232 ede=3\n"],
                    false => &[""],
                };
                let place = told.iter().position(|told| opt.concat() == *told);
                let room = (!query.stream).then(|| query.ask.limit().saturating_sub(bytes.len()));
                let fits = |ttl: u32| facts.history.allows(&query.ask, asked, &rest, ttl, room);
                let stale = match (place, told.len()) {
                    (None, _) => return wrong("another OPT than was asked for"),
                    (Some(place), 2) => fits(if place == 0 { TTL } else { STALE_TTL }).then_some(place == 1),
                    _ if fits(TTL) => Some(false),
                    _ => fits(STALE_TTL).then_some(true),
                };
                match stale {
                    None => {
                        let could = facts.history.answers(asked);
                        return wrong(&format!("no state of its objects says so, of {could:?}"));
                    }
                    Some(false) if !facts.may_be.0 => {
                        return wrong("nobody confirmed that for three minutes");
                    }
                    Some(true) if !facts.may_be.1 => return wrong("that was confirmed a moment ago"),
                    Some(stale) => self.stale += u64::from(stale),
                }
            }
            Subject::Outside(name) => {
                let mut addresses: Vec<IpAddr> = Vec::new();
                for record in &reply.answers {
                    match &record.data {
                        RData::A(a) if record.name.to_ascii().eq_ignore_ascii_case(name) => {
                            addresses.push(a.0.into())
                        }
                        _ => return wrong("a record of somebody else"),
                    }
                }
                let right = match outside::truth(name) {
                    Some(address) => code == 0 && addresses == [address],
                    None => code == 3 && addresses.is_empty(),
                };
                let nothing = addresses.is_empty() && (failure || code == 0);
                if !(right || nothing && facts.troubled) {
                    return wrong("that is not true");
                }
            }
        }
        Ok(())
    }

    /// Whom they asked is no more: nothing that is under way has a reply, and streams are gone.
    pub(crate) fn forget(&mut self) {
        for query in self.queries.values_mut().filter(|query| query.got == 0) {
            query.copies = 0;
        }
        self.streams.clear();
    }

    /// Whether all of these were answered.
    pub(crate) fn answered(&self, ids: &[u16]) -> bool {
        ids.iter().all(|id| self.queries.get(id).is_some_and(|query| query.got > 0))
    }

    /// Forgets what was answered, and what nobody waits for any more. Errors: what never had its reply.
    pub(crate) fn tidy(&mut self, now: Duration) -> Result<(), String> {
        let late = |query: &&Query| {
            query.got == 0 && query.copies > 0 && !query.given_up && now > query.sent + LONGEST
        };
        if let Some(query) = self.queries.values().find(late) {
            let road = if query.stream { "over a stream" } else { "in a datagram" };
            return Err(format!("{} asked {road} at {:?} had no reply by {now:?}", query.words, query.sent));
        }
        self.queries.retain(|_, query| now <= query.sent + LONGEST);
        Ok(())
    }
}
