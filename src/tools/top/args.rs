//! The command.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::screen::{Size, lines, screen};
use crate::observe::TopPage;
use crate::tools::exit::{Ended, Exit, Fault};
use crate::tools::live::{Ending, Terminal, print};
use crate::tools::page::find;
use crate::tools::text::{Format, json};

/// What is to be shown.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(
    after_help = "`observe` must be in the Corefile. A terminal gets a view that is drawn anew until Ctrl-C; a pipe gets lines of a \
                  list, two counts (at least, at most) and who or what it is. In a cluster: \
                  kubectl -n kube-system exec -it deploy/signpost -- /signpost top\n\n\
                  Exit codes: 0 it was shown; 1 no running server tells."
)]
pub struct TopArgs {
    /// Only this list
    #[arg(value_enum, value_name = "LIST")]
    pub list: Option<List>,

    /// The window of time: 1, 10 or 60 minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 10, value_parser = minutes)]
    pub minutes: u64,

    /// How many of each [default: 10, on a terminal as many as fit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub count: Option<u16>,

    /// Show it once, as lines, on a terminal too
    #[arg(long)]
    pub once: bool,

    /// The HTTP endpoint of the running server [default: 127.0.0.1:8080, then 127.0.0.1:9153]
    #[arg(long, value_name = "IP:PORT")]
    pub admin: Option<SocketAddr>,

    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// A list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum List {
    /// Who asks most
    Clients,
    /// What is asked for most
    Names,
    /// The namespaces that are asked for most
    Namespaces,
    /// The names that are asked for most and are not there
    Nxdomain,
    /// The names that were slow most often
    Slow,
    /// The namespaces whose search lists are asked for most in vain
    Search,
}

/// Reads a window.
fn minutes(text: &str) -> Result<u64, String> {
    let known = text.parse().ok().filter(|minutes| crate::observe::WINDOWS.contains(minutes));
    known.ok_or_else(|| "1, 10 and 60 are counted".to_owned())
}

/// How often a terminal is drawn anew.
const DRAW: Duration = Duration::from_secs(2);

/// How many of each a pipe gets unless somebody says.
const COUNT: u16 = 10;

/// Shows it.
pub(in crate::tools) fn top(args: &TopArgs) -> Ended {
    try_top(args).into()
}

/// The same: what is to be printed, and how it ended. Errors: nobody tells.
fn try_top(args: &TopArgs) -> Result<(String, Exit), Fault> {
    let live = !args.once && args.format == Format::Text && Terminal::is_there();
    let count = args.count.unwrap_or(if live { 100 } else { COUNT });
    let path = format!("/top?minutes={}&count={count}", args.minutes);
    let (admin, page): (SocketAddr, TopPage) = find(args.admin, &path, "")?;
    let text = match args.format {
        Format::Json => json(&page),
        Format::Text if live => {
            draw(args.list, admin, &path, page);
            String::new()
        }
        Format::Text => lines(&page, args.list),
    };
    Ok((text, Exit::Good))
}

/// Draws until it is ended; a server that is away for a while is asked again.
fn draw(list: Option<List>, admin: SocketAddr, path: &str, mut page: TopPage) {
    let ending = Ending::listen();
    let terminal = Terminal::take();
    let mut fault = None;
    loop {
        let (width, height) = Terminal::size();
        let view = screen(&page, list, fault.as_deref(), Size { width, height });
        if !print(&terminal.frame(&view)) || ending.wait(DRAW) {
            return;
        }
        match find(Some(admin), path, "") {
            Ok((_, fresh)) => (page, fault) = (fresh, None),
            Err(told) => fault = Some(told.to_string()),
        }
    }
}
