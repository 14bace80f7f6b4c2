//! The line's text (rules C-02, C-08 to C-10).

use std::time::Duration;

use crate::cache::{Options, Prefetch, Side, Stale, StaleMode};
use crate::chain::build::Draft;
use crate::corefile::{Directive, Error, Location, Token, Zone};

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
cache [TTL] [ZONES…] {
    success CAPACITY [TTL [MINTTL]]
    denial CAPACITY [TTL [MINTTL]]
    servfail DURATION
    prefetch AMOUNT [DURATION [PERCENT%]]
    serve_stale [DURATION [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]]
    serve_stale_policy prefer_positive
    disable success|denial [ZONES…]
    keepttl
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "remembers what upstreams answered; what is answered here is never cached";

/// The options, for hints.
const OPTIONS: &[&str] =
    &["success", "denial", "servfail", "prefetch", "serve_stale", "serve_stale_policy", "disable", "keepttl"];

/// The longest that failures are kept, and the longest pause after a refresh that failed (RFC 2308 §7.1, RFC 8767 §5).
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// How long stale answers are served unless it is written.
const STALE: Duration = Duration::from_secs(3600);

/// The longest TTL (RFC 2181 §8). Unit: seconds.
const LONGEST: i64 = 0x7fff_ffff;

/// A line as read.
pub(in crate::chain) struct Line {
    /// Where it stands.
    pub(super) at: Location,
    /// The zones whose names are cached.
    pub(super) zones: Vec<Zone>,
    /// `disable success`.
    pub(super) no_success: Vec<Zone>,
    /// `disable denial`.
    pub(super) no_denial: Vec<Zone>,
    /// All numbers.
    pub(super) options: Options,
}

/// Reads the line; its step is laid when all others are there.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    if draft.cache.is_some() {
        return Err(directive.error("stands twice in this block"));
    }
    let mut options = Options::default();
    let first = directive.args.first();
    let ttl = first.filter(|token| token.text.parse::<i64>().is_ok()).map(longest).transpose()?;
    if let Some(ttl) = ttl {
        options.success.cap = ttl;
        options.denial.cap = ttl;
    }
    let mut zones = directive.zones_from(usize::from(ttl.is_some()))?;
    if zones.is_empty() {
        zones = draft.zones();
    }
    let at = directive.word.at.clone();
    let mut line = Line { at, zones, no_success: Vec::new(), no_denial: Vec::new(), options };
    let mut policy: Option<&Directive> = None;
    for option in directive.lines() {
        option.no_block()?;
        match option.word.text.as_str() {
            "success" => side(option, &mut line.options.success, draft)?,
            "denial" => side(option, &mut line.options.denial, draft)?,
            "servfail" => line.options.failure = at_most(option.only_arg()?, FIVE_MINUTES)?,
            "prefetch" => line.options.prefetch = prefetch(option)?,
            "serve_stale" => line.options.stale = Some(stale(option)?),
            "serve_stale_policy" => {
                if policy.is_some() {
                    return Err(option.error("stands twice in this `cache`"));
                }
                let arg = option.only_arg()?;
                if !arg.text.eq_ignore_ascii_case("prefer_positive") {
                    return Err(arg.unknown("a policy of stale answers", &["prefer_positive"]));
                }
                policy = Some(option);
            }
            "disable" => disable(option, &mut line)?,
            "keepttl" => {
                option.expect_args(0..=0)?;
                line.options.keep_ttl = true;
            }
            _ => return Err(option.word.unknown("an option of `cache`", OPTIONS)),
        }
    }
    if let Some(option) = policy {
        let Some(stale) = &mut line.options.stale else {
            return Err(option
                .error("has no meaning without `serve_stale`")
                .hint("add a line `serve_stale`, or remove this one"));
        };
        stale.prefer_positive = true;
    }
    // No time is no stale answer at all.
    line.options.stale = line.options.stale.filter(|stale| !stale.up_to.is_zero());
    draft.cache = Some(line);
    Ok(())
}

/// A whole number, as large as it may be.
fn whole(token: &Token) -> Result<i64, Error> {
    token.text.parse().map_err(|_| token.error(format!("`{}` is no whole number", token.text)))
}

/// A cap on TTLs: at least a second.
fn longest(token: &Token) -> Result<u32, Error> {
    match whole(token)? {
        ttl if ttl > 0 => Ok(u32::try_from(ttl.min(LONGEST)).unwrap_or(u32::MAX)),
        _ => Err(token
            .error(format!("a TTL of {} would keep nothing", token.text))
            .hint("write at least 1 second, or remove `cache`")),
    }
}

/// `success` or `denial`.
fn side(option: &Directive, side: &mut Side, draft: &mut Draft<'_>) -> Result<(), Error> {
    let args = option.expect_args(1..=usize::MAX)?;
    if let Some(capacity) = args.first() {
        side.budget = Side::budget_of(u64::try_from(whole(capacity)?).unwrap_or(0));
    }
    if let Some(ttl) = args.get(1) {
        side.cap = longest(ttl)?;
    }
    if let Some(token) = args.get(2) {
        let floor = whole(token)?;
        if floor < 0 {
            return Err(token.error(format!("a TTL can't be negative: {floor}")));
        }
        side.floor = u32::try_from(floor.min(LONGEST)).unwrap_or(u32::MAX);
    }
    if let Some(more) = args.get(3) {
        draft.warnings.push(format!("{}: `{}` has no meaning here and is ignored", more.at, more.text));
    }
    Ok(())
}

/// `prefetch`; an AMOUNT of 0 is none.
fn prefetch(option: &Directive) -> Result<Option<Prefetch>, Error> {
    let args = option.expect_args(1..=3)?;
    let Some(first) = args.first() else { return Ok(None) };
    let amount = whole(first)?;
    if amount < 0 {
        return Err(first.error(format!("the number of hits can't be negative: {amount}")));
    }
    let gap = args.get(1).map(Token::duration).transpose()?.unwrap_or(Duration::from_secs(60));
    let percent = args.get(2).map(percent).transpose()?.unwrap_or(10);
    let amount = u32::try_from(amount).unwrap_or(u32::MAX);
    Ok((amount > 0).then_some(Prefetch { amount, gap, percent }))
}

/// `10%` to `90%`.
fn percent(token: &Token) -> Result<u32, Error> {
    let number = token.text.strip_suffix('%').and_then(|number| number.parse().ok());
    number.filter(|number| (10..=90).contains(number)).ok_or_else(|| {
        token.error(format!("`{}` is no percentage from 10% to 90%", token.text)).hint("write it as `25%`")
    })
}

/// A duration up to a bound.
fn at_most(token: &Token, most: Duration) -> Result<Duration, Error> {
    let found = token.duration()?;
    if found > most {
        return Err(token.error(format!("`{}` is longer than {} minutes", token.text, most.as_secs() / 60)));
    }
    Ok(found)
}

/// `serve_stale`.
fn stale(option: &Directive) -> Result<Stale, Error> {
    let args = option.expect_args(0..=5)?;
    let up_to = args.first().map(Token::duration).transpose()?.unwrap_or(STALE);
    let (mode, rest) = match args.get(1) {
        None => (StaleMode::Immediate, 2),
        Some(mode) if mode.text.eq_ignore_ascii_case("immediate") => {
            option.expect_args(0..=4)?;
            (StaleMode::Immediate, 2)
        }
        Some(mode) if mode.text.eq_ignore_ascii_case("verify") => {
            let timeout = args.get(2).map(Token::duration).transpose()?;
            (StaleMode::Verify(timeout.filter(|timeout| !timeout.is_zero())), 3)
        }
        Some(mode) => return Err(mode.unknown("a mode of `serve_stale`", &["immediate", "verify"])),
    };
    let ttl = args.get(rest).map(seconds).transpose()?.unwrap_or(0);
    let recheck =
        args.get(rest + 1).map(|token| at_most(token, FIVE_MINUTES)).transpose()?.unwrap_or_default();
    Ok(Stale { up_to, mode, ttl, recheck, prefer_positive: false })
}

/// A duration of whole seconds.
fn seconds(token: &Token) -> Result<u32, Error> {
    let found = token.duration()?;
    if found.subsec_nanos() != 0 {
        return Err(token.error(format!("`{}` is no whole number of seconds", token.text)));
    }
    u32::try_from(found.as_secs())
        .map_err(|_| token.error(format!("`{}` is longer than a TTL can be", token.text)))
}

/// `disable`: the last line of each kind counts.
fn disable(option: &Directive, line: &mut Line) -> Result<(), Error> {
    let args = option.expect_args(1..=usize::MAX)?;
    let mut zones = option.zones_from(1)?;
    if zones.is_empty() {
        zones = Zone::parse(".").into_iter().collect();
    }
    match args.first() {
        Some(kind) if kind.text == "success" => line.no_success = zones,
        Some(kind) if kind.text == "denial" => line.no_denial = zones,
        Some(kind) => return Err(kind.unknown("a kind of answers", &["success", "denial"])),
        None => {}
    }
    Ok(())
}
