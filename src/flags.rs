//! The command line: flags, CoreDNS's way to write them, commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use crate::app::Placeholders;
use crate::tools::Command;

/// The cluster DNS server: reads CoreDNS's Corefile and answers the names of a Kubernetes cluster.
#[derive(Parser, Debug, Default, PartialEq, Eq)]
#[command(name = "signpost", disable_version_flag = true, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Without a command it serves. Flags may also be written as CoreDNS has them: -conf FILE, -conf=FILE, -dns.port PORT, -quiet, \
                        -version, -plugins, -pidfile FILE.\n\n\
                        Try the demo:  signpost -conf config/demo/Corefile"
)]
pub struct Flags {
    /// The Corefile to serve [default: ./Corefile]
    #[arg(long, value_name = "FILE")]
    pub conf: Option<PathBuf>,

    /// The port of server blocks that name none
    #[arg(short = 'p', long = "dns.port", value_name = "PORT", default_value_t = 53)]
    pub port: u16,

    /// Don't print what is served
    #[arg(long)]
    pub quiet: bool,

    /// Print the version and end
    #[arg(long)]
    pub version: bool,

    /// Print every word that a Corefile may hold, and end
    #[arg(long)]
    pub plugins: bool,

    /// Write the process id to this file while running
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,

    /// What stands for the placeholders of node-local-dns
    #[command(flatten)]
    pub placeholders: Placeholders,

    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The long flags that CoreDNS's users write with one dash.
const LONG: &[&str] =
    &["conf", "dns.port", "quiet", "version", "plugins", "pidfile", "help", "localip", "upstreamsvc"];

/// Turns Go's way to write flags (`-conf F`, `-conf=F`) into `--conf F`, `--conf=F`; all else stays.
///
/// Shape: the first argument is the program. After `--` nothing is touched.
#[must_use]
pub fn rewrite(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut rewritten = Vec::new();
    let mut only_values = false;
    for (index, arg) in args.into_iter().enumerate() {
        let flag = arg
            .to_str()
            .filter(|text| index > 0 && !only_values && text.starts_with('-') && !text.starts_with("--"));
        only_values |= index > 0 && arg == "--";
        match flag.and_then(|text| text.strip_prefix('-')) {
            Some(text) if LONG.contains(&text.split('=').next().unwrap_or_default()) => {
                // Go's boolean flags may carry a value.
                let plain = match text.split_once('=') {
                    Some((name @ ("quiet" | "version" | "plugins"), "true" | "1" | "t")) => name,
                    Some(("quiet" | "version" | "plugins", "false" | "0" | "f")) => continue,
                    _ => text,
                };
                rewritten.push(format!("--{plain}").into());
            }
            // `-p=1053` is Go's form of `-p 1053`.
            _ => match arg.to_str().and_then(|text| text.strip_prefix("-p=")) {
                Some(port) if index > 0 => rewritten.extend(["-p".into(), port.into()]),
                _ => rewritten.push(arg),
            },
        }
    }
    rewritten
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags that a command line gives.
    fn flags(line: &str) -> Flags {
        let args = std::iter::once("signpost").chain(line.split_whitespace()).map(OsString::from);
        Flags::try_parse_from(rewrite(args)).unwrap()
    }

    #[test]
    fn every_form_of_conf_is_read() {
        for line in ["-conf x/Corefile", "-conf=x/Corefile", "--conf x/Corefile", "--conf=x/Corefile"] {
            assert_eq!(flags(line).conf.as_deref(), Some(std::path::Path::new("x/Corefile")), "{line}");
        }
    }

    #[test]
    fn every_form_of_the_port_is_read() {
        for line in ["-dns.port 1053", "-dns.port=1053", "--dns.port 1053", "-p 1053", "-p=1053"] {
            assert_eq!(flags(line).port, 1053, "{line}");
        }
        assert_eq!(flags("").port, 53);
    }

    #[test]
    fn switches_are_read_with_one_dash_or_two_and_with_gos_values() {
        for line in ["-quiet", "--quiet", "-quiet=true"] {
            assert!(flags(line).quiet, "{line}");
        }
        assert!(!flags("-quiet=false").quiet);
        assert!(flags("-version").version);
        assert!(flags("-plugins").plugins);
        assert_eq!(flags("-pidfile /run/x.pid").pidfile.as_deref(), Some(std::path::Path::new("/run/x.pid")));
    }

    #[test]
    fn an_unknown_flag_is_an_error() {
        let args = ["signpost", "-cpu"].map(OsString::from);
        assert!(Flags::try_parse_from(rewrite(args)).is_err());
    }

    #[test]
    fn a_value_that_looks_like_a_flag_name_stays_a_value() {
        assert_eq!(flags("--conf conf").conf.as_deref(), Some(std::path::Path::new("conf")));
    }
}
