//! `erratic`: a server that drops, cuts and delays, for tests of clients (rule S-24).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::asked::{Asked, BUDGET};
use super::build::Draft;
use super::signal::Signal;
use super::step::{Answer, Ask, Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error, Token};
use crate::wire::{Owner, Rcode, Section, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "erratic";

/// How it is written.
pub(super) const SYNTAX: &str = "\
erratic {
    drop [AMOUNT]
    truncate [AMOUNT]
    delay [AMOUNT [DURATION]]
    large
}";

/// What it does.
pub(super) const HELP: &str =
    "for tests: 192.0.2.53 and 2001:db8::53 for every name, and one of AMOUNT queries dropped, cut or late";

/// The options, for hints.
const OPTIONS: &[&str] = &["drop", "truncate", "delay", "large"];

/// One of how many, unless the line says.
const AMOUNT: u64 = 2;

/// How late, unless the line says.
const DELAY: Duration = Duration::from_millis(100);

/// How often `large` repeats the record.
const LARGE: usize = 30;

/// Reads the stanza.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    let mut step = Erratic {
        count: AtomicU64::new(0),
        drop: AMOUNT,
        truncate: 0,
        delay: 0,
        by: DELAY,
        large: false,
        never: Arc::default(),
    };
    let mut dropping = false;
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "drop" => {
                if let Some(token) = line.expect_args(0..=1)?.first() {
                    step.drop = amount(token)?;
                    dropping = true;
                }
            }
            "truncate" => step.truncate = line.expect_args(0..=1)?.first().map_or(Ok(AMOUNT), amount)?,
            "delay" => {
                let args = line.expect_args(0..=2)?;
                step.delay = args.first().map_or(Ok(AMOUNT), amount)?;
                step.by = args.get(1).map_or(Ok(DELAY), Token::duration)?;
                if step.by > BUDGET {
                    draft.warnings.push(format!(
                        "{}: the delay is {} s: no query waits longer",
                        line.word.at,
                        BUDGET.as_secs()
                    ));
                }
            }
            "large" => {
                line.expect_args(0..=0)?;
                step.large = true;
            }
            _ => return Err(line.word.unknown("an option of `erratic`", OPTIONS)),
        }
    }
    // Whoever asks for one of the others does not get what is dropped unless it is asked for too.
    if (step.delay > 0 || step.truncate > 0) && !dropping {
        step.drop = 0;
    }
    draft.steps.push(Box::new(step));
    Ok(())
}

/// One of how many; 0 is none.
fn amount(token: &Token) -> Result<u64, Error> {
    token.number(0..=u64::from(i32::MAX.unsigned_abs()))
}

/// The step.
struct Erratic {
    /// Queries so far.
    count: AtomicU64,
    /// One of so many is dropped.
    drop: u64,
    /// One of so many is cut.
    truncate: u64,
    /// One of so many is late.
    delay: u64,
    /// By how much.
    by: Duration,
    /// Whether A is answered with so many records that they don't fit into a small datagram.
    large: bool,
    /// What late queries wait for: it never comes.
    never: Arc<Signal>,
}

impl Erratic {
    /// What is said to query number `number`.
    fn answer(&self, asked: &mut Asked, number: u64) -> Flow {
        let mut sections = asked.draft();
        match asked.question.qtype {
            rtype::A => {
                for _ in 0..if self.large { LARGE } else { 1 } {
                    sections.push_address(Section::Answer, Owner::Question, 0, &[192, 0, 2, 53]);
                }
            }
            rtype::AAAA => {
                let octets = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53).octets();
                sections.push_address(Section::Answer, Owner::Question, 0, &octets);
            }
            _ => return Flow::Reply(Reply::new(Rcode::SERVFAIL, sections)),
        }
        let mut reply = Reply::new(Rcode::NOERROR, sections).authoritative();
        reply.head.truncated = one_of(number, self.truncate);
        Flow::Reply(reply)
    }
}

/// Whether this is the one of so many.
fn one_of(number: u64, amount: u64) -> bool {
    number.checked_rem(amount) == Some(0)
}

impl Step for Erratic {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        let number = match asked.only_looked {
            true => self.count.load(Relaxed),
            false => self.count.fetch_add(1, Relaxed),
        };
        if one_of(number, self.drop) {
            return Flow::Drop;
        }
        if one_of(number, self.delay) {
            asked.noted = number;
            return Flow::Wait(Ask::Signal { signal: self.never.clone(), until: context.now.plus(self.by) });
        }
        self.answer(asked, number)
    }

    fn resume(&self, asked: &mut Asked, _: Answer, _: &mut Context<'_>) -> Flow {
        let number = asked.noted;
        self.answer(asked, number)
    }

    fn ready(&self) -> bool {
        // Ready for a moment only, for tests of those who look.
        (3..5).contains(&self.count.load(Relaxed))
    }
}
