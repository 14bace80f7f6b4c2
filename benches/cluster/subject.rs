//! A server in a process of its own: started, watched through /proc, ended.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};

/// How long a server may take to end before it is killed.
const END: Duration = Duration::from_secs(10);

/// How long it is waited between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// One tick of `/proc/PID/stat`. Unit: seconds.
const TICK: f64 = 0.01;

/// A running server; dropping it ends it.
pub(crate) struct Subject {
    /// Where it writes what it has to say.
    pub(crate) log: PathBuf,
    /// The process.
    child: Child,
}

/// An address of loopback that nobody listens on, over UDP or TCP.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a port")?;
        let addr = socket.local_addr()?;
        if TcpListener::bind(addr).is_ok() {
            return Ok(addr);
        }
    }
}

impl Subject {
    /// Starts `program -conf FILE`; the Corefile and the log lie in `dir`.
    #[allow(dead_code, reason = "some start servers that have no Corefile")]
    pub(crate) fn start(program: &Path, corefile: &str, dir: &Path) -> anyhow::Result<Self> {
        let conf = dir.join("Corefile");
        std::fs::write(&conf, corefile).context("writing a Corefile")?;
        let mut command = Command::new(program);
        command.arg("-conf").arg(conf);
        Self::run(command, dir)
    }

    /// Starts a server; its log lies in `dir`.
    pub(crate) fn run(mut command: Command, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join("log");
        let out = std::fs::File::create(&log).context("making a log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
        Ok(Self { log, child })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error where it has ended.
    pub(crate) fn alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            bail!("the server ended with {status}:\n{}", lines[lines.len().saturating_sub(10)..].join("\n"));
        }
        Ok(())
    }

    /// How it ended, if it has.
    #[allow(dead_code, reason = "only the battery ends servers on purpose")]
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// A line of `/proc/PID/status`. Unit: bytes.
    fn status(&self, name: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number =
            line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse::<f64>().ok());
        Ok(number.with_context(|| format!("/proc tells no {name}"))? * 1024.0)
    }

    /// Resident memory. Unit: bytes.
    pub(crate) fn rss(&self) -> anyhow::Result<f64> {
        self.status("VmRSS:")
    }

    /// The most resident memory since the start or since it was forgotten. Unit: bytes.
    #[allow(dead_code, reason = "the soak looks every second instead")]
    pub(crate) fn peak(&self) -> anyhow::Result<f64> {
        self.status("VmHWM:")
    }

    /// Forgets the peak.
    #[allow(dead_code, reason = "the soak looks every second instead")]
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").context("forgetting a peak")
    }

    /// Open files.
    #[allow(dead_code, reason = "only the soak counts them")]
    pub(crate) fn files(&self) -> anyhow::Result<f64> {
        let count = std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count();
        Ok(f64::from(u32::try_from(count)?))
    }

    /// Threads.
    #[allow(dead_code, reason = "only the soak counts them")]
    pub(crate) fn threads(&self) -> anyhow::Result<f64> {
        let count = std::fs::read_dir(format!("/proc/{}/task", self.pid()))?.count();
        Ok(f64::from(u32::try_from(count)?))
    }

    /// Processor time, user and system. Unit: seconds.
    #[allow(dead_code, reason = "only the soak asks")]
    pub(crate) fn processor_time(&self) -> anyhow::Result<f64> {
        processor_time(&self.pid().to_string())
    }
}

/// Processor time of a process, `self` for this one. Unit: seconds.
#[allow(dead_code, reason = "only the soak asks")]
pub(crate) fn processor_time(pid: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; behind it, utime and stime are the 12th and 13th field.
    let (_, rest) = text.rsplit_once(')').context("/proc tells no times")?;
    Ok(rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>()
        * TICK)
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let mut waited = Duration::ZERO;
        while waited < END && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
