//! Name servers of others as child processes: `knotd` and `nsd`, as primaries and as secondaries.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hickory_proto::rr::RecordType;

use super::world::{ask, free_port, program, until};

/// A name server of others; ends when it is dropped.
pub(crate) struct Other {
    /// The process.
    child: Child,
    /// What it is.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Its files.
    folder: tempfile::TempDir,
}

impl Drop for Other {
    fn drop(&mut self) {
        // By its process id; it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it is to do with the zone `example.org`.
pub(crate) enum Role<'a> {
    /// To have it: the text of its file, and where somebody may be told of changes.
    Primary(&'a str, Option<SocketAddr>),
    /// To sign it: the text of its file.
    Signer(&'a str),
    /// To transfer it from there.
    Secondary(SocketAddr),
}

impl Other {
    /// A `knotd`; `None` where there is none on this machine.
    pub(crate) fn knot(role: &Role<'_>) -> Option<Self> {
        let program = program("knotd")?;
        let folder = tempfile::tempdir().unwrap();
        let (port, path) = (free_port(), folder.path().display().to_string());
        fs::create_dir(folder.path().join("db")).unwrap();
        let mut text = format!(
            "server:\n  rundir: {path}\n  listen: 127.0.0.1@{port}\n  user: root:root\ndatabase:\n  storage: {path}/db\nlog:\n  \
             - target: {path}/log\n    any: info\n"
        );
        let mut zone =
            format!("zone:\n  - domain: example.org\n    file: {path}/zone\n    journal-content: none\n");
        match role {
            Role::Signer(file) => {
                fs::write(folder.path().join("zone"), file).unwrap();
                text.push_str("acl:\n  - id: open\n    address: 127.0.0.1\n    action: transfer\n");
                zone.push_str("    acl: open\n    dnssec-signing: on\n    zonefile-sync: -1\n");
                zone = zone.replace("journal-content: none", "journal-content: changes");
            }
            Role::Primary(file, told) => {
                fs::write(folder.path().join("zone"), file).unwrap();
                text.push_str("acl:\n  - id: open\n    address: 127.0.0.1\n    action: transfer\n");
                zone.push_str("    acl: open\n");
                if let Some(told) = told {
                    text.push_str(&format!(
                        "remote:\n  - id: told\n    address: 127.0.0.1@{}\n",
                        told.port()
                    ));
                    zone.push_str("    notify: told\n");
                }
            }
            Role::Secondary(primary) => {
                text.push_str(&format!(
                    "remote:\n  - id: primary\n    address: 127.0.0.1@{}\nacl:\n  - id: word\n    address: 127.0.0.1\n    \
                     action: notify\n",
                    primary.port()
                ));
                zone.push_str("    master: primary\n    acl: word\n");
            }
        }
        let config = folder.path().join("knot.conf");
        fs::write(&config, text + &zone).unwrap();
        Some(Self::start("knotd", Command::new(program).arg("-c").arg(config), folder, port))
    }

    /// An `nsd`; `None` where there is none on this machine.
    pub(crate) fn nsd(role: &Role<'_>) -> Option<Self> {
        let program = program("nsd")?;
        let folder = tempfile::tempdir().unwrap();
        let (port, path) = (free_port(), folder.path().display().to_string());
        let mut text = format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: {path}\n  pidfile: {path}/pid\n  database: \
             \"\"\n  zonelistfile: {path}/list\n  xfrdfile: {path}/xfrd\n  xfrdir: {path}\n  logfile: {path}/log\n  verbosity: 2\n\
             remote-control:\n  control-enable: no\nzone:\n  name: example.org\n  zonefile: zone\n"
        );
        match role {
            Role::Signer(_) => panic!("nsd does not sign"),
            Role::Primary(file, told) => {
                fs::write(folder.path().join("zone"), file).unwrap();
                text.push_str("  provide-xfr: 127.0.0.1 NOKEY\n");
                if let Some(told) = told {
                    text.push_str(&format!("  notify: 127.0.0.1@{} NOKEY\n", told.port()));
                }
            }
            Role::Secondary(primary) => {
                text.push_str(&format!(
                    "  request-xfr: AXFR 127.0.0.1@{} NOKEY\n  allow-notify: 127.0.0.1 NOKEY\n",
                    primary.port()
                ));
            }
        }
        let config = folder.path().join("nsd.conf");
        fs::write(&config, text).unwrap();
        Some(Self::start("nsd", Command::new(program).arg("-d").arg("-c").arg(config), folder, port))
    }

    /// Starts the process and waits until it serves the zone.
    fn start(name: &'static str, command: &mut Command, folder: tempfile::TempDir, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut this = Self { child, name, addr: SocketAddr::from(([127, 0, 0, 1], port)), folder };
        until(name, || {
            let ended = this.child.try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended: {}", this.log());
            // Nothing listens yet, or the zone is not there yet.
            std::panic::catch_unwind(|| ask(this.addr, "example.org.", RecordType::SOA))
                .is_ok_and(|reply| reply.starts_with("NoError aa"))
        });
        this
    }

    /// What it wrote down.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Gives a primary another file and has it read.
    pub(crate) fn change(&self, file: &str) {
        let path: &Path = self.folder.path();
        fs::write(path.join("zone"), file).unwrap();
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }
}
