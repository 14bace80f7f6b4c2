//! How much processor time does one answered query cost, beside a bare echo and beside other servers?
//!
//! ```text
//! versus ─┬─► server (own process, first core) ◄── loopback ──► dnsperf (second core)
//!         └─ /proc: the server's processor time before and after
//! ```
//!
//! `cargo versus` runs everything that is installed; `cargo versus --help` tells the rest. Servers, dnsperf included, are found
//! on PATH; what is missing is said and left out. CoreDNS is run where COREDNS_BIN names one.

#[path = "../../tests/api/mod.rs"]
mod api;
mod data;
mod echo;
mod embedded;
mod latency;
mod measure;
#[path = "../cluster/place.rs"]
mod place;
mod plot;
mod report;
mod servers;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Parser;

use api::FakeApi;
use data::Work;
use echo::Wait;
use measure::Sample;
use report::Row;
use servers::{Kind, Place};

/// Processor time per answered query of this server and of others, on one core.
#[derive(Parser, Debug)]
#[command(name = "versus")]
struct Flags {
    /// What each server is asked in a round, in seconds: one after another in turn.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// How many rounds over all servers.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Which work to do: clusterip, headless, srv, nxdomain, cached, new, pod, log, tcp, dot; all unless named.
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    work: Vec<String>,
    /// Which servers to run; all that can be run unless named.
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    servers: Vec<String>,
    /// The address that servers listen on; the wildcard as in a cluster unless named.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen: IpAddr,
    /// Runs dnsperf on the server's core: the server finds full batches and never waits, so that what is left is its work.
    #[arg(long)]
    together: bool,
    /// Adds the result to docs/performance.md.
    #[arg(long)]
    write: bool,
    /// Writes the data, the zone and the query files into this folder and ends.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Is a bare echo: epoll and batches, the worker's own calls.
    #[arg(long, value_name = "ADDR")]
    echo: Option<SocketAddr>,
    /// Is an echo that looks for another batch before it waits.
    #[arg(long, value_name = "ADDR")]
    echo_again: Option<SocketAddr>,
    /// Is an echo that waits in a blocking receive and takes the rest as a batch.
    #[arg(long, value_name = "ADDR")]
    echo_blocking: Option<SocketAddr>,
    /// Is an echo of one blocking `recv_from` and one `send_to` a query.
    #[arg(long, value_name = "ADDR")]
    echo_plain: Option<SocketAddr>,
    /// Is an echo that waits in tokio (current-thread) and works in batches.
    #[arg(long, value_name = "ADDR")]
    echo_tokio: Option<SocketAddr>,
    /// Bytes that an echo adds to each query.
    #[arg(long, default_value_t = 0)]
    pad: usize,
    /// Is hickory-server with the cluster zone of a folder of manifests.
    #[arg(long, value_names = ["ADDR", "DIR"], num_args = 2)]
    hickory: Vec<String>,
    /// What `cargo bench` passes; without meaning.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    for (addr, wait) in [
        (flags.echo, Wait::Epoll),
        (flags.echo_again, Wait::Again),
        (flags.echo_blocking, Wait::Blocking),
        (flags.echo_plain, Wait::Plain),
        (flags.echo_tokio, Wait::Tokio),
    ] {
        if let Some(addr) = addr {
            return echo::run(addr, wait, flags.pad);
        }
    }
    if let [addr, dir] = flags.hickory.as_slice() {
        return embedded::run(addr.parse().context("reading the address")?, dir.as_ref());
    }
    if let Some(dir) = &flags.data {
        return data::write(dir);
    }
    compare(&flags)
}

/// Prints a line; a closed stdout is no reason to stop.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// Runs all servers against each other.
fn compare(flags: &Flags) -> anyhow::Result<()> {
    let works = chosen(&flags.work, &Work::ALL, Work::name)?;
    let kinds = chosen(&flags.servers, &Kind::ALL, Kind::name)?;
    let (server_core, other_core) = measure::two_cores()?;
    let client_core = if flags.together { server_core } else { other_core };
    if !servers::installed("dnsperf") {
        bail!("dnsperf is not on PATH: it is in the package `dnsperf` of most distributions");
    }
    let kinds: Vec<Kind> = kinds
        .into_iter()
        .filter(|kind| match kind.hindrance() {
            Some(hindrance) => {
                say(&format!("{} is left out: {hindrance}", kind.name()));
                false
            }
            None => true,
        })
        .collect();
    measure::mind_signals()?;
    let dir = tempfile::tempdir().context("making a folder")?;
    data::write(dir.path())?;
    servers::certificate(dir.path())?;
    let api = FakeApi::start();
    api.apply_all(data::objects());
    api.spell_out();
    let url = api.url();
    let mut rows: Vec<Row> = Vec::new();
    let upstream = works
        .iter()
        .any(|work| work.forwarded())
        .then(|| servers::upstream(dir.path(), other_core))
        .transpose()?;
    let asked = upstream.as_ref().map_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9)), |server| server.addr);
    for work in works {
        let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.does(work)).collect();
        rows.extend(compare_at(
            flags,
            work,
            &kinds,
            &Place {
                dir: dir.path(),
                listen: flags.listen,
                core: server_core,
                pad: 0,
                upstream: asked,
                api: &url,
            },
            client_core,
        )?);
    }
    let table = format!("{}\n{}", report::table(&rows), report::bars(&rows));
    say(&format!("\n{table}"));
    if flags.write {
        let cores = if flags.together { "One core for both" } else { "A core each" };
        let how =
            format!("{cores}: {} rounds of {} s, listening on {}", flags.rounds, flags.seconds, flags.listen);
        report::write(&table, &rows, &report::Facts::gather(&kinds), &how)?;
    }
    Ok(())
}

/// Runs all servers at one kind of work, in rounds.
fn compare_at(
    flags: &Flags,
    work: Work,
    kinds: &[Kind],
    place: &Place<'_>,
    client_core: usize,
) -> anyhow::Result<Vec<Row>> {
    // How much longer a reply is than its query, by our own server: the echo pads to that.
    let pad = {
        let (server, reply) = servers::start(Kind::Ours, work, place)?;
        match work.mixed() {
            true => servers::growth(server.addr, work)?,
            false => reply.length.saturating_sub(reply.query),
        }
    };
    let place = Place { pad, ..*place };
    let mut running = Vec::new();
    for &kind in kinds {
        match servers::start(kind, work, &place) {
            Ok((server, reply)) => {
                say(&format!("{} {}: a reply has {} bytes", work.name(), kind.name(), reply.length));
                running.push((server, Vec::<Sample>::new()));
            }
            Err(error) => say(&format!("{} {} is left out: {error:#}", work.name(), kind.name())),
        }
    }
    let queries = place.dir.join(work.file());
    // Names that are asked once are asked of a server that has just been started.
    let anew = work == Work::New;
    for (server, _) in running.iter().filter(|_| !anew) {
        // Warms caches and heaps up; not counted.
        measure::run(server, work, &queries, 1, (place.core, client_core))?;
    }
    // A machine that drifts does so for all alike: in a round everybody has its turn once a second.
    let (slices, seconds) = if anew { (1, flags.seconds) } else { (flags.seconds, 1) };
    for round in 1..=flags.rounds {
        let mut slots: Vec<Vec<Sample>> = vec![Vec::new(); running.len()];
        for slice in 0..slices {
            let mut turns: Vec<_> = running.iter_mut().zip(&mut slots).collect();
            if slice % 2 == 1 {
                turns.reverse();
            }
            for ((server, _), slot) in turns {
                if anew && round > 1 {
                    *server = servers::start(server.kind, work, &place)?.0;
                }
                slot.push(measure::quiet_run(server, work, &queries, seconds, (place.core, client_core))?);
            }
        }
        for ((server, samples), slot) in running.iter_mut().zip(&slots) {
            let sample = Sample::joined(slot);
            say(&format!(
                "{} round {round} {:<14} {:>8.0} q/s {:>7.3} us/query, {:.1} queries a wait, lost {}, others {:.1} %",
                work.name(),
                server.kind.name(),
                sample.per_second,
                sample.micros,
                sample.batch,
                sample.lost,
                sample.foreign * 100.0,
            ));
            samples.push(sample);
        }
    }
    let mut latencies = Vec::new();
    for (server, _) in &running {
        let steady = (!anew && work.mode() == "udp")
            .then(|| latency::steady(server.addr, &queries, work.edns(), (place.core, client_core)))
            .transpose()?;
        if let Some(steady) = &steady {
            say(&format!("{} {:<14} {steady}", work.name(), server.kind.name()));
        }
        latencies.push(steady);
    }
    // Over streams there is no echo: there CoreDNS is what others are compared with.
    let floor = if work.mode() == "udp" { Kind::Echo } else { Kind::CoreDns };
    let echo: Vec<f64> = running
        .iter()
        .find(|(server, _)| server.kind == floor)
        .map(|(_, samples)| samples.iter().map(|sample| sample.micros).collect())
        .unwrap_or_default();
    let rows = running.into_iter().zip(latencies);
    Ok(rows
        .map(|((server, samples), latency)| Row::new(work, server.kind, &samples, &echo, latency))
        .collect())
}

/// Those of `all` that `names` name; all where it names none.
fn chosen<T: Copy>(names: &[String], all: &[T], name: fn(T) -> &'static str) -> anyhow::Result<Vec<T>> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    names
        .iter()
        .map(|wanted| {
            all.iter().copied().find(|&one| name(one) == wanted).with_context(|| {
                let known: Vec<&str> = all.iter().map(|&one| name(one)).collect();
                format!("`{wanted}` is none of: {}", known.join(", "))
            })
        })
        .collect()
}
