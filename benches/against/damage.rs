//! Faults put into replies, so that one sees what the judge sees: of what is equal, one of the two is damaged, and no rule may allow that.

use fastrand::Rng;

use crate::reply::Reply;

/// A way to damage a reply; nothing where the reply has nothing of the kind.
type Way = fn(&mut Rng, &Reply) -> Option<String>;

/// All of them, by name.
pub(crate) const WAYS: &[(&str, Way)] = &[
    ("another code", |rng, reply| {
        let codes: Vec<&str> = ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"]
            .into_iter()
            .filter(|code| *code != reply.code())
            .collect();
        (!reply.is_silence()).then(|| format!("{}{}", codes[rng.usize(..codes.len())], reply.rest()))
    }),
    ("a record lost", |rng, reply| {
        let nth = answer(rng, reply)?;
        let kept = reply.text.lines().enumerate().filter(|(other, _)| *other != nth);
        Some(kept.map(|(_, line)| format!("{line}\n")).collect())
    }),
    ("another address", |rng, reply| {
        let nth = answer(rng, reply)?;
        let is_address = |line: &str| line.contains(" A ") || line.contains(" AAAA ");
        change(reply, nth, |line| is_address(line).then(|| format!("{line}7")))
    }),
    ("another TTL", |rng, reply| {
        let nth = answer(rng, reply)?;
        change(reply, nth, |line| {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let [section, owner, ttl, data] = *words else { return None };
            let ttl: u32 = ttl.parse().ok()?;
            Some(format!("{section} {owner} {} {data}", ttl + 7))
        })
    }),
    ("nothing at all", |_, reply| (!reply.is_silence()).then(|| Reply::SILENCE.to_owned())),
];

/// The number of a line of the answer.
fn answer(rng: &mut Rng, reply: &Reply) -> Option<usize> {
    let lines = reply.text.lines().enumerate().filter(|(_, line)| line.starts_with("answer "));
    let lines: Vec<usize> = lines.map(|(nth, _)| nth).collect();
    rng.choice(lines)
}

/// A text one of whose lines is changed.
fn change(reply: &Reply, nth: usize, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::new();
    for (other, line) in reply.text.lines().enumerate() {
        if other == nth {
            text += &change(line)?;
        } else {
            text += line;
        }
        text.push('\n');
    }
    Some(text)
}
