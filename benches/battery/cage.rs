//! A share of the machine for a server: a control group of either version, where this process may make one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where version 1 has its controllers, each in a folder, and version 2 all of them.
const ROOT: &str = "/sys/fs/cgroup";

/// The period over which a share of a processor is given. Unit: microseconds.
const PERIOD: u64 = 100_000;

/// A control group with one process in it; it is taken away when it is dropped, which must be behind the end of the process.
#[derive(Debug)]
pub(crate) struct Cage {
    /// Its folders: one of version 2, or one for each controller of version 1.
    folders: Vec<PathBuf>,
}

/// What a process may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Share {
    /// So many hundredths of one processor.
    Processor(u64),
    /// So many bytes.
    #[allow(dead_code, reason = "the soak gives a share of a processor alone")]
    Memory(u64),
}

impl Cage {
    /// A group with nothing but this share. Errors: why none can be had here, for a row that is not run then.
    pub(crate) fn new(share: Share) -> anyhow::Result<Self> {
        let name = format!("signpost-bench-{}", std::process::id());
        let second = Path::new(ROOT).join("cgroup.controllers").is_file();
        let controller = match share {
            Share::Processor(_) => "cpu",
            Share::Memory(_) => "memory",
        };
        let folder =
            if second { Path::new(ROOT).join(name) } else { Path::new(ROOT).join(controller).join(name) };
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        let cage = Self { folders: vec![folder.clone()] };
        if second {
            // Where nobody has done it yet; a refusal shows below.
            let _ = std::fs::write(Path::new(ROOT).join("cgroup.subtree_control"), format!("+{controller}"));
        }
        let lines = match (share, second) {
            (Share::Processor(hundredths), true) => {
                vec![("cpu.max", format!("{} {PERIOD}", PERIOD * hundredths / 100))]
            }
            (Share::Processor(hundredths), false) => vec![
                ("cpu.cfs_period_us", PERIOD.to_string()),
                ("cpu.cfs_quota_us", (PERIOD * hundredths / 100).to_string()),
            ],
            (Share::Memory(bytes), true) => vec![("memory.max", bytes.to_string())],
            (Share::Memory(bytes), false) => vec![("memory.limit_in_bytes", bytes.to_string())],
        };
        for (file, text) in lines {
            let path = folder.join(file);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(cage)
    }

    /// Puts a process with all its threads in.
    pub(crate) fn hold(&self, pid: u32) -> anyhow::Result<()> {
        for folder in &self.folders {
            let path = folder.join("cgroup.procs");
            std::fs::write(&path, pid.to_string()).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = std::fs::remove_dir(folder);
        }
    }
}
