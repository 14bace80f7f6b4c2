//! Files in the form of resolv.conf: their name servers, and whether they changed (rule F-01).

use std::net::{SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use resolv_conf::{Config, ScopedIp};

use super::target::{MOST_ADDRESSES, scoped};

/// The port of name servers.
const PORT: u16 = 53;

/// Said of a file without name servers.
const NO_SERVER: &str = "it names no server";

/// A file that is longer is none of this form. Unit: bytes.
const LONGEST: u64 = 64 << 10;

/// The name servers of a text, in its order, each once; `search`, `options` and lines that can't be read are of no
/// interest here.
///
/// Errors: it names none; or only such whose interface there is not.
pub(crate) fn name_servers(text: &[u8]) -> Result<Vec<SocketAddr>, String> {
    let (config, _) = Config::parse_with_errors(text);
    let mut found: Vec<SocketAddr> = Vec::new();
    let mut fault = None;
    for server in config.nameservers {
        let addr = match server {
            ScopedIp::V4(ip) => Ok(SocketAddr::new(ip.into(), PORT)),
            ScopedIp::V6(ip, scope) => {
                let addr = SocketAddr::V6(SocketAddrV6::new(ip, PORT, 0, 0));
                scope.map_or(Ok(addr), |scope| scoped(addr, &scope))
            }
        };
        match addr {
            Ok(addr) if !found.contains(&addr) => found.push(addr),
            Ok(_) => {}
            Err(text) => fault = Some(text),
        }
    }
    found.truncate(MOST_ADDRESSES);
    if found.is_empty() { Err(fault.unwrap_or_else(|| NO_SERVER.to_owned())) } else { Ok(found) }
}

/// What tells one state of a file from another without reading it.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

/// What a look at a file found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// Nothing that was not known.
    Same,
    /// Other name servers than before.
    Changed(Vec<SocketAddr>),
    /// It can't be used any more, for this reason; what it said last goes on. Said once.
    Lost(String),
    /// It can be used again, and says what it said last.
    Healed,
}

/// A file in the form of resolv.conf that is looked at again and again.
#[derive(Debug)]
pub struct ResolvFile {
    /// Where it is; links are followed at each look.
    path: PathBuf,
    /// Its state when it was read last.
    seen: Option<Stamp>,
    /// Whether it was read only once in that state: another change within the same tick of the kernel's clock would not
    /// show.
    fresh: bool,
    /// What it said when it could be used last.
    good: Vec<SocketAddr>,
    /// Why it can't be used.
    fault: Option<String>,
}

impl ResolvFile {
    /// Reads a file for the first time.
    ///
    /// Errors: it can't be read, or names no server; in words.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let seen = stamp(&path).ok();
        let good = read(&path)?;
        Ok(Self { path, seen, fresh: true, good, fault: None })
    }

    /// A file that names nobody yet, but may later.
    #[must_use]
    pub fn expect(path: PathBuf) -> Self {
        Self { path, seen: None, fresh: true, good: Vec::new(), fault: Some(NO_SERVER.to_owned()) }
    }

    /// Whether a file can be read and names no server.
    #[must_use]
    pub fn is_empty(path: &Path) -> bool {
        read(path).is_err_and(|fault| fault == NO_SERVER)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name servers that it named when it could be used last.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.good
    }

    /// Looks at it. Cost: one stat; a read when something changed, and once more at the look after that.
    pub fn look(&mut self) -> Look {
        let now = stamp(&self.path).ok();
        if now == self.seen && now.is_some() && !self.fresh {
            return Look::Same;
        }
        self.fresh = now != self.seen;
        self.seen = now;
        match read(&self.path) {
            Ok(servers) => {
                let healed = self.fault.take().is_some();
                if servers == self.good {
                    return if healed { Look::Healed } else { Look::Same };
                }
                self.good.clone_from(&servers);
                Look::Changed(servers)
            }
            Err(fault) if self.fault.is_some() => {
                self.fault = Some(fault);
                Look::Same
            }
            Err(fault) => {
                self.fault = Some(fault.clone());
                Look::Lost(fault)
            }
        }
    }
}

/// The state of a file.
fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let meta = std::fs::metadata(path)?;
    Ok((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

/// The search list of a file, in its order, each name once; of several lines the last counts.
///
/// Errors: it can't be read; in words. A file without a search list is none.
pub fn search_list(path: &Path) -> Result<Vec<String>, String> {
    Ok(searches(&load(path)?))
}

/// The search list of a text.
pub(crate) fn searches(text: &[u8]) -> Vec<String> {
    let (config, _) = Config::parse_with_errors(text);
    let mut names: Vec<String> = Vec::new();
    for name in config.get_last_search_or_domain() {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The name servers of a file.
fn read(path: &Path) -> Result<Vec<SocketAddr>, String> {
    name_servers(&load(path)?)
}

/// The text of a file.
fn load(path: &Path) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is not a file".to_owned());
    }
    if meta.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Name servers as text.
    fn said(text: &str) -> Result<String, String> {
        name_servers(text.as_bytes())
            .map(|servers| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn name_servers_are_found_whatever_stands_around_them() {
        let text = "# by hand\nsearch a.b c\n nameserver 10.0.0.1 # first\nlookup file bind\noptions trust-ad ndots:5\n\
                    nameserver 300.1.1.1\nnameserver\tfd00::1\nnameserver 10.0.0.1\nnameserver fe80::1%7\n";
        assert_eq!(said(text).as_deref(), Ok("10.0.0.1:53 [fd00::1]:53 [fe80::1%7]:53"));
        assert_eq!(said("nameserver 10.0.0.1\r\n").as_deref(), Ok("10.0.0.1:53"));
    }

    #[test]
    fn the_last_search_list_counts_and_names_each_domain_once() {
        let text = b"search old.example\nnameserver 10.0.0.1\nsearch Corp.example. a.b corp.example\n";
        assert_eq!(searches(text), ["corp.example", "a.b"]);
        assert_eq!(searches(b"domain only.example\n"), ["only.example"]);
        assert_eq!(searches(b"nameserver 10.0.0.1\n"), Vec::<String>::new());
        assert_eq!(searches(b"search .\n"), Vec::<String>::new());
    }

    #[test]
    fn a_text_without_servers_is_none() {
        for text in ["", "#nameserver 10.0.0.1\n", "search a\n", "\0\u{7f}\u{ff}", "nameserver\n"] {
            assert_eq!(said(text), Err("it names no server".to_owned()), "{text:?}");
        }
        assert_eq!(said("nameserver fe80::1%eth99"), Err("there is no interface `eth99`".to_owned()));
    }

    #[test]
    fn at_most_fifteen_servers_count() {
        let text: String = (1..=40).map(|last| format!("nameserver 10.0.0.{last}\n")).collect();
        assert_eq!(name_servers(text.as_bytes()).map(|servers| servers.len()), Ok(MOST_ADDRESSES));
    }

    /// The addresses of a change.
    fn changed(to: &str) -> Look {
        Look::Changed(to.split(' ').map(|addr| addr.parse().expect("an address")).collect())
    }

    #[test]
    fn a_file_that_is_replaced_rewritten_emptied_removed_and_back_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let write =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("it is written");
        write("resolv.conf", "nameserver 10.0.0.1\n");
        let mut file = ResolvFile::open(path.clone()).expect("it is sound");
        assert_eq!(file.look(), Look::Same);

        // Replaced at once, as careful programs do.
        write("new", "nameserver 10.0.0.2\n");
        fs::rename(folder.path().join("new"), &path).expect("it is renamed");
        assert_eq!(file.look(), changed("10.0.0.2:53"));
        // Rewritten in place with as many bytes, within the same tick.
        write("resolv.conf", "nameserver 10.0.0.3\n");
        assert_eq!(file.look(), changed("10.0.0.3:53"));
        assert_eq!(file.look(), Look::Same);

        write("resolv.conf", "");
        assert_eq!(file.look(), Look::Lost("it names no server".to_owned()));
        assert_eq!(file.look(), Look::Same, "said once");
        assert_eq!(file.servers(), ["10.0.0.3:53".parse().expect("an address")], "the last good ones");
        write("resolv.conf", "\u{0}\u{1}garbage\n");
        assert_eq!(file.look(), Look::Same, "another fault is no news");
        write("resolv.conf", "nameserver 10.0.0.3\n");
        assert_eq!(file.look(), Look::Healed);

        fs::remove_file(&path).expect("it is removed");
        assert!(matches!(file.look(), Look::Lost(_)));
        assert_eq!(file.look(), Look::Same);
        fs::create_dir(&path).expect("a folder in its place");
        assert_eq!(file.look(), Look::Same);
        fs::remove_dir(&path).expect("it is removed");
        write("resolv.conf", "nameserver 10.0.0.4\n");
        assert_eq!(file.look(), changed("10.0.0.4:53"));
    }

    #[test]
    fn a_link_that_is_swapped_is_followed() {
        // As the kubelet swaps the files of a ConfigMap: a link to a folder behind a link.
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for (name, text) in [("one", "nameserver 10.0.0.1\n"), ("two", "nameserver 10.0.0.2\n")] {
            fs::create_dir(root.join(name)).expect("a folder");
            fs::write(root.join(name).join("resolv.conf"), text).expect("it is written");
        }
        symlink("one", root.join("data")).expect("a link");
        symlink("data/resolv.conf", root.join("resolv.conf")).expect("a link");
        let mut file = ResolvFile::open(root.join("resolv.conf")).expect("it is sound");
        symlink("two", root.join("data.new")).expect("a link");
        fs::rename(root.join("data.new"), root.join("data")).expect("it is renamed");
        assert_eq!(file.look(), changed("10.0.0.2:53"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_an_error_at_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |path: &Path| ResolvFile::open(path.to_owned()).err();
        assert!(open(&folder.path().join("none")).is_some_and(|text| text.contains("No such file")));
        assert_eq!(open(folder.path()).as_deref(), Some("it is not a file"));
        let long = folder.path().join("long");
        fs::write(&long, vec![b'#'; 100_000]).expect("it is written");
        assert_eq!(open(&long).as_deref(), Some("it is longer than 65536 bytes"));
    }
}
