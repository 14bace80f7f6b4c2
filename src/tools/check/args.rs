//! The command.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::exit::{Ended, Exit, Fault};
use super::super::look;
use super::super::text::{Format, json};
use super::difference::{self, Difference};
use super::report::Report;
use super::show;
use crate::app::Placeholders;

/// What is to be checked.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(
    after_help = "A FILE may be a Corefile, the manifest of a ConfigMap with a key `Corefile` (YAML or JSON), or `-` for stdin.\n\n\
                  Exit codes: 0 every file would be served; 1 one would be refused; 2 one can't be read; 3 with --strict: one \
                  has warnings; 4 with --diff: the two differ."
)]
pub struct CheckArgs {
    /// Corefiles
    #[arg(value_name = "FILE", required_unless_present = "diff")]
    pub files: Vec<PathBuf>,

    /// Say what changes from one Corefile to the other
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with = "files")]
    pub diff: Vec<PathBuf>,

    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,

    /// End with 3 where there are warnings
    #[arg(long)]
    pub strict: bool,

    /// The port of server blocks that name none
    #[arg(long = "dns.port", value_name = "PORT", default_value_t = 53)]
    pub port: u16,

    /// What stands for placeholders
    #[command(flatten)]
    pub placeholders: Placeholders,
}

/// The reports of a file, one for each of its Corefiles. Errors: it can't be read, in words.
fn reports(path: &Path, args: &CheckArgs) -> Result<Vec<Report>, String> {
    let report = |(name, text): &(String, String)| Report::of(name, text, args.port, &args.placeholders);
    Ok(look::read_all(path)?.iter().map(report).collect())
}

/// The report of a file that holds one Corefile. Errors: it can't be read, or holds several.
fn report(path: &Path, args: &CheckArgs) -> Result<Report, Fault> {
    let (name, text) = look::read(path).map_err(Fault::usage)?;
    Ok(Report::of(&name, &text, args.port, &args.placeholders))
}

/// Checks.
pub(in crate::tools) fn check(args: &CheckArgs) -> Ended {
    match args.diff.as_slice() {
        [old, new] => compare(args, old, new).into(),
        _ => check_all(args),
    }
}

/// Checks every file: one that can't be read takes nothing from what is to be said about the others.
fn check_all(args: &CheckArgs) -> Ended {
    let (mut known, mut faults) = (Vec::new(), Vec::new());
    for path in &args.files {
        match reports(path, args) {
            Ok(more) => known.extend(more),
            Err(fault) => faults.push(fault),
        }
    }
    let refused = known.iter().any(|report| report.error.is_some());
    let warned = known.iter().any(|report| report.warnings.iter().any(|warning| warning.warns()));
    let exit = match (refused, warned && args.strict) {
        _ if !faults.is_empty() => Exit::Usage,
        (true, _) => Exit::Bad,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Good,
    };
    let text = match args.format {
        Format::Json => json(&known),
        Format::Text => known.iter().map(show::report).collect::<Vec<_>>().join("\n"),
    };
    Ended { text, fault: (!faults.is_empty()).then(|| faults.join("\n")), exit }
}

/// Compares two files. Errors: one can't be read.
fn compare(args: &CheckArgs, old: &Path, new: &Path) -> Result<(String, Exit), Fault> {
    let (old, new) = (report(old, args)?, report(new, args)?);
    if new.error.is_some() {
        let text = match args.format {
            Format::Json => json(&new),
            Format::Text => show::report(&new),
        };
        return Ok((text, Exit::Bad));
    }
    let difference = Difference::of(&old, &new);
    let exit = if difference.is_empty() { Exit::Good } else { Exit::Differs };
    let text = match args.format {
        Format::Json => json(&difference),
        Format::Text => difference::show(&difference),
    };
    Ok((text, exit))
}
