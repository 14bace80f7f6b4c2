//! The command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::judge::{Difference, Strictness, judge};
use super::questions::{Asked, of_manifests, of_text};
use crate::time::Clock;
use crate::tools::ask::{AskError, ask, server};
use crate::tools::exit::{Ended, Exit, Fault};
use crate::tools::look::{is_stdin, read_text};
use crate::tools::text::{Format, json, plural, wrap};
use crate::wire::{Decoded, parse_name, rtype};

/// What is to be compared.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(
    after_help = "Compared are the code, AA, the set of records of the answer and the zone of a negative reply, over UDP, and over \
                  TCP where a reply was cut. Order never counts. Differences that signpost makes on purpose name their rule in \
                  docs/behaviour.md and count only with --strict.\n\n\
                  Exit codes: 0 no difference; 1 a server could not be asked; 2 a mistake on the command line, or a file \
                  can't be read; 4 differences."
)]
pub struct CompareArgs {
    /// The other server
    #[arg(long, value_name = "IP:PORT")]
    pub against: String,

    /// This server
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:53")]
    pub server: String,

    /// Ask for the names in this file: a name a line, types behind it; `-` is stdin
    #[arg(long, value_name = "FILE", required_unless_present = "from_manifests")]
    pub names: Option<PathBuf>,

    /// Ask for all that the objects of this folder give rise to; `-` is stdin
    #[arg(long, value_name = "DIR")]
    pub from_manifests: Option<PathBuf>,

    /// The cluster's zone, for --from-manifests
    #[arg(long, value_name = "ZONE", default_value = "cluster.local")]
    pub zone: String,

    /// Compare TTLs too
    #[arg(long)]
    pub ttl: bool,

    /// Don't compare AA
    #[arg(long)]
    pub no_aa: bool,

    /// Count differences that are made on purpose
    #[arg(long)]
    pub strict: bool,

    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// What came of it.
#[derive(Serialize)]
struct Report {
    /// This server.
    server: SocketAddr,
    /// The other one.
    against: SocketAddr,
    /// How many questions both were asked.
    questions: usize,
    /// How many replies differ otherwise than on purpose.
    different: usize,
    /// How many differ on purpose alone.
    on_purpose: usize,
    /// The differences.
    differences: Vec<Found>,
    /// What is wrong with the manifests: of that nothing was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// A question whose replies differ.
#[derive(Serialize)]
struct Found {
    /// The name.
    name: String,
    /// The type.
    qtype: String,
    /// In what.
    differences: Vec<Difference>,
}

/// Compares.
pub(in crate::tools) fn compare(args: &CompareArgs) -> Ended {
    try_compare(args).into()
}

/// The same: what is to be printed, and how it ended. Errors: nothing to ask, nobody to ask.
fn try_compare(args: &CompareArgs) -> Result<(String, Exit), Fault> {
    let servers = (server(&args.server), server(&args.against));
    let servers = (servers.0.map_err(Fault::usage)?, servers.1.map_err(Fault::usage)?);
    let (asked, problems) = questions(args).map_err(Fault::usage)?;
    let mut report = run(args, servers, &asked).map_err(Fault::bad)?;
    report.problems = problems;
    let counts = report.different > 0 || args.strict && report.on_purpose > 0;
    let text = match args.format {
        Format::Json => json(&report),
        Format::Text => show(&report),
    };
    Ok((text, if counts { Exit::Differs } else { Exit::Good }))
}

/// What is to be asked, and what is wrong with what that was made from. Errors: in words.
fn questions(args: &CompareArgs) -> Result<(Vec<Asked>, Vec<String>), String> {
    let mut asked = Vec::new();
    let mut problems = Vec::new();
    let of_stdin = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdin);
    if of_stdin(&args.names) && of_stdin(&args.from_manifests) {
        return Err("--names and --from-manifests cannot both be stdin".to_owned());
    }
    if let Some(file) = &args.names {
        let (name, text) = read_text(file)?;
        asked.extend(of_text(&name, &text)?);
    }
    if let Some(dir) = &args.from_manifests {
        let (questions, wrong) = of_manifests(dir, &args.zone)?;
        asked.extend(questions);
        problems = wrong;
    }
    if asked.is_empty() {
        return Err("there is nothing to ask".to_owned());
    }
    Ok((asked, problems))
}

/// Asks both. Errors: a server can't be asked, in words.
fn run(
    args: &CompareArgs,
    (ours, theirs): (SocketAddr, SocketAddr),
    asked: &[Asked],
) -> Result<Report, String> {
    let clock = Clock::system();
    let strict = Strictness { ttl: args.ttl, authoritative: !args.no_aa };
    let mut report = Report {
        server: ours,
        against: theirs,
        questions: asked.len(),
        different: 0,
        on_purpose: 0,
        differences: Vec::new(),
        problems: Vec::new(),
    };
    // A server that has answered once and is silent about a name is different; one that never answers is not there.
    let mut heard = (false, false);
    for question in asked {
        let Some(wire) = parse_name(&question.name) else { continue };
        let mut look = || -> Result<Vec<Difference>, String> {
            let mine = ask(ours, &wire, question.qtype, &clock);
            let other = ask(theirs, &wire, question.qtype, &clock);
            heard = (heard.0 || mine.is_ok(), heard.1 || other.is_ok());
            match (mine, other) {
                (Ok(mine), Ok(other)) => Ok(judge((&question.name, question.qtype), &mine, &other, strict)),
                (Err(error), _) if !heard.0 => Err(error.to_string()),
                (_, Err(error)) if !heard.1 => Err(error.to_string()),
                (mine, other) => Ok(silence(mine, other)),
            }
        };
        let mut differences = look()?;
        if !differences.is_empty() {
            // The cluster may have changed between the two questions: what differs twice differs.
            differences = look()?;
        }
        if differences.is_empty() {
            continue;
        }
        match differences.iter().all(|difference| difference.rule.is_some()) {
            true => report.on_purpose += 1,
            false => report.different += 1,
        }
        let qtype = type_name(question.qtype);
        report.differences.push(Found { name: question.name.clone(), qtype, differences });
    }
    Ok(report)
}

/// The difference between a reply and none.
fn silence(mine: Result<Decoded, AskError>, other: Result<Decoded, AskError>) -> Vec<Difference> {
    let text = |reply: Result<Decoded, AskError>| match reply {
        Ok(reply) => reply.rcode.text().to_owned(),
        Err(_) => "no reply".to_owned(),
    };
    let (ours, theirs) = (text(mine), text(other));
    if ours == theirs {
        return Vec::new();
    }
    vec![Difference { what: "code", ours, theirs, rule: None }]
}

/// The mnemonic of a type that is asked for, or its number.
fn type_name(qtype: u16) -> String {
    let known = [
        (rtype::A, "A"),
        (rtype::AAAA, "AAAA"),
        (rtype::SRV, "SRV"),
        (rtype::TXT, "TXT"),
        (rtype::PTR, "PTR"),
        (rtype::CNAME, "CNAME"),
        (rtype::SOA, "SOA"),
        (rtype::NS, "NS"),
        (rtype::MX, "MX"),
    ];
    let found = known.iter().find(|(number, _)| *number == qtype);
    found.map_or_else(|| format!("TYPE{qtype}"), |(_, name)| (*name).to_owned())
}

/// A report as text for people.
fn show(report: &Report) -> String {
    let mut out = String::new();
    for found in &report.differences {
        out.push_str(&format!("{} {}\n", found.name, found.qtype));
        for difference in &found.differences {
            let rule = difference.rule.map(|rule| format!(" (on purpose: {rule})")).unwrap_or_default();
            wrap(&mut out, "  ", &format!("{}{rule}", difference.what));
            wrap(&mut out, "    here   ", &difference.ours);
            wrap(&mut out, "    there  ", &difference.theirs);
        }
    }
    if !report.differences.is_empty() {
        out.push('\n');
    }
    for problem in &report.problems {
        wrap(&mut out, "not asked for: ", problem);
    }
    let purpose = match report.on_purpose {
        0 => String::new(),
        count => format!(", {count} on purpose"),
    };
    let different = match report.different {
        0 => "no reply differs".to_owned(),
        1 => "1 reply differs".to_owned(),
        count => format!("{count} replies differ"),
    };
    let asked = plural(report.questions, "question");
    out.push_str(&format!("{asked} to {} and {}: {different}{purpose}\n", report.server, report.against));
    out
}
