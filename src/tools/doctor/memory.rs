//! The memory that the container may use beside what the server needs.

use super::args::Findings;
use super::numbers::Numbers;
use crate::cgroup;
use crate::chain::explain::Holds;

/// The limit of the container. Unit: bytes. Errors: why it is not known, in words.
pub(super) fn limit() -> Result<Option<u64>, String> {
    cgroup::memory().map_err(|error| format!("the memory limit of this container: {error}"))
}

/// Bytes as MiB.
fn mib(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / f64::from(1 << 20))
}

/// Compares need and limit.
///
/// What is needed at most is what the process has now, and the room that its caches have not filled yet.
pub(super) fn look(numbers: &Numbers, limit: &Result<Option<u64>, String>, found: &mut Findings) {
    let limit = match limit {
        Ok(Some(limit)) => *limit,
        Ok(None) => return found.looked("the memory limit of this container: there is none"),
        Err(why) => return found.blind(why),
    };
    found.looked("the memory limit of this container");
    let Some(now) = numbers.sum("process_resident_memory_bytes", &[]) else { return };
    let budget = numbers.sum("signpost_cache_budget_bytes", &[]).unwrap_or(0.0);
    let held = numbers.sum("signpost_cache_bytes", &[]).unwrap_or(0.0);
    let need = now + (budget - held).max(0.0);
    #[allow(clippy::cast_precision_loss, reason = "a limit need not be exact to the last byte")]
    let limit = limit as f64;
    if need > limit * 0.9 {
        found.add(
            "warning",
            "memory",
            format!(
                "the container may use {}; the server has {} now and its caches may grow by {}",
                mib(limit),
                mib(now),
                mib(need - now)
            ),
            "raise the memory limit, or lower the CAPACITY of `cache`: an entry is budgeted with 512 bytes",
        );
    }
}

/// What a cluster of this size needs, by the formula of the chart (charts/signpost/values.yaml). Unit: MiB.
fn need(holds: &Holds, caches: u64) -> u64 {
    let quarters = 3 * holds.pods + 6 * holds.services + holds.endpoints;
    24 + caches + quarters.div_ceil(4096)
}

/// Compares the limit, and what caches may take, with what a cluster of this size needs.
pub(super) fn by_size(
    holds: &Holds,
    numbers: &Numbers,
    limit: &Result<Option<u64>, String>,
    found: &mut Findings,
) {
    let bytes = |family| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of bytes, not below zero"
        )]
        let bytes = numbers.sum(family, &[]).unwrap_or(0.0).max(0.0) as u64;
        bytes
    };
    let (budget, held) = (bytes("signpost_cache_budget_bytes"), bytes("signpost_cache_bytes"));
    let caches = budget.div_ceil(1 << 20);
    let asked = bytes("coredns_cache_requests_total");
    if budget > 64 << 20 && held < budget / 20 && asked > 100_000 {
        found.add(
            "hint",
            "cache-room",
            format!("caches may take {caches} MiB and hold {} MiB after {asked} questions", held >> 20),
            "write a smaller CAPACITY behind `success` and `denial` of `cache`: the room counts into the memory limit",
        );
    }
    let Ok(Some(limit)) = limit else { return };
    let (limit, wanted) = (limit >> 20, 2 * need(holds, caches));
    let size = format!(
        "{} Services, {} endpoints, {} pods and {caches} MiB of caches",
        holds.services, holds.endpoints, holds.pods
    );
    if limit < wanted {
        found.add(
            "warning",
            "memory-formula",
            format!("the container may use {limit} MiB; {size} want a limit of {wanted} MiB by the formula of the chart"),
            "raise the memory limit, or `memory.*` in the values of the chart: relists and queries that wait take what is beyond the usual",
        );
    } else if limit > 8 * wanted && limit > 512 {
        found.add(
            "hint",
            "memory-ample",
            format!("the container may use {limit} MiB; {size} want a limit of {wanted} MiB by the formula of the chart"),
            "lower limit and request, or let caches have more",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of what is found.
    fn codes(limit: Result<Option<u64>, String>) -> Vec<&'static str> {
        let text = "process_resident_memory_bytes 31457280\nsignpost_cache_bytes 0\nsignpost_cache_budget_bytes 10485760\n";
        let mut found = Findings::default();
        look(&Numbers::read(text), &limit, &mut found);
        found.codes()
    }

    #[test]
    fn a_limit_below_what_is_needed_is_found() {
        assert_eq!(codes(Ok(Some(40 << 20))), ["memory"]);
        assert_eq!(codes(Ok(Some(128 << 20))), [""; 0]);
        assert_eq!(codes(Ok(None)), [""; 0]);
        assert_eq!(codes(Err("no".to_owned())), [""; 0]);
    }

    /// The codes of what is found by the size of a cluster.
    fn sized(limit: u64, services: u64, caches: u64) -> Vec<&'static str> {
        let text = format!(
            "signpost_cache_bytes 1000000\nsignpost_cache_budget_bytes {}\ncoredns_cache_requests_total{{zones=\".\"}} 200000\n",
            caches << 20
        );
        let holds = Holds { services, endpoints: 5 * services, namespaces: 10, pods: 0 };
        let mut found = Findings::default();
        by_size(&holds, &Numbers::read(&text), &Ok(Some(limit << 20)), &mut found);
        found.codes()
    }

    #[test]
    fn a_limit_is_held_against_the_formula_of_the_chart() {
        // 10,000 Services and 50,000 endpoints: 24 + 10 + 15 + 12 MiB, and twice that.
        let holds = Holds { services: 10_000, endpoints: 50_000, namespaces: 10, pods: 0 };
        assert_eq!(need(&holds, 10), 61);
        assert_eq!(sized(122, 10_000, 10), [""; 0]);
        assert_eq!(sized(121, 10_000, 10), ["memory-formula"]);
        assert_eq!(sized(2000, 10, 10), ["memory-ample"]);
        assert_eq!(sized(500, 10, 100), ["cache-room"]);
    }
}
