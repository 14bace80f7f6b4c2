//! The cgroups that this process is in, and the least that one of them grants: processor time and memory.
//!
//! A limit of a group holds for all below it, so our own group and those above it are looked at; both versions are read.

use std::path::Path;

/// Where the kernel says which groups this process is in.
const OWN: &str = "/proc/self/cgroup";

/// Where groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The processors that this process may use, rounded up; `None` for no limit.
pub(crate) fn processors() -> Option<usize> {
    processors_of(&own(), Path::new(ROOT))
}

/// The memory that this process may use; `None` for no limit. Unit: bytes. Errors: no group says anything about it.
pub(crate) fn memory() -> Result<Option<u64>, Unsaid> {
    memory_of(&own(), Path::new(ROOT))
        .ok_or(Unsaid)
        .map(|bytes| Some(bytes).filter(|bytes| *bytes < UNLIMITED))
}

/// No group says how much memory there may be.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
#[error("no group below {ROOT} says how much it is")]
pub(crate) struct Unsaid;

/// From here on a limit of memory is none: version 1 says a number near to 2^63. Unit: bytes.
const UNLIMITED: u64 = 1 << 60;

/// The groups as the kernel says them.
fn own() -> String {
    std::fs::read_to_string(OWN).unwrap_or_default()
}

/// The least that `grant` finds in our groups of a controller and in those above them; `None` where it finds nothing.
fn least<T: Ord>(
    groups: &str,
    root: &Path,
    controller: &str,
    grant: impl Fn(&Path) -> Option<T>,
) -> Option<T> {
    let grants = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
        let mounted = match controllers {
            "" => root.to_owned(),
            other if other.split(',').any(|one| one == controller) => root.join(controller),
            _ => return Vec::new(),
        };
        // Inside a container our own group is often mounted as the root, whatever its path says outside.
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        groups.filter_map(|group| grant(&mounted.join(group))).collect()
    });
    grants.min()
}

/// The processors that groups in such a list grant, mounted at `root`.
fn processors_of(groups: &str, root: &Path) -> Option<usize> {
    least(groups, root, "cpu", |group| {
        let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
        let first = || Some(format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?));
        quota(&read("cpu.max").or_else(first)?)
    })
}

/// The processors that a limit and a period grant, rounded up; `None` for no limit (`max`, `-1`).
fn quota(text: &str) -> Option<usize> {
    let mut words = text.split_whitespace();
    let limit: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok().filter(|period| *period > 0)?;
    Some(limit.div_ceil(period))
}

/// The memory that groups in such a list grant, mounted at `root`. Unit: bytes.
fn memory_of(groups: &str, root: &Path) -> Option<u64> {
    least(groups, root, "memory", |group| {
        let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
        let text = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
        // Version 2 says `max` where there is no limit.
        if text.trim() == "max" { Some(u64::MAX) } else { text.trim().parse().ok() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn workers_follow_the_least_quota_above_them() {
        let one = |files: &[(&str, &str)], groups: &str| processors_of(groups, tree(files).path());
        // In a container: the own group is the root.
        assert_eq!(one(&[("cpu.max", "10000 100000\n")], "0::/\n"), Some(1));
        assert_eq!(one(&[("cpu.max", "250000 100000\n")], "0::/\n"), Some(3));
        assert_eq!(one(&[("cpu.max", "max 100000\n")], "0::/\n"), None);
        assert_eq!(one(&[("cpu.max", "150000 100000\n")], "0::/kubepods/pod1/c\n"), Some(2));
        // Outside of one, as a unit of systemd: its own group and the slice above it.
        let unit: &[(&str, &str)] =
            &[("a.slice/cpu.max", "400000 100000"), ("a.slice/b/cpu.max", "150000 100000")];
        assert_eq!(one(unit, "0::/a.slice/b\n"), Some(2));
        assert_eq!(
            one(&[("a.slice/cpu.max", "100000 100000"), ("a.slice/b/cpu.max", "max 1")], "0::/a.slice/b"),
            Some(1)
        );
        // Version 1.
        let old: &[(&str, &str)] =
            &[("cpu/pod/cpu.cfs_quota_us", "50000\n"), ("cpu/pod/cpu.cfs_period_us", "100000\n")];
        assert_eq!(one(old, "5:memory:/pod\n4:cpu,cpuacct:/pod\n"), Some(1));
        let free: &[(&str, &str)] =
            &[("cpu/cpu.cfs_quota_us", "-1\n"), ("cpu/cpu.cfs_period_us", "100000\n")];
        assert_eq!(one(free, "4:cpu,cpuacct:/\n"), None);
        assert_eq!(one(&[], "nonsense\n\n::\n"), None);
        assert_eq!(one(&[("cpu.max", "100 0")], "0::/"), None);
    }

    #[test]
    fn the_least_memory_above_us_counts_in_both_versions() {
        let one = |files: &[(&str, &str)], groups: &str| memory_of(groups, tree(files).path());
        assert_eq!(one(&[("memory.max", "134217728\n")], "0::/\n"), Some(128 << 20));
        assert_eq!(one(&[("memory.max", "134217728\n")], "0::/kubepods/pod1/c\n"), Some(128 << 20));
        assert_eq!(one(&[("memory.max", "max\n")], "0::/\n"), Some(u64::MAX));
        let unit: &[(&str, &str)] = &[("a.slice/memory.max", "1000"), ("a.slice/b/memory.max", "2000")];
        assert_eq!(one(unit, "0::/a.slice/b\n"), Some(1000));
        let unit: &[(&str, &str)] = &[("a.slice/memory.max", "1000"), ("a.slice/b/memory.max", "max")];
        assert_eq!(one(unit, "0::/a.slice/b\n"), Some(1000));
        let old: &[(&str, &str)] = &[("memory/pod/memory.limit_in_bytes", "5000\n")];
        assert_eq!(one(old, "9:cpu,cpuacct:/x\n8:memory:/pod\n"), Some(5000));
        let free: &[(&str, &str)] = &[("memory/memory.limit_in_bytes", "9223372036854771712\n")];
        assert!(one(free, "8:memory:/\n").is_some_and(|bytes| bytes > UNLIMITED));
        assert_eq!(one(&[("memory.max", "x")], "nonsense\n\n::\n0::/\n"), None);
        assert_eq!(one(&[], "0::/\n"), None);
    }
}
