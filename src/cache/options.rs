//! What a `cache` line says.

use std::time::Duration;

/// Everything that a line says, in numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Positive answers (`success`).
    pub success: Side,
    /// Negative answers (`denial`).
    pub denial: Side,
    /// How long failures are kept (`servfail`); zero for not at all (RFC 9520, rule C-02).
    pub failure: Duration,
    /// `prefetch`.
    pub prefetch: Option<Prefetch>,
    /// `serve_stale`.
    pub stale: Option<Stale>,
    /// Whether hits show the TTL as it was when the answer came (`keepttl`).
    pub keep_ttl: bool,
}

/// Entries that CAPACITY says nothing else of (rule C-02).
const ENTRIES: u64 = 9984;

/// The fewest entries that a budget is made for (rule C-02).
const LEAST_ENTRIES: u64 = 1024;

/// What a Corefile's CAPACITY counts. Unit: bytes an entry.
const ENTRY: u64 = 512;

impl Default for Options {
    fn default() -> Self {
        Self {
            success: Side { budget: ENTRIES * ENTRY, cap: 3600, floor: 0 },
            denial: Side { budget: ENTRIES * ENTRY, cap: 1800, floor: 0 },
            failure: Duration::from_secs(5),
            prefetch: None,
            stale: None,
            keep_ttl: false,
        }
    }
}

/// The bounds of one kind of answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side {
    /// What all of them may weigh. Unit: bytes.
    pub budget: u64,
    /// The longest TTL. Unit: seconds.
    pub cap: u32,
    /// The shortest TTL, 0 unless it is written (rule C-04). Unit: seconds.
    pub floor: u32,
}

impl Side {
    /// The budget of so many entries, as a Corefile counts them.
    #[must_use]
    pub fn budget_of(entries: u64) -> u64 {
        entries.max(LEAST_ENTRIES).saturating_mul(ENTRY)
    }

    /// A TTL within the bounds; the cap is the stronger one.
    #[must_use]
    pub fn clamp(&self, ttl: u32) -> u32 {
        ttl.max(self.floor).min(self.cap)
    }
}

/// When an answer is asked for again before it ends (rule C-08).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefetch {
    /// So many hits …
    pub amount: u32,
    /// … with no longer gap between two of them.
    pub gap: Duration,
    /// The part of its time that must be left at most. Unit: percent.
    pub percent: u32,
}

/// How answers are served beyond their time (rule C-09, RFC 8767).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale {
    /// How long beyond it.
    pub up_to: Duration,
    /// What comes first, the stale answer or the question to upstreams.
    pub mode: StaleMode,
    /// The TTL that it is served with. Unit: seconds.
    pub ttl: u32,
    /// The pause after a refresh that failed.
    pub recheck: Duration,
    /// Whether a positive answer is preferred to newer answers of other kinds (`serve_stale_policy prefer_positive`).
    pub prefer_positive: bool,
}

/// The modes of `serve_stale`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StaleMode {
    /// The stale answer at once; upstreams are asked behind its back.
    Immediate,
    /// Upstreams are asked first, for so long where that is said; the stale answer only if they fail.
    Verify(Option<Duration>),
}

/// What makes two lines share a cache over a reload: where they stand and what they say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Keys and addresses of the block, and the zones of the line, in text that is equal where they are.
    pub place: String,
    /// What the line says.
    pub options: Options,
}
