//! The memory that the container may use beside what the server needs.

use std::path::Path;

use super::args::Findings;
use super::numbers::Numbers;

/// The limit of the container, from its cgroup (version 2, else 1). Unit: bytes. Errors: why it is not known, in words.
pub(super) fn limit(root: &Path) -> Result<Option<u64>, String> {
    let second = root.join("memory.max");
    let first = root.join("memory/memory.limit_in_bytes");
    let text = std::fs::read_to_string(&second).or_else(|_| std::fs::read_to_string(first));
    let text =
        text.map_err(|error| format!("the memory limit of this container ({}): {error}", second.display()))?;
    // Version 1 says a number near to 2^63 where there is none.
    Ok(text.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 60))
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
}
