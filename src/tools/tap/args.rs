//! The command.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::show;
use crate::admin::is_filter;
use crate::observe::TapPage;
use crate::tools::exit::{Ended, Exit, Fault};
use crate::tools::live::{Ending, Terminal, print};
use crate::tools::page::{escape, find};
use crate::tools::text::Format;

/// What is to be shown.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(
    after_help = "`observe` must be in the Corefile. Without --past it shows what is answered from now on, until Ctrl-C. A line is the \
                  time (UTC), the client, type, code, time taken, word that answered, name. --format json: an object a line. In a cluster: \
                  kubectl -n kube-system exec -it deploy/signpost -- /signpost tap --rcode NXDOMAIN\n\n\
                  Exit codes: 0 it was shown; 1 no running server tells; 2 a mistake on the command line."
)]
pub struct TapArgs {
    /// Show what the recorder has kept, and end
    #[arg(long)]
    pub past: bool,

    /// Only queries from this address or network
    #[arg(long, value_name = "IP[/BITS]")]
    pub client: Option<String>,

    /// Only queries for this name and for names below it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Only queries for this type
    #[arg(long = "type", value_name = "TYPE")]
    pub qtype: Option<String>,

    /// Only replies with this code
    #[arg(long, value_name = "RCODE")]
    pub rcode: Option<String>,

    /// Only replies that took so many milliseconds or more
    #[arg(long, value_name = "MILLISECONDS")]
    pub slower: Option<u64>,

    /// End after so many queries; of the past the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// The HTTP endpoint of the running server [default: 127.0.0.1:8080, then 127.0.0.1:9153]
    #[arg(long, value_name = "IP:PORT")]
    pub admin: Option<SocketAddr>,

    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// How often the server is asked for what is new.
const LOOK: Duration = Duration::from_millis(250);

/// The most queries of a page: as many as the server gives.
const PAGE: u64 = 10_000;

/// What a filter says to the server. Errors: a value that can't be read.
fn filters(args: &TapArgs) -> Result<String, Fault> {
    let mut path = String::new();
    let texts =
        [("client", &args.client), ("name", &args.name), ("type", &args.qtype), ("rcode", &args.rcode)];
    for (key, value) in texts {
        if let Some(value) = value {
            let parameter = format!("{key}={}", escape(value));
            if !is_filter(&parameter) {
                return Err(Fault::usage(format!("`{value}` is no value of --{key}")));
            }
            path.push_str(&format!("&{parameter}"));
        }
    }
    if let Some(slower) = args.slower {
        path.push_str(&format!("&slower={}", slower.saturating_mul(1000)));
    }
    Ok(path)
}

/// Shows it.
pub(in crate::tools) fn tap(args: &TapArgs) -> Ended {
    follow(args).map(|()| (String::new(), Exit::Good)).into()
}

/// Shows page after page. Errors: nobody tells.
fn follow(args: &TapArgs) -> Result<(), Fault> {
    let filters = filters(args)?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut admin = args.admin;
    let mut after = if args.past { String::new() } else { "now".to_owned() };
    let colours = args.format == Format::Text && Terminal::is_there();
    let ending = Ending::listen();
    loop {
        let count = if args.past { left.min(PAGE) } else { PAGE };
        let (at, page): (SocketAddr, TapPage) =
            find(admin, &format!("/tap?after={after}&count={count}{filters}"), "")?;
        admin = Some(at);
        // Of the past the oldest are always gone.
        if !args.past && (page.lost || page.left_out > 0) {
            crate::tools::live::complain(
                "queries are missing here: they came faster than they could be shown",
            );
        }
        for query in page.queries.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            let line = match args.format {
                Format::Text => show::line(query, colours),
                Format::Json => show::json_line(query),
            };
            if !print(&line) {
                return Ok(());
            }
        }
        left = left.saturating_sub(page.queries.len() as u64);
        if args.past || left == 0 || ending.wait(LOOK) {
            return Ok(());
        }
        after = page.cursor;
    }
}
