//! The command line of signpost: CoreDNS's flags, one clear line for everything that goes wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signpost::app::{self, Running, ServeOptions};

mod flags;

/// How long the start waits for the cluster's objects before it says so and goes on (rule K-230).
const STARTUP: Duration = Duration::from_secs(5);

/// How often it says that it waits.
const WAITING: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let flags = flags::Flags::parse_from(flags::rewrite(std::env::args_os()));
    match run(&flags) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("signpost: {error:#}");
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
    let Some(path) = corefile(flags) else {
        eprintln!(
            "signpost: there is no Corefile: no `-conf FILE` was given and this directory has no file `Corefile`.\n\
             Try the demo: signpost -conf config/demo/Corefile (in the source tree: cargo run --release -- -conf config/demo/Corefile)"
        );
        return Ok(ExitCode::from(2));
    };
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    signpost::logging::start();
    let options = ServeOptions {
        name: path.display().to_string(),
        text,
        port: flags.port,
        workers: signpost::server::worker_count(),
        ..ServeOptions::default()
    };
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2])
        .context("listening for signals")?;
    let running = app::serve(options)?;
    if let Some(file) = &flags.pidfile {
        std::fs::write(file, format!("{}\n", std::process::id()))
            .with_context(|| format!("writing the process id to {}", file.display()))?;
    }
    announce(&running, flags.quiet);
    wait_for_end(&mut signals, running);
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

/// Says what is served, from where, and what to try; waits for the first sync meanwhile, while queries are answered already.
fn announce(running: &Running, quiet: bool) {
    for warning in running.warnings() {
        tracing::warn!("{warning}");
    }
    if !quiet {
        for line in running.zones() {
            say(&line);
        }
        say(&version());
    }
    let mut waited = Duration::ZERO;
    while !running.wait_synced(WAITING) {
        waited += WAITING;
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
        say(&format!(
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
        say("try:");
        for line in examples {
            say(&format!("  {line}"));
        }
    }
}

/// Waits for the signal that ends the process, and ends it in order (rules S-05, S-12).
fn wait_for_end(signals: &mut Signals, running: Running) {
    for signal in signals.forever() {
        match signal {
            SIGTERM | SIGINT => break,
            SIGQUIT => std::process::exit(0),
            SIGUSR1 => {
                tracing::warn!("SIGUSR1: a changed Corefile is read at the next start in this version")
            }
            // SIGHUP and SIGUSR2 have no meaning for us, and none may end the process.
            other => tracing::info!("signal {other} is ignored"),
        }
    }
    // A second signal ends at once.
    let handle = signals.handle();
    let mut rest = Signals::new([SIGTERM, SIGINT, SIGQUIT]).ok();
    handle.close();
    if let Some(rest) = rest.take() {
        let mut rest = rest;
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if rest.forever().next().is_some() {
                std::process::exit(1);
            }
        });
    }
    running.not_ready();
    let lameduck = running.lameduck();
    if !lameduck.is_zero() {
        tracing::info!(target: "plugin/health", "Going into lameduck mode for {lameduck:?}");
        std::thread::sleep(lameduck);
    }
    running.stop();
}
