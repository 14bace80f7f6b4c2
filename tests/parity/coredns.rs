//! CoreDNS as a child process.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Ask, text};

/// How many ports are tried: another process may take one before CoreDNS has it.
const TRIES: usize = 5;

/// A CoreDNS that knows its cluster; ends when it is dropped.
pub(crate) struct CoreDns {
    /// The process.
    child: Child,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Where its Corefile is.
    _folder: tempfile::TempDir,
}

impl CoreDns {
    /// Starts it and waits until it is synced.
    pub(crate) fn start(binary: &OsStr, corefile: impl Fn(u16) -> String) -> Self {
        for _ in 0..TRIES {
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("Corefile");
            std::fs::write(&path, corefile(port)).unwrap();
            let child = Command::new(binary)
                .arg("-conf")
                .arg(&path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("COREDNS_BIN {}: {error}", binary.display()));
            let mut this = Self { child, addr: (Ipv4Addr::LOCALHOST, port).into(), _folder: folder };
            if this.synced() {
                return this;
            }
        }
        panic!("CoreDNS did not start with\n{}", corefile(0));
    }

    /// Waits until a name that does not exist is NXDOMAIN; false when the process has ended.
    fn synced(&mut self) -> bool {
        let ask = Ask::parse("nothing.nowhere.svc.Z A");
        for _ in 0..200 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let query = ask.bytes(1);
            let mut buffer = [0; 512];
            socket.send_to(&query, self.addr).unwrap();
            // An unsynced CoreDNS says SERVFAIL (K-016).
            if let Ok(length) = socket.recv(&mut buffer)
                && text(&buffer[..length], &query).starts_with("NXDOMAIN")
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("CoreDNS at {} does not sync", self.addr);
    }
}

impl Drop for CoreDns {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
