//! The command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::oracle::{Oracle, OracleOptions};
use super::walk::{Resolver, walk};
use super::{pod, show};
use crate::tools::exit::{Ended, Exit, Fault};
use crate::tools::look::is_stdin;
use crate::tools::text::{Format, json};
use crate::wire::{parse_name, parse_type, rtype};

/// What is to be explained.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(
    after_help = "Without --manifests or --conf a running server is asked: http://127.0.0.1:8080/explain and :9153, beside \
                  `health` and `prometheus`, on loopback only. In a cluster: \
                  kubectl -n kube-system exec deploy/signpost -- /signpost explain web.shop --from prod\n\n\
                  Exit codes: 0 the name resolves; 1 no server tells, or the Corefile is refused; 2 a mistake on the command line, or a \
                  file that can't be read; 4 the name does not resolve."
)]
pub struct ExplainArgs {
    /// The name; with a dot at its end the search list is left out
    pub name: String,

    /// The type of record [default: A and AAAA, as programs ask]
    #[arg(value_name = "TYPE")]
    pub qtype: Option<String>,

    /// Ask as a pod of this namespace does; with manifests as that POD does
    #[arg(long, value_name = "NAMESPACE[/POD]", conflicts_with = "search")]
    pub from: Option<String>,

    /// Ask with this search list
    #[arg(long, value_name = "ZONES", value_delimiter = ',')]
    pub search: Vec<String>,

    /// How many dots make a name that is first asked as it is
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub ndots: usize,

    /// Ask from this address, for words that look at it: `acl`, `view`, `autopath`
    #[arg(long, value_name = "IP")]
    pub client: Option<std::net::IpAddr>,

    /// The HTTP endpoint of the running server
    #[arg(long, value_name = "IP:PORT")]
    pub admin: Option<SocketAddr>,

    /// Where the running server answers DNS, for names that it asks upstreams for [default: where it listens]
    #[arg(long, value_name = "IP:PORT")]
    pub server: Option<String>,

    /// Ask nobody: look at the manifests of this folder; `-` is stdin
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,

    /// Ask nobody: look at this Corefile; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub conf: Option<PathBuf>,

    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// Explains.
pub(in crate::tools) fn explain(args: &ExplainArgs) -> Ended {
    try_explain(args).into()
}

/// The same: what is to be printed, and how it ended. Errors: nobody could be asked, or the question is none.
fn try_explain(args: &ExplainArgs) -> Result<(String, Exit), Fault> {
    let types = match &args.qtype {
        Some(text) => {
            vec![parse_type(text).ok_or_else(|| Fault::usage(format!("`{text}` is no type of record")))?]
        }
        None => vec![rtype::A, rtype::AAAA],
    };
    if parse_name(&args.name).is_none() {
        return Err(Fault::usage(format!("`{}` is no name", args.name)));
    }
    let is_none = |zone: &&String| !zone.is_empty() && parse_name(zone).is_none();
    if let Some(zone) = args.search.iter().find(is_none) {
        return Err(Fault::usage(format!("`{zone}`, of --search, is no name")));
    }
    if [&args.conf, &args.manifests].into_iter().all(|path| path.as_deref().is_some_and(is_stdin)) {
        return Err(Fault::usage("--conf and --manifests cannot both be stdin"));
    }
    let server = args.server.as_deref().map(crate::tools::ask::server).transpose().map_err(Fault::usage)?;
    let mut oracle = Oracle::open(&OracleOptions {
        admin: args.admin,
        server,
        manifests: args.manifests.as_deref(),
        conf: args.conf.as_deref(),
        client: args.client,
    })?;
    let mut resolver = Resolver { ndots: args.ndots, search: args.search.clone(), note: None, asks: true };
    if let Some(from) = &args.from {
        let (namespace, pod) =
            from.split_once('/').map_or((from.as_str(), None), |(ns, pod)| (ns, Some(pod)));
        if parse_name(namespace).is_none() {
            return Err(Fault::usage(format!("`{from}`, of --from, is no NAMESPACE or NAMESPACE/POD")));
        }
        let no_zone = || Fault::usage("the server has no cluster zone: give --search instead of --from");
        let zone = oracle.cluster_zone()?.ok_or_else(no_zone)?;
        resolver = pod::resolver(namespace, pod, &zone, oracle.folder().as_deref(), args.ndots)
            .map_err(Fault::usage)?;
    }
    let story = walk(&args.name, &types, &resolver, &mut oracle)?;
    let exit = if story.resolves() { Exit::Good } else { Exit::Differs };
    let text = match args.format {
        Format::Json => json(&story),
        Format::Text => show::story(&story),
    };
    Ok((text, exit))
}
