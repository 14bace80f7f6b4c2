//! The command line of signpost: CoreDNS's flags, one clear line for everything that goes wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use parking_lot::{Condvar, Mutex};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signpost::app::{self, Running, ServeOptions};
use signpost::flags;
use signpost::logging::print;
use signpost::time::show_duration;

/// How long the start waits for the cluster's objects before it says so and goes on (rule K-230).
const STARTUP: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// How often it says that it waits.
const WAITING: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let flags = flags::Flags::parse_from(flags::rewrite(std::env::args_os()));
    match run(&flags) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("signpost: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Does what the flags say; an error is told by `main`.
fn run(flags: &flags::Flags) -> anyhow::Result<ExitCode> {
    if flags.version {
        say(&version());
        return Ok(ExitCode::SUCCESS);
    }
    if flags.plugins {
        say(signpost::chain::help().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(command) = &flags.command {
        let ended = signpost::tools::run(command);
        // What is shown while somebody looks is written by then.
        if !ended.text.is_empty() {
            say(ended.text.trim_end_matches('\n'));
        }
        if let Some(fault) = &ended.fault {
            complain(&format!("signpost: {fault}"));
        }
        return Ok(ExitCode::from(ended.exit.code()));
    }
    let Some(path) = corefile(flags) else {
        complain(
            "signpost: there is no Corefile: no `-conf FILE` was given and this directory has no file `Corefile`.\n\
             Try the demo: signpost -conf config/demo/Corefile (in the source tree: cargo run --release -- -conf config/demo/Corefile)",
        );
        return Ok(ExitCode::from(2));
    };
    let text = signpost::corefile::read_text(&path).with_context(|| format!("reading {}", path.display()))?;
    signpost::logging::start();
    let options = ServeOptions {
        name: path.display().to_string(),
        text,
        path: Some(path.clone()),
        port: flags.port,
        placeholders: flags.placeholders.clone(),
        workers: signpost::server::worker_count(),
        ..ServeOptions::default()
    };
    raise_descriptors();
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])
        .context("listening for signals")?;
    let running = Arc::new(app::serve(options)?);
    if let Some(file) = &flags.pidfile {
        std::fs::write(file, format!("{}\n", std::process::id()))
            .with_context(|| format!("writing the process id to {}", file.display()))?;
    }
    let ends = listen(signals, &running);
    announce(&running, flags.quiet, &ends);
    end(&running, &ends);
    signpost::logging::flush();
    if let Some(file) = &flags.pidfile {
        // Gone already is as good.
        let _ = std::fs::remove_file(file);
    }
    Ok(ExitCode::SUCCESS)
}

/// The Corefile to read: the one of the flags, else the one of this directory.
fn corefile(flags: &flags::Flags) -> Option<PathBuf> {
    flags.conf.clone().or_else(|| Path::new("Corefile").is_file().then(|| PathBuf::from("Corefile")))
}

/// As many descriptors as this process may have: ports to upstreams and connections of clients are many, and the soft limit
/// is there for programs that use `select`.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not allowed, the limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Name and version, and what it was built for.
fn version() -> String {
    format!(
        "signpost-{}\n{}/{}, rust",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

/// Prints to stdout; a closed stdout is no reason to stop.
fn say(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
}

/// Prints to stderr; a closed stderr is no reason to fail otherwise.
fn complain(text: &str) {
    use std::io::Write as _;
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

/// What was asked of the process by signals so far (rule S-05).
struct Ends {
    /// How many signals asked it to end.
    asked: Mutex<u32>,
    /// Told when one more does.
    changed: Condvar,
}

impl Ends {
    /// Waits until the process was asked to end so often, at most for `patience`; says whether it was.
    fn wait(&self, times: u32, patience: Duration) -> bool {
        let mut asked = self.asked.lock();
        !self.changed.wait_while_for(&mut asked, |asked| *asked < times, patience).timed_out()
    }
}

/// Starts the thread that takes signals.
fn listen(mut signals: Signals, running: &Arc<Running>) -> Arc<Ends> {
    let running = Arc::downgrade(running);
    let ends = Arc::new(Ends { asked: Mutex::new(0), changed: Condvar::new() });
    let told = ends.clone();
    let take = move || {
        for signal in signals.forever() {
            match signal {
                SIGTERM | SIGINT => {
                    let mut asked = told.asked.lock();
                    *asked += 1;
                    if *asked > 1 {
                        // A second one does not wait for anything.
                        std::process::exit(1);
                    }
                    told.changed.notify_all();
                }
                SIGQUIT => {
                    signpost::logging::flush();
                    std::process::exit(0)
                }
                SIGUSR1 => {
                    if let Some(running) = running.upgrade() {
                        running.reload();
                    }
                }
                // SIGHUP and SIGUSR2 have no meaning for us, and none may end the process.
                other => tracing::info!("signal {other} is ignored"),
            }
            signpost::panics::turn("signals");
        }
    };
    // Without the thread signals keep what the kernel does by itself, which ends the process too.
    let _ = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signpost::panics::keep("signals", take));
    ends
}

/// Says what is served, from where, and what to try; waits for the first sync meanwhile, while queries are answered already.
fn announce(running: &Running, quiet: bool, ends: &Ends) {
    for warning in running.warnings() {
        tracing::warn!("{warning}");
    }
    if !quiet {
        for line in running.zones() {
            print(&line);
        }
        print(&version());
    }
    let mut waited = Duration::ZERO;
    while !running.synced() {
        if ends.wait(1, LOOK) {
            return;
        }
        waited += LOOK;
        if !waited.as_millis().is_multiple_of(WAITING.as_millis()) {
            continue;
        }
        if waited >= STARTUP {
            tracing::warn!(target: "plugin/kubernetes", "starting server with unsynced Kubernetes API");
            return;
        }
        tracing::info!(target: "plugin/kubernetes", "waiting for Kubernetes API before starting server");
    }
    if quiet {
        return;
    }
    for (source, counts) in running.sources() {
        print(&format!(
            "from {}: {} Services, {} endpoints, {} Namespaces{}",
            source,
            counts.services,
            counts.endpoints,
            counts.namespaces,
            if counts.pods > 0 { format!(", {} Pods", counts.pods) } else { String::new() }
        ));
    }
    let examples = running.examples();
    if !examples.is_empty() {
        print("try:");
        for line in examples {
            print(&format!("  {line}"));
        }
    }
}

/// Waits until the process is asked to end, and ends it in order (rule S-12).
fn end(running: &Running, ends: &Ends) {
    while !ends.wait(1, Duration::from_secs(3600)) {}
    running.not_ready();
    let lameduck = running.lameduck();
    if !lameduck.is_zero() {
        tracing::info!(target: "plugin/health", "Going into lameduck mode for {}", show_duration(lameduck));
        std::thread::sleep(lameduck);
    }
    running.stop();
}
