//! The command.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{asked, memory, numbers::Numbers, resolv, server};
use crate::chain::StoreSource;
use crate::chain::explain::Explained;
use crate::source::cluster::{Review, review};
use crate::tools::check::{Notice, notices};
use crate::tools::exit::{Ended, Exit};
use crate::tools::look::{AskedStore, Looking, look, read};
use crate::tools::page::fetch;
use crate::tools::text::{Format, json, plural, wrap};

/// Where to look.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
#[command(
    after_help = "Run it beside the server: kubectl -n kube-system exec deploy/signpost -- /signpost doctor -conf \
                  /etc/coredns/Corefile\n\n\
                  Exit codes: 0 nothing was found; 1 nothing could be looked at; 3 something was found."
)]
pub struct DoctorArgs {
    /// The Corefile that is served [default: ./Corefile or /etc/coredns/Corefile, where there is one]
    #[arg(long, value_name = "FILE")]
    pub conf: Option<PathBuf>,

    /// The metrics of the running server
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9153")]
    pub metrics: SocketAddr,

    /// The readiness of the running server
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8181")]
    pub ready: SocketAddr,

    /// The resolv.conf of the server
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub resolv: PathBuf,

    /// Text for people, or JSON
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// What was found.
#[derive(Serialize, Default)]
pub(super) struct Findings {
    /// What is wrong or wasteful.
    findings: Vec<Notice>,
    /// What was looked at.
    looked_at: Vec<String>,
    /// What could not be, and why.
    not_looked_at: Vec<String>,
}

impl Findings {
    /// Adds one.
    pub(super) fn add(
        &mut self,
        level: &'static str,
        code: &'static str,
        text: impl Into<String>,
        advice: &str,
    ) {
        self.findings.push(Notice { level, code, at: None, text: text.into(), advice: advice.to_owned() });
    }

    /// Notes what was looked at.
    pub(super) fn looked(&mut self, at: impl Into<String>) {
        self.looked_at.push(at.into());
    }

    /// Notes what could not be looked at.
    pub(super) fn blind(&mut self, why: impl Into<String>) {
        self.not_looked_at.push(why.into());
    }

    /// Whether there is a finding of this code with such a text.
    pub(super) fn told(&self, code: &str, such: impl Fn(&str) -> bool) -> bool {
        self.findings.iter().any(|finding| finding.code == code && such(&finding.text))
    }

    /// The codes of the findings, each of which says what to do.
    #[cfg(test)]
    pub(super) fn codes(&self) -> Vec<&'static str> {
        for finding in &self.findings {
            assert!(!finding.text.is_empty() && !finding.advice.is_empty(), "{}", finding.code);
        }
        self.findings.iter().map(|finding| finding.code).collect()
    }
}

/// Looks.
pub(in crate::tools) fn doctor(args: &DoctorArgs) -> Ended {
    let mut found = Findings::default();
    corefile(args, &mut found);
    match std::fs::read_to_string(&args.resolv) {
        Ok(text) => resolv::look(&args.resolv, &text, &mut found),
        Err(error) => found.blind(format!("{}: {error}", args.resolv.display())),
    }
    match fetch(args.metrics, "/metrics") {
        Ok((200, text)) => {
            found.looked(format!("the metrics at {}", args.metrics));
            let numbers = Numbers::read(&text);
            let own: Vec<IpAddr> = crate::app::interfaces().into_iter().map(|(_, ip)| ip).collect();
            server::look(&numbers, &own, &mut found);
            let limit = memory::limit();
            memory::look(&numbers, &limit, &mut found);
            running(args.metrics, &numbers, &limit, &mut found);
        }
        Ok((status, _)) => found.blind(format!("http://{}/metrics answers {status}", args.metrics)),
        Err(error) => {
            found.blind(format!("{error}: upstreams, watches, caches and memory are not known (--metrics)"))
        }
    }
    match fetch(args.ready, "/ready") {
        Ok((200, _)) => found.looked(format!("the readiness at {}", args.ready)),
        Ok((_, words)) => {
            found.looked(format!("the readiness at {}", args.ready));
            let text = format!("the server is not ready: {} can't answer yet", words.trim());
            found.add(
                "warning",
                "not-ready",
                text,
                "look for `watch` findings here and for errors of `plugin/kubernetes` in the log",
            );
        }
        Err(error) => found.blind(format!("{error} (--ready)")),
    }
    let exit = match (found.findings.is_empty(), found.looked_at.is_empty()) {
        (_, true) => Exit::Bad,
        (true, false) => Exit::Good,
        (false, false) => Exit::Findings,
    };
    let text = match args.format {
        Format::Json => json(&found),
        Format::Text => show(&found),
    };
    let nothing = "nothing could be looked at: run it beside the server (kubectl exec), or say where things are with --conf, \
                   --metrics, --ready and --resolv";
    Ended { text, fault: (exit == Exit::Bad).then(|| nothing.to_owned()), exit }
}

/// Asks the running server what was asked lately, and how much it holds.
fn running(admin: SocketAddr, numbers: &Numbers, limit: &Result<Option<u64>, String>, found: &mut Findings) {
    match fetch(admin, "/top?minutes=60&count=20") {
        Ok((200, body)) => match serde_json::from_str(&body) {
            Ok(page) => asked::look(&page, found),
            Err(error) => found.blind(format!("who asks in vain: {error}")),
        },
        Ok((_, body)) => found.blind(format!("who asks in vain: {}", body.trim())),
        Err(error) => found.blind(format!("who asks in vain: {error}")),
    }
    match fetch(admin, "/explain?name=.&type=NS") {
        Ok((200, body)) => {
            if let Some(holds) = serde_json::from_str::<Explained>(&body).ok().and_then(|said| said.holds) {
                memory::by_size(&holds, numbers, limit, found);
            }
        }
        Ok((status, _)) => {
            found.blind(format!("how much the server holds: http://{admin}/explain answers {status}"))
        }
        Err(error) => found.blind(format!("how much the server holds: {error}")),
    }
}

/// Looks at the Corefile.
fn corefile(args: &DoctorArgs, found: &mut Findings) {
    let usual =
        || ["Corefile", "/etc/coredns/Corefile"].map(PathBuf::from).into_iter().find(|path| path.is_file());
    let Some(path) = args.conf.clone().or_else(usual) else {
        return found.blind("no Corefile: neither ./Corefile nor /etc/coredns/Corefile is there (--conf)");
    };
    let (name, text) = match read(&path) {
        Ok(read) => read,
        Err(error) => return found.blind(error),
    };
    found.looked(name.clone());
    match look(&name, &text, 53, Looking::default()) {
        Ok(looked) => {
            found.findings.extend(notices(&looked));
            looked.parts.stores.iter().for_each(|asked| rights(asked, found));
        }
        Err(error) => found.add(
            "warning",
            "refused",
            error.to_string(),
            "signpost check says where and what to do instead",
        ),
    }
}

/// Asks the API server what this account may do.
fn rights(asked: &AskedStore, found: &mut Findings) {
    let StoreSource::Cluster(access) = &asked.spec.source else { return };
    match review(access, &asked.wanted.kinds()) {
        Ok(reviews) => {
            found.looked("the rights of this account");
            for Review { verb, group, resource, .. } in reviews.iter().filter(|review| !review.allowed) {
                let group = if group.is_empty() { "core" } else { group };
                let text = format!("this account may not {verb} {resource} ({group})");
                found.add(
                    "warning",
                    "rights",
                    text,
                    "add it to the ClusterRole: `signpost check` prints all that a Corefile needs",
                );
            }
        }
        Err(error) => found.blind(format!("the rights of this account: {error}")),
    }
}

/// Findings as text for people.
fn show(found: &Findings) -> String {
    let mut out = String::new();
    for finding in &found.findings {
        let at = finding.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        wrap(&mut out, &format!("{}: ", finding.level), &format!("{at}{} [{}]", finding.text, finding.code));
        if !finding.advice.is_empty() {
            wrap(&mut out, "  = ", &finding.advice);
        }
        out.push('\n');
    }
    let count = match found.findings.len() {
        0 => "nothing was found".to_owned(),
        count => plural(count, "finding"),
    };
    if !found.looked_at.is_empty() {
        wrap(&mut out, "", &format!("{count}; looked at: {}", found.looked_at.join(", ")));
    }
    for why in &found.not_looked_at {
        wrap(&mut out, "not looked at: ", why);
    }
    out
}
