//! Makes a case smaller for as long as one question is still answered differently.

use std::ffi::OsStr;
use std::net::SocketAddr;

use crate::case::Case;
use crate::judge::{Asked, Verdict, ask, hidden, judge, seen, targets};
use crate::pair::Pair;
use crate::questions::Question;

/// How many smaller cases are tried.
const TRIES: usize = 45;

/// What is needed to run a case.
pub(crate) struct Shrinking<'a> {
    /// The binary of CoreDNS.
    pub(crate) binary: &'a OsStr,
    /// The upstream.
    pub(crate) upstream: SocketAddr,
    /// The questions from which names are learnt.
    pub(crate) around: Vec<Question>,
    /// The question.
    pub(crate) question: Question,
    /// How the replies differ.
    pub(crate) kind: String,
}

impl Shrinking<'_> {
    /// The replies to the question where they still differ in the same way.
    fn differs(&self, case: &Case) -> Option<(String, String)> {
        let mut pair = Pair::start(self.binary, case, self.upstream).ok()?;
        let questions = || self.around.iter().chain([&self.question]);
        let asked = ask(&mut pair, questions());
        let targets = targets(&mut pair, case, &asked);
        drop(pair);
        let hidden = hidden(self.binary, case, self.upstream, questions());
        let seen = seen(case, &asked, &hidden, targets);
        let last: &Asked<'_> = asked.last()?;
        match judge(case, &seen, last) {
            Verdict::Wrong(kind) if kind == self.kind => {
                Some((last.ours.text.clone(), last.theirs.text.clone()))
            }
            _ => None,
        }
    }

    /// The smallest case found, with both replies; `None` where the difference does not come again.
    pub(crate) fn smallest(&self, case: &Case) -> Option<(Case, String, String)> {
        let mut replies = self.differs(case)?;
        let mut case = case.clone();
        let mut tries = 0;
        let mut is_smaller = true;
        while is_smaller && tries < TRIES {
            is_smaller = false;
            let mut at = 0;
            while let Some(smaller) = without(&case, &mut at) {
                tries += 1;
                if tries > TRIES {
                    break;
                }
                if let Some(found) = self.differs(&smaller) {
                    (case, replies, is_smaller) = (smaller, found, true);
                } else {
                    at += 1;
                }
            }
        }
        Some((case, replies.0, replies.1))
    }
}

/// The case without one of its parts: the `at`-th that can go. Large parts come first.
fn without(case: &Case, at: &mut usize) -> Option<Case> {
    let mut number = *at;
    let mut smaller = case.clone();
    let objects = case.objects.len();
    // All objects, half of them, a quarter.
    let mut size = objects;
    while size >= 1 {
        let parts = objects.div_ceil(size);
        if size <= 4 && size > 1 {
            break;
        }
        if number < parts {
            smaller.objects.drain(number * size..objects.min((number + 1) * size));
            return Some(smaller);
        }
        number -= parts;
        size /= 2;
    }
    if objects <= 9 || size >= 2 {
        if number < objects {
            smaller.objects.remove(number);
            return Some(smaller);
        }
        number -= objects;
    }
    let blocks = case.blocks.len() - 1;
    if number < blocks {
        smaller.blocks.remove(number);
        return Some(smaller);
    }
    number -= blocks;
    for (nth, block) in case.blocks.iter().enumerate() {
        for (word, one) in block.words.iter().enumerate() {
            if !one.fixed {
                if number == 0 {
                    smaller.blocks[nth].words.remove(word);
                    return Some(smaller);
                }
                number -= 1;
            }
            for (line, text) in one.lines.iter().enumerate() {
                if text.starts_with("endpoint ") {
                    continue;
                }
                if number == 0 {
                    smaller.blocks[nth].words[word].lines.remove(line);
                    return Some(smaller);
                }
                number -= 1;
            }
        }
    }
    None
}
