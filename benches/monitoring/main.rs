//! `cargo monitoring`: rules and dashboards, tried by Prometheus's own tools: `promtool` checks the rules and runs their cases, and a
//! real Prometheus scrapes a running server, computes every record and is asked every expression of the dashboard.
//!
//! Bounded: everything on loopback and in a temporary folder, two minutes at most. Where a tool is missing, it says so.
#![allow(clippy::print_stdout, reason = "a tool that talks to a person")]
#![allow(clippy::unwrap_used, reason = "its world is that of the tests")]
#![allow(clippy::disallowed_methods, reason = "real processes, real time")]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

#[path = "../../tests/api/mod.rs"]
mod api;
#[path = "../../tests/monitoring/world.rs"]
mod world;

use world::World;

/// Where rules and dashboard lie.
const FOLDER: &str = "charts/signpost/monitoring";

/// How long Prometheus may take to scrape and compute.
const PATIENCE: Duration = Duration::from_secs(100);

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` and the like only want to know that this can be started.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let world = World::start();
    if there("promtool") {
        promtool(root, &world.scrape())?;
    } else {
        println!("not checked: rules and their cases; there is no promtool here");
    }
    if there("prometheus") {
        scrape(root, &world)?;
    } else {
        println!("not checked: a scrape; there is no prometheus here");
    }
    Ok(())
}

/// Has promtool look at rules, cases and the text of /metrics.
fn promtool(root: &Path, metrics: &str) -> anyhow::Result<()> {
    for args in [
        ["check", "rules", "charts/signpost/monitoring/rules.yaml"],
        ["test", "rules", "tests/monitoring/rules_test.yaml"],
    ] {
        let output = Command::new("promtool").current_dir(root).args(args).output().context("promtool")?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool {}: {said}", args.join(" "));
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        println!("promtool {}: {}", args.join(" "), last.trim());
    }
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool")?;
    child.stdin.take().context("its input")?.write_all(metrics.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.trim().is_empty(), "promtool check metrics: {said}");
    println!("promtool check metrics: {} families, no remarks", metrics.matches("# TYPE ").count());
    Ok(())
}

/// A Prometheus, ended with this value.
struct Prometheus {
    /// The process.
    child: Child,
    /// Where it is asked.
    addr: SocketAddr,
    /// Its configuration and data.
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts one that scrapes `target` every second.
    fn start(root: &Path, target: SocketAddr) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        // Free a moment ago; Prometheus says so and ends if it is not any more.
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.path().join("prometheus.yml");
        let rules = root.join(FOLDER).join("rules.yaml");
        std::fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n- job_name: kube-dns\n  \
                 static_configs: [{{targets: [\"{target}\"]}}]\n",
                rules.display()
            ),
        )?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={addr}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("running prometheus")?;
        Ok(Self { child, addr, _folder: folder })
    }

    /// The data of a query; `None` while it does not listen yet.
    fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let Ok(mut stream) = TcpStream::connect(self.addr) else { return Ok(None) };
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let Some((_, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let Ok(body) = serde_json::from_str::<Value>(body) else { return Ok(None) };
        ensure!(body["status"] == "success", "{path}: {body}");
        Ok(Some(body["data"].clone()))
    }

    /// What an expression comes to now.
    fn ask(&self, expression: &str) -> anyhow::Result<Option<Value>> {
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in expression.bytes() {
            path.push_str(&format!("%{byte:02X}"));
        }
        Ok(self.get(&path)?.map(|data| data["result"].clone()))
    }

    /// Waits until an expression has a value.
    fn until(&self, expression: &str) -> anyhow::Result<Value> {
        let start = Instant::now();
        loop {
            if let Some(result) = self.ask(expression)?
                && result.as_array().is_some_and(|series| !series.is_empty())
            {
                return Ok(result);
            }
            if start.elapsed() > PATIENCE {
                bail!("no value for {expression}");
            }
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }
}

/// Has a Prometheus scrape the server, and asks it everything that the dashboard asks.
fn scrape(root: &Path, world: &World) -> anyhow::Result<()> {
    let target = world.running.metrics().first().copied().context("the server serves /metrics")?;
    let prometheus = Prometheus::start(root, target)?;
    prometheus.until("up == 1")?;
    // Two scrapes that count, with questions between them.
    prometheus.until("count_over_time(signpost_queries_total[1m]) > 2")?;
    world.ask();
    for record in [
        "signpost:replies:rate5m > 0",
        "signpost:reply_seconds:p99 > 0",
        "signpost:cluster_failures:ratio5m >= 0",
    ] {
        prometheus.until(record)?;
    }
    let rules = prometheus.get("/api/v1/rules")?.context("it listens")?;
    let mut healthy = 0;
    for rule in
        rules["groups"].as_array().into_iter().flatten().flat_map(|group| group["rules"].as_array()).flatten()
    {
        ensure!(rule["health"] == "ok", "{}: {}", rule["name"], rule["lastError"]);
        healthy += 1;
    }
    ensure!(healthy > 30, "only {healthy} rules");

    let board: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join(FOLDER).join("signpost.json"))?)?;
    let (mut asked, mut empty) = (0, BTreeSet::new());
    for panel in board["panels"].as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("an expression")?;
            let filled =
                expression.replace("$job", ".*").replace("$instance", ".*").replace("$__rate_interval", "1m");
            let result = prometheus.ask(&filled)?.context("it listens")?;
            asked += 1;
            if result.as_array().is_some_and(Vec::is_empty) {
                empty.insert(format!("{}: {expression}", panel["title"].as_str().unwrap_or_default()));
            }
        }
    }
    for one in &empty {
        println!("no value here: {one}");
    }
    // Nothing changes and nobody is killed here, and there is no kube-state-metrics.
    ensure!(empty.len() <= 2, "{} of {asked} expressions of the dashboard have no value", empty.len());
    println!(
        "prometheus: scraped {target}; {healthy} rules computed without a fault; {} of {asked} expressions of the dashboard have a value",
        asked - empty.len()
    );
    let firing = prometheus.ask("ALERTS{alertstate=\"firing\"}")?.context("it listens")?;
    println!("firing: {}", names(&firing));
    Ok(())
}

/// The alerts in an answer.
fn names(result: &Value) -> String {
    let series = result.as_array().into_iter().flatten();
    let names: BTreeSet<&str> = series.filter_map(|one| one["metric"]["alertname"].as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}
