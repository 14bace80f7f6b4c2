//! Whether the caches of a Corefile have room in the memory that this process may use.

use std::path::Path;
use std::sync::Arc;

use crate::cache::Kind;
use crate::chain::Plan;

/// What a server needs beside its caches and the objects of its cluster: the same 24 MiB as in the formula of the chart. Unit: bytes.
const REST: u64 = 24 << 20;

/// The kinds of answers that a cache has room for.
const KINDS: [Kind; 3] = [Kind::Positive, Kind::Negative, Kind::Failure];

/// What is to be said where the caches of a plan, once full, do not fit into the memory that this process may use; `None`
/// where they do, and where there is no limit.
pub(crate) fn too_small(plan: &Plan) -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    too_small_in(plan, limit(&groups, Path::new("/sys/fs/cgroup"))?)
}

/// The same for so many bytes.
fn too_small_in(plan: &Plan, limit: u64) -> Option<String> {
    let mut caches: Vec<_> =
        plan.chains.iter().filter_map(|chain| Some(&chain.cache.as_ref()?.cache)).collect();
    caches.sort_by_key(|cache| Arc::as_ptr(cache));
    caches.dedup_by(|one, other| Arc::ptr_eq(one, other));
    let budgets = caches.iter().flat_map(|cache| KINDS.map(|kind| cache.usage(kind).budget));
    let budget = budgets.fold(0_u64, u64::saturating_add);
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

/// The least memory limit of the cgroups in a `/proc/self/cgroup`, mounted at `root`; `None` for no limit. Both versions are
/// read. Unit: bytes.
fn limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or("?"), fields.next().unwrap_or_default());
        let (mounted, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            other if other.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        // Inside a container our own group is often mounted as the root, whatever its path says outside.
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        groups.filter_map(|group| bytes(&mounted.join(group).join(file))).collect()
    });
    limits.min()
}

/// The bytes that a file grants; `None` for no limit.
fn bytes(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    // Version 2 says `max` where there is none, version 1 a number near to 2^63.
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{BuildOptions, Parts, StoreSpec, build};
    use crate::corefile::{NoImports, parse};
    use crate::store::{Store, Wanted};
    use crate::time::{Clock, Wall};
    use std::net::IpAddr;

    /// Parts that nothing is served from.
    struct Bare;

    impl Parts for Bare {
        fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
            Store::new(wanted, Clock::manual(Wall(0))).0
        }

        fn tallies(&mut self, _: &str, _: &str) -> Arc<[crate::metrics::Tally]> {
            Arc::new([])
        }

        fn interfaces(&self) -> Vec<(String, IpAddr)> {
            Vec::new()
        }
    }

    /// A folder with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_least_limit_above_us_counts_in_both_versions() {
        let one = |files: &[(&str, &str)], groups: &str| limit(groups, tree(files).path());
        assert_eq!(one(&[("memory.max", "134217728\n")], "0::/\n"), Some(128 << 20));
        assert_eq!(one(&[("memory.max", "134217728\n")], "0::/kubepods/pod1/c\n"), Some(128 << 20));
        assert_eq!(one(&[("memory.max", "max\n")], "0::/\n"), None);
        let unit: &[(&str, &str)] = &[("a.slice/memory.max", "1000"), ("a.slice/b/memory.max", "2000")];
        assert_eq!(one(unit, "0::/a.slice/b\n"), Some(1000));
        let old: &[(&str, &str)] = &[("memory/pod/memory.limit_in_bytes", "5000\n")];
        assert_eq!(one(old, "9:cpu,cpuacct:/x\n8:memory:/pod\n"), Some(5000));
        let free: &[(&str, &str)] = &[("memory/memory.limit_in_bytes", "9223372036854771712\n")];
        assert_eq!(one(free, "8:memory:/\n"), None);
        assert_eq!(one(&[("memory.max", "x")], "nonsense\n\n::\n0::/\n"), None);
    }

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
