//! What `file`, `auto` and `secondary` have in common: a step that answers from zones of records.

use std::net::IpAddr;
use std::sync::Arc;

use super::asked::Asked;
use super::auto::Folder;
use super::kubernetes::Fallthrough;
use super::step::{Answer, Ask, Context, Flow, Reply, Step};
use super::transfer::Whole;
use crate::corefile::Zone as ZoneName;
use crate::transfer::Replica;
use crate::wire::{Ede, Question, Rcode, Sections, rtype};
use crate::zone::{Held, Sender, Verdict, Zone};

/// A zone that a Corefile names.
pub(super) struct Fixed {
    /// Its name.
    pub(super) zone: ZoneName,
    /// What is known of it.
    pub(super) held: Arc<Held>,
    /// How it is followed, if it comes from primaries.
    pub(super) replica: Option<Arc<Replica>>,
    /// Where its name errors go on.
    pub(super) fallthrough: Arc<Fallthrough>,
}

/// Where the zones of a step come from.
pub(super) enum Zones {
    /// From the Corefile; most labels first.
    Fixed(Vec<Fixed>),
    /// From a folder; only names in `served` are answered.
    Folder {
        /// Names that are answered.
        served: Vec<ZoneName>,
        /// The folder.
        folder: Arc<Folder>,
        /// Where name errors go on.
        fallthrough: Fallthrough,
    },
}

impl Zones {
    /// Zones of the Corefile, each once.
    ///
    /// Errors: the name of a zone that is there twice.
    pub(super) fn fixed(mut zones: Vec<Fixed>) -> Result<Self, ZoneName> {
        zones.sort_by_key(|fixed| std::cmp::Reverse(fixed.zone.labels()));
        let twice = zones
            .iter()
            .enumerate()
            .find(|(place, fixed)| zones.iter().take(*place).any(|earlier| earlier.zone == fixed.zone));
        match twice.map(|(_, fixed)| fixed.zone.clone()) {
            Some(zone) => Err(zone),
            None => Ok(Self::Fixed(zones)),
        }
    }
}

/// The step.
pub(super) struct Authority {
    /// The Corefile's word.
    pub(super) word: &'static str,
    /// The zones.
    pub(super) zones: Zones,
}

impl Authority {
    /// The zone of a name, and where its name errors go on: the longest zone; for the DS at a zone's own name the one above
    /// it, where there is one.
    fn held(&self, question: &Question) -> Option<(Arc<Held>, &Fallthrough)> {
        let above = question.qtype == rtype::DS && question.labels() > 0;
        match &self.zones {
            Zones::Fixed(zones) => {
                let mut exact = None;
                for fixed in zones {
                    match question.below(fixed.zone.wire(), fixed.zone.labels()) {
                        Some(0) if above => exact = Some(fixed),
                        Some(_) => return Some((fixed.held.clone(), &fixed.fallthrough)),
                        None => {}
                    }
                }
                exact.map(|fixed| (fixed.held.clone(), &*fixed.fallthrough))
            }
            Zones::Folder { served, folder, fallthrough } => {
                let ours = |zone: &ZoneName| question.below(zone.wire(), zone.labels()).is_some();
                if !served.iter().any(ours) {
                    return None;
                }
                let mut exact = None;
                let zones = folder.zones();
                for zone in zones.iter() {
                    match question.below(&zone.origin, zone.labels) {
                        Some(0) if above => exact = Some(zone),
                        Some(_) => return Some((zone.held.clone(), fallthrough)),
                        None => {}
                    }
                }
                exact.map(|zone| (zone.held.clone(), fallthrough))
            }
        }
    }

    /// The zone that is exactly the question's name.
    fn exactly(&self, question: &Question) -> Option<Arc<Held>> {
        let name = question.lower();
        match &self.zones {
            Zones::Fixed(zones) => {
                zones.iter().find(|fixed| fixed.zone.wire() == name).map(|fixed| fixed.held.clone())
            }
            Zones::Folder { folder, .. } => {
                folder.zones().iter().find(|zone| *zone.origin == *name).map(|zone| zone.held.clone())
            }
        }
    }

    /// Whether the client wants proofs.
    fn dnssec_ok(asked: &Asked) -> bool {
        asked.query.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// The reply to a question whose aliases lead to the end that `rcode` and `empty` tell.
    fn completed(asked: &Asked, zone: &Zone, mut sections: Sections, rcode: Rcode, empty: bool) -> Reply {
        let rcode = match rcode {
            Rcode::NXDOMAIN | Rcode::SERVFAIL => rcode,
            _ => Rcode::NOERROR,
        };
        let denied = rcode == Rcode::NXDOMAIN || empty;
        zone.complete(&asked.question, Self::dnssec_ok(asked), denied, &mut sections);
        Reply::new(rcode, sections).authoritative()
    }
}

impl Step for Authority {
    fn word(&self) -> &'static str {
        self.word
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let Some((held, fallthrough)) = self.held(&asked.question) else { return Flow::Next };
        let Some(zone) = held.live() else {
            return Flow::Reply(Reply::code(Rcode::SERVFAIL).because(NOT_LOADED));
        };
        let mut sections = asked.draft();
        let verdict = zone.answer(&asked.question, Self::dnssec_ok(asked), &mut sections);
        let answers = sections.records().iter().any(|record| record.section == crate::wire::Section::Answer);
        let rcode = match verdict {
            Verdict::Outside(question) => {
                return Flow::Wait(Ask::Question { question, held: Some(sections) });
            }
            // What has no records of its own goes on like a name that is not there. Source: coredns `plugin/file/file.go`.
            Verdict::Missing | Verdict::Empty if !answers && fallthrough.takes(&asked.question) => {
                asked.reclaim(sections);
                return Flow::Next;
            }
            Verdict::Endless => {
                return Flow::Reply(Self::completed(asked, &zone, sections, Rcode::NOERROR, false));
            }
            Verdict::Referral if !answers => return Flow::Reply(Reply::new(Rcode::NOERROR, sections)),
            Verdict::Data | Verdict::NoData | Verdict::Empty | Verdict::Referral => Rcode::NOERROR,
            Verdict::Missing => Rcode::NXDOMAIN,
            Verdict::TooLong => Rcode::YXDOMAIN,
        };
        Flow::Reply(Reply::new(rcode, sections).authoritative())
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, _: &mut Context<'_>) -> Flow {
        let zone = self.held(&asked.question).and_then(|(held, _)| held.live());
        let failed = Flow::Reply(Reply::code(Rcode::SERVFAIL).because(Ede::NO_AUTHORITY));
        let Some(zone) = zone else { return failed };
        match answer {
            Answer::Nobody { held } => {
                let sections = held.unwrap_or_default();
                Flow::Reply(Self::completed(asked, &zone, sections, Rcode::NOERROR, false))
            }
            Answer::Reply { reply, question, held } => {
                let mut sections = held.unwrap_or_default();
                sections.append_answer(&reply.sections, &question);
                let rcode = reply.head.rcode;
                let any = &reply.sections.records();
                let empty = rcode == Rcode::NOERROR
                    && !any.iter().any(|record| record.section == crate::wire::Section::Answer);
                let truncated = reply.head.truncated;
                asked.reclaim(reply.sections);
                let mut reply = Self::completed(asked, &zone, sections, rcode, empty);
                reply.head.truncated = truncated;
                if rcode == Rcode::SERVFAIL {
                    reply = reply.because(Ede::NO_AUTHORITY);
                }
                Flow::Reply(reply)
            }
            Answer::Behind { .. } | Answer::Upstream(_) | Answer::Signalled | Answer::TimedOut => failed,
        }
    }

    /// Who has authority for some zones refuses the others. Source: coredns `plugin/file/file.go`.
    fn ending(&self) -> Rcode {
        Rcode::REFUSED
    }

    fn whole(&self, question: &Question, known: Option<u32>) -> Whole {
        match self.exactly(question) {
            None => Whole::NotMine,
            Some(held) => match held.live() {
                None => Whole::NotReady,
                Some(zone) => Whole::Records(Box::new(Sender::new(zone, known))),
            },
        }
    }

    fn notified(&self, question: &Question, from: IpAddr) -> bool {
        let Zones::Fixed(zones) = &self.zones else { return false };
        let found = zones.iter().find(|fixed| fixed.zone.wire() == question.lower());
        found.and_then(|fixed| fixed.replica.as_ref()).is_some_and(|replica| replica.notified(from))
    }

    fn tells(&self) -> Vec<Arc<[u8]>> {
        match &self.zones {
            Zones::Fixed(zones) => zones.iter().map(|fixed| fixed.zone.wire().into()).collect(),
            Zones::Folder { folder, .. } => folder.zones().iter().map(|zone| zone.origin.clone()).collect(),
        }
    }
}

/// Said while a zone was never read or transferred, or is beyond its time.
const NOT_LOADED: Ede = Ede { code: 14, text: std::borrow::Cow::Borrowed("the zone is not loaded") };
