//! Who knows why: a running server, or a plan that is made of files and never served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::chain::StoreSource;
use crate::chain::explain::{Explained, explain};
use crate::time::Clock;
use crate::tools::exit::Fault;
use crate::tools::look::{Looked, Looking, Unfed, is_stdin, look, read};
use crate::tools::{ask, page};
use crate::wire::{Decoded, parse_name};

/// What stands for a Corefile where only manifests are given: what kubeadm writes, with names of pods.
const COREFILE: &str = "\
.:53 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        manifests .
        pods insecure
        pod_hostnames
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    forward . /etc/resolv.conf
    cache 30
}
";

/// Whom to ask.
pub(super) struct OracleOptions<'a> {
    /// `--admin`.
    pub(super) admin: Option<SocketAddr>,
    /// `--server`.
    pub(super) server: Option<SocketAddr>,
    /// `--manifests`.
    pub(super) manifests: Option<&'a Path>,
    /// `--conf`.
    pub(super) conf: Option<&'a Path>,
    /// `--client`.
    pub(super) client: Option<IpAddr>,
}

/// Who knows.
pub(super) enum Oracle {
    /// A running server.
    Server {
        /// Its HTTP endpoint.
        admin: SocketAddr,
        /// Where it answers DNS, once known.
        server: Option<SocketAddr>,
        /// Who is said to ask.
        client: Option<IpAddr>,
        /// The clock that bounds questions.
        clock: Clock,
    },
    /// Files.
    Files {
        /// What they make.
        looked: Box<Looked>,
        /// What is wrong in them.
        problems: Vec<String>,
        /// Who is said to ask.
        client: Option<IpAddr>,
        /// The clock of ages.
        clock: Clock,
    },
}

impl Oracle {
    /// Finds the server, or reads the files. Errors: there is none, or a file can't be read, or is refused.
    pub(super) fn open(options: &OracleOptions<'_>) -> Result<Self, Fault> {
        if options.manifests.is_none() && options.conf.is_none() {
            return Self::find(options);
        }
        let (name, text) = match options.conf {
            Some(path) => read(path).map_err(Fault::usage)?,
            None => ("the usual Corefile".to_owned(), COREFILE.to_owned()),
        };
        let manifests = options.manifests.map(Path::to_owned);
        let parts = Looking { manifests, read_files: true, ..Looking::default() };
        let mut looked = look(&name, &text, 53, parts).map_err(|error| Fault::bad(error.render()))?;
        let problems = looked.parts.feed().map_err(|unfed| match unfed {
            Unfed::Cluster => Fault::bad(unfed.to_string()),
            Unfed::Folder(_) | Unfed::Stdin(_) => Fault::usage(unfed.to_string()),
        })?;
        Ok(Self::Files { looked: Box::new(looked), problems, client: options.client, clock: Clock::system() })
    }

    /// Finds the running server.
    fn find(options: &OracleOptions<'_>) -> Result<Self, Fault> {
        let instead = ", or look at files with --conf FILE or --manifests DIR";
        let (admin, Explained { .. }) = page::find(options.admin, "/explain?name=.&type=NS", instead)?;
        let (server, client) = (options.server, options.client);
        Ok(Self::Server { admin, server, client, clock: Clock::system() })
    }

    /// Who it is, in words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Server { admin, .. } => format!("the server at {admin}"),
            Self::Files { looked, .. } => {
                let sources = looked.parts.stores.iter().map(|asked| match &looked.parts.manifests {
                    Some(dir) => dir.display().to_string(),
                    None => crate::app::source_text(&asked.spec.source),
                });
                let sources: Vec<String> = sources.collect();
                if sources.is_empty() {
                    "files".to_owned()
                } else if looked.parts.manifests.as_deref().is_some_and(is_stdin) {
                    "the manifests from stdin".to_owned()
                } else {
                    format!("the manifests in {}", sources.join(" and "))
                }
            }
        }
    }

    /// The folder of manifests that it knows all from; none where that is no single one.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let Self::Files { looked, .. } = self else { return None };
        if let Some(dir) = &looked.parts.manifests {
            return Some(dir.clone()).filter(|dir| !is_stdin(dir));
        }
        match looked.parts.stores.as_slice() {
            [asked] => match &asked.spec.source {
                StoreSource::Manifests(dir) => Some(dir.clone()),
                StoreSource::Cluster(_) => None,
            },
            _ => None,
        }
    }

    /// What is wrong with what it knows.
    pub(super) fn problems(&self) -> &[String] {
        match self {
            Self::Server { .. } => &[],
            Self::Files { problems, .. } => problems,
        }
    }

    /// The cluster's zone.
    pub(super) fn cluster_zone(&mut self) -> Result<Option<String>, Fault> {
        Ok(self.explain(".", 2)?.cluster_zone)
    }

    /// What becomes of a question. Errors: the server does not tell any more, or the name is none.
    pub(super) fn explain(&mut self, name: &str, qtype: u16) -> Result<Explained, Fault> {
        match self {
            Self::Server { admin, server, client, .. } => {
                let client = client.map(|client| format!("&client={client}")).unwrap_or_default();
                let path = format!("/explain?name={}&type=TYPE{qtype}{client}", page::escape(name));
                let (_, explained): (SocketAddr, Explained) = page::find(Some(*admin), &path, "")?;
                if server.is_none() {
                    *server = explained.listens.iter().find_map(|text| text.parse().ok()).map(reach);
                }
                Ok(explained)
            }
            Self::Files { looked, client, clock, .. } => {
                let explained = explain(&looked.plan, (name, &format!("TYPE{qtype}")), *client, clock);
                let mut explained = explained.ok_or_else(|| Fault::usage(format!("`{name}` is no name")))?;
                explained.account.forget_ages();
                Ok(explained)
            }
        }
    }

    /// What the server really answers; `None` where there is no server.
    pub(super) fn ask(&self, name: &str, qtype: u16) -> Option<Result<Decoded, String>> {
        let Self::Server { server, clock, .. } = self else { return None };
        let wire = parse_name(name)?;
        Some(ask::ask((*server)?, &wire, qtype, clock).map_err(|error| error.to_string()))
    }
}

/// How an address that is listened on is reached from this machine.
fn reach(addr: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
