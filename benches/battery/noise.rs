//! What this machine takes by itself: an echo in this process, asked beside a server in the same way.
//!
//! A server whose slowest answers are no slower than those of the echo was not what was slow.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use super::beside::{Beside, Names};
use super::report::micros;

/// Questions a second: enough for a hundredth part within some seconds, too few to be in the way.
const RATE: u32 = 100;

/// How often the echo looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

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
        let echo = std::thread::spawn(move || {
            let mut buffer = [0_u8; 2048];
            while !stopped.load(Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                // Flags without an error code.
                buffer[3] = 0;
                let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
            }
        });
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
