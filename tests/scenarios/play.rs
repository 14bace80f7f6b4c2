//! Plays a scenario: acts in order, each checked where it stands.

use std::collections::VecDeque;

use super::bytes::{self, Rr, code_text, wire};
use super::language::{Act, Script};
use super::rig::{Came, Line, Rig, Road};

/// A play under way.
struct Play {
    /// The worker and its world.
    rig: Rig,
    /// What came to each upstream and was not looked at yet.
    inbox: Vec<VecDeque<Came>>,
    /// What each upstream was asked, as the scenario saw it.
    seen: Vec<Vec<Came>>,
    /// The name that each client asked for last, for `@`.
    names: std::collections::HashMap<u16, String>,
}

/// Plays a scenario; panics with the line where it goes another way.
pub(crate) fn play(file: &str, script: &Script) {
    let mut lines: Vec<Line> = Vec::new();
    let mut places = 1024;
    for (_, act) in script {
        match act {
            Act::Forward(line) => lines.push((**line).clone()),
            Act::Places(count) => places = *count,
            _ => {}
        }
    }
    let rig = Rig::new(&lines, places);
    let count = rig.upstreams.len();
    let mut play = Play {
        rig,
        inbox: vec![VecDeque::new(); count],
        seen: vec![Vec::new(); count],
        names: std::collections::HashMap::new(),
    };
    for (line, act) in script {
        if let Err(what) = play.act(act) {
            let waiting: Vec<String> = play
                .inbox
                .iter()
                .enumerate()
                .flat_map(|(place, inbox)| inbox.iter().map(move |came| (place, came)))
                .map(|(place, came)| format!("upstream {}: {}", place + 1, show(came)))
                .collect();
            panic!("{file}:{line}: {what}\nnot looked at: {waiting:?}");
        }
    }
    let unread = play.rig.unread();
    assert!(unread.is_empty(), "{file}: clients {unread:?} have replies that the scenario does not look at");
}

/// A query in words.
fn show(came: &Came) -> String {
    let by = match &came.road {
        Road::Datagram(_) => "udp",
        Road::Stream(job) => job.protocol.text(),
    };
    format!(
        "{} {} by {by}, edns {}",
        signpost::wire::show_name(&came.asked.name),
        came.asked.qtype,
        came.asked.edns
    )
}

impl Play {
    /// Does one act, or checks it.
    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Forward(_) | Act::Places(_) => return Ok(()),
            Act::Ask { clients, name, qtype, words } => {
                for client in clients {
                    self.rig.ask(*client, name, *qtype, words);
                    self.names.insert(*client, name.clone());
                }
                // Whole batches at a time.
                for _ in 0..clients.len() / 128 {
                    self.rig.settle();
                }
            }
            Act::Pass(time) => self.rig.pass(*time),
            Act::Asked { upstream, name, qtype, by, edns, bits } => {
                self.settle();
                let came = self.inbox.get_mut(*upstream).ok_or("there is no such upstream")?.pop_front();
                let came = came.ok_or("it was not asked")?;
                if !came.asked.is(name, *qtype) {
                    return Err(format!("it was asked {}", show(&came)));
                }
                let road = match &came.road {
                    Road::Datagram(_) => "udp",
                    Road::Stream(job) => job.protocol.text(),
                };
                let found = (road, came.asked.edns);
                if found != (by, *edns) {
                    return Err(format!("it was asked {}", show(&came)));
                }
                for (bit, on) in [("do", came.asked.dnssec_ok), ("cd", came.asked.flags & 0x10 != 0)] {
                    if on != bits.iter().any(|known| known == bit) {
                        return Err(format!("bit {bit} is {on}"));
                    }
                }
                self.seen[*upstream].push(came);
            }
            Act::Nothing(upstream) => {
                self.settle();
                let quiet = match upstream {
                    Some(upstream) => self.inbox.get(*upstream).is_none_or(VecDeque::is_empty),
                    None => self.inbox.iter().all(VecDeque::is_empty),
                };
                return quiet.then_some(()).ok_or_else(|| "something was sent".to_owned());
            }
            Act::Answer { upstream, query, code, records, tampering } => {
                let came = self.query(*upstream, *query)?;
                self.rig.say(&came.road, bytes::answer(&came.asked, *code, records, tampering));
            }
            Act::Fail { upstream, query, why } => {
                let came = self.query(*upstream, *query)?;
                self.rig.fail(&came.road, why);
            }
            Act::Forge { upstream, times } => {
                let came = self.query(*upstream, None)?;
                let poison = Rr::read(0, &["@", "86400", "A", "6.6.6.6"])?;
                for step in 1..=*times {
                    let mut guess = came.asked.clone();
                    // Every id but the right one.
                    guess.id = guess.id.wrapping_add(u16::try_from(step % 65_535 + 1).unwrap_or(1));
                    if guess.id != came.asked.id {
                        self.rig
                            .say(&came.road, bytes::answer(&guess, 0, std::slice::from_ref(&poison), &[]));
                    }
                }
            }
            Act::Get { clients, code, records, flags, ede } => {
                self.settle();
                let clients = if clients.is_empty() { self.rig.unread() } else { clients.clone() };
                for client in &clients {
                    self.gets(*client, *code, records, flags, ede.as_ref())?;
                }
            }
            Act::GetNothing(client) => {
                self.settle();
                if let Some(got) = self.rig.reply(*client) {
                    return Err(format!("it gets {got:?}"));
                }
            }
            Act::Count { upstream, what, number } => {
                self.settle();
                let found = self.count(*upstream, what);
                if found != *number {
                    return Err(format!("{what}: {found}"));
                }
            }
            Act::Up(upstream, up) => {
                self.settle();
                let found = self.rig.upstreams.get(*upstream).ok_or("there is no such upstream")?.health.up();
                return (found == *up).then_some(()).ok_or_else(|| "it is not".to_owned());
            }
            Act::Waiting(count) => {
                self.settle();
                let found = self.rig.worker.waiting();
                return (found == *count).then_some(()).ok_or_else(|| format!("{found} wait"));
            }
            Act::Sockets(most) => {
                self.settle();
                let found = self.rig.sockets();
                return (found <= *most).then_some(()).ok_or_else(|| format!("{found} are open"));
            }
        }
        self.settle();
        Ok(())
    }

    /// Lets the worker work, and sorts what it sent.
    fn settle(&mut self) {
        self.rig.settle();
        for came in self.rig.came() {
            self.inbox[came.upstream].push_back(came);
        }
    }

    /// A query that an upstream was asked and the scenario saw.
    fn query(&self, upstream: usize, query: Option<usize>) -> Result<Came, String> {
        let seen = self.seen.get(upstream).ok_or("there is no such upstream")?;
        let came = match query {
            Some(query) => seen.get(query),
            None => seen.last(),
        };
        came.cloned().ok_or_else(|| "it was not asked that, as far as the scenario saw".to_owned())
    }

    /// Checks the next reply of a client.
    fn gets(
        &mut self,
        client: u16,
        code: u16,
        records: &[Rr],
        flags: &[String],
        ede: Option<&(u16, String)>,
    ) -> Result<(), String> {
        let got = self.rig.reply(client).ok_or_else(|| format!("client {client} gets nothing"))?;
        if got.code != code {
            return Err(format!("client {client} gets {} {:?}", code_text(got.code), got.ede));
        }
        let name = self.names.get(&client).cloned().unwrap_or_default();
        let same = |left: &Rr, right: &Rr| {
            let owner = if left.owner == "@" { &name } else { &left.owner };
            // `@` also in data, for letters.
            wire(owner) == wire(&right.owner)
                && (left.section, left.ttl, &left.rtype) == (right.section, right.ttl, &right.rtype)
                && left.data.eq_ignore_ascii_case(&right.data)
        };
        let alike =
            records.len() == got.records.len() && records.iter().zip(&got.records).all(|(l, r)| same(l, r));
        if !alike {
            return Err(format!("client {client} gets {:#?}", got.records));
        }
        if got.flags != flags {
            return Err(format!("client {client} gets flags {:?}", got.flags));
        }
        match (ede, &got.ede) {
            (None, None) => Ok(()),
            (Some((code, text)), Some((found, said))) if code == found && said.contains(text.as_str()) => {
                Ok(())
            }
            (_, found) => Err(format!("client {client} gets the extended error {found:?}")),
        }
    }

    /// A counter.
    fn count(&self, upstream: Option<usize>, what: &str) -> u64 {
        use std::sync::atomic::Ordering::Relaxed;
        let Some(upstream) = upstream else {
            let group = &self.rig.groups[0];
            return match what {
                "rejected" => group.counts.rejected.load(Relaxed),
                "all_down" => group.counts.all_down.load(Relaxed),
                _ => group.counts.coalesced.load(Relaxed),
            };
        };
        let counts = &self.rig.upstreams[upstream].counts;
        match what {
            "queries" => counts.queries.load(Relaxed),
            "timeouts" => counts.timeouts.load(Relaxed),
            "errors" => counts.errors.load(Relaxed),
            "mismatches" => counts.mismatches.load(Relaxed),
            "late" => counts.late.load(Relaxed),
            "hedged" => counts.hedged.load(Relaxed),
            _ => counts.probe_failures.load(Relaxed),
        }
    }
}
