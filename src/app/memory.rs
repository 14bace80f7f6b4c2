//! Whether the caches of a Corefile have room in the memory that this process may use.

use std::sync::Arc;

use crate::cgroup;
use crate::chain::Plan;

/// What a server needs beside its caches and the objects of its cluster: the same 24 MiB as in the formula of the chart. Unit: bytes.
const REST: u64 = 24 << 20;

/// What is to be said where the caches of a plan, once full, do not fit into the memory that this process may use; `None`
/// where they do, and where there is no limit.
pub(crate) fn too_small(plan: &Plan) -> Option<String> {
    too_small_in(plan, cgroup::memory().ok()??)
}

/// The same for so many bytes.
fn too_small_in(plan: &Plan, limit: u64) -> Option<String> {
    let mut caches: Vec<_> =
        plan.chains.iter().filter_map(|chain| Some(&chain.cache.as_ref()?.cache)).collect();
    caches.sort_by_key(|cache| Arc::as_ptr(cache));
    caches.dedup_by(|one, other| Arc::ptr_eq(one, other));
    let budget = caches.iter().fold(0_u64, |sum, cache| sum.saturating_add(cache.budget()));
    (budget > 0 && budget.saturating_add(REST) > limit).then(|| {
        format!(
            "the caches may take {} MiB and the rest of the server at least {} MiB, and this process may use {} MiB: once they are \
             full it is killed; raise the memory limit, or lower the CAPACITY of `cache` (512 bytes each)",
            budget.div_ceil(1 << 20),
            REST >> 20,
            limit >> 20
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::Bare;
    use crate::chain::{BuildOptions, build};
    use crate::corefile::{NoImports, parse};

    /// What is said about a Corefile where so many MiB may be used.
    fn said(corefile: &str, limit: u64) -> Option<String> {
        let spec = parse("Corefile", corefile, &NoImports).unwrap();
        let plan = build(&spec, BuildOptions { port: 53 }, &mut Bare).unwrap().plan;
        too_small_in(&plan, limit << 20)
    }

    #[test]
    fn caches_of_all_blocks_together_are_held_against_the_limit() {
        let block = |zone: &str, lines: &str| {
            format!("{zone} {{\n cache {{\n {lines}\n }}\n forward . 127.0.0.1:9\n}}\n")
        };
        // 9984 entries of 512 bytes for answers, as much for denials, an eighth of that for failures: 10.4 MiB.
        assert_eq!(said(&block(".", ""), 35), None);
        let text = said(&block(".", ""), 34).unwrap();
        assert!(text.contains("may take 11 MiB") && text.contains("may use 34 MiB"), "{text}");
        let two = block("a.test", "success 200000") + &block("b.test", "success 200000");
        assert!(said(&two, 200).is_some_and(|text| text.contains("207 MiB")), "{:?}", said(&two, 200));
        assert_eq!(said(&two, 256), None);
        assert_eq!(said(". {\n forward . 127.0.0.1:9\n}\n", 1), None, "there is no cache to make smaller");
    }
}
