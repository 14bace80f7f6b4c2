//! What this machine takes by itself: an echo in this process, or in one that has no more of a processor than a server has,
//! asked beside the server in the same way.
//!
//! A server whose slowest answers are no slower than those of the echo was not what was slow.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use super::beside::{Beside, Names};
use super::cage::Cage;
use super::report::micros;
use super::say;

/// Questions a second: enough for a hundredth part within some seconds, too few to be in the way.
const RATE: u32 = 100;

/// How often the echo looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

/// Sends back what comes until it is stopped.
fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0_u8; 2048];
    while !stop.load(Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        // Flags without an error code.
        buffer[3] = 0;
        let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
    }
}

/// A process that is an echo and nothing else: tells its port, and ends with its input.
pub(crate) fn echo() -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding an echo")?;
    say(&socket.local_addr()?.port().to_string());
    std::thread::spawn(move || serve(&socket, &AtomicBool::new(false)));
    std::io::stdin().read_to_end(&mut Vec::new()).context("waiting for the end")?;
    Ok(())
}

/// An echo in a process of its own, asked as a server is; dropping it ends it.
pub(crate) struct Held {
    /// Who asks.
    asker: Option<Beside>,
    /// The process.
    child: Child,
}

impl Held {
    /// Begins to ask one, so many times a second, that has no more of a processor than all that is in a group.
    pub(crate) fn listen(cage: &Cage, rate: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--echo").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut held = Self { asker: None, child: command.spawn().context("starting an echo")? };
        let mut line = String::new();
        BufReader::new(held.child.stdout.take().context("an echo's stdout")?).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("an echo's port")?;
        cage.hold(held.child.id())?;
        held.asker = Some(Beside::start((Ipv4Addr::LOCALHOST, port).into(), Names::Echo, rate)?);
        Ok(held)
    }

    /// Ends it; what 99 of 100 of its replies were no slower than.
    pub(crate) fn finish(mut self) -> Duration {
        self.asker.take().map(Beside::finish).map_or(Duration::ZERO, |account| account.part(990))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An echo that is asked.
pub(crate) struct Noise {
    /// Who asks.
    asker: Beside,
    /// Set when the echo shall end.
    stop: Arc<AtomicBool>,
    /// The echo.
    echo: JoinHandle<()>,
}

impl Noise {
    /// Begins to ask an echo.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("binding an echo")?;
        socket.set_read_timeout(Some(LOOK))?;
        let addr = socket.local_addr()?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let echo = std::thread::spawn(move || serve(&socket, &stopped));
        Ok(Self { asker: Beside::start(addr, Names::Echo, RATE)?, stop, echo })
    }

    /// Ends it; what 99 of 100 replies of the echo were no slower than, in words.
    pub(crate) fn finish(self) -> String {
        let account = self.asker.finish();
        self.stop.store(true, Relaxed);
        let _ = self.echo.join();
        format!("an echo here {}", micros(account.part(990)))
    }
}
