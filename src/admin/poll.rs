//! The server asks its own `/health` once a second, as a probe would (rule S-12): what a probe would wait is counted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::Exposition;
use crate::metrics::{Counter, HEALTH, Histogram, HistogramSum};
use crate::time::Clock;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// After so long a request has failed.
const LONGEST: Duration = Duration::from_secs(3);

/// The most bytes of a reply that are read.
const REPLY: u64 = 4096;

/// What came of the requests so far; only the thread of the endpoints writes it.
#[derive(Default, Debug)]
pub struct HealthCounts {
    /// How long they took, failed ones included.
    duration: Histogram,
    /// How many failed.
    failures: Counter,
}

impl HealthCounts {
    /// Writes both families.
    pub fn write(&self, text: &mut Exposition) {
        let name = "coredns_health_request_duration_seconds";
        text.family(name, "histogram", "Time that the server's own requests for /health took.");
        text.histogram(name, &[], HEALTH, &HistogramSum::of([&self.duration]));
        let name = "coredns_health_request_failures_total";
        text.family(name, "counter", "The server's own requests for /health that failed.");
        text.value(name, &[], self.failures.read());
    }
}

/// Asks until it is told to end.
pub(super) async fn poll(
    bound: SocketAddr,
    counts: Arc<HealthCounts>,
    clock: Clock,
    mut ends: watch::Receiver<bool>,
) {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ends.wait_for(|ended| *ended) => return,
        }
        let start = clock.now();
        let asked = tokio::select! {
            asked = timeout(LONGEST, ask(bound)) => asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            // The endpoint ends: what is under way says nothing.
            _ = ends.wait_for(|ended| *ended) => return,
        };
        let took = clock.now().since(start);
        counts.duration.observe(HEALTH, took.as_secs_f64());
        match asked {
            Ok(()) => failing = false,
            Err(error) => {
                counts.failures.add(1);
                // Said once until it works again; the counter knows how often.
                if !failing {
                    tracing::warn!(target: "plugin/health", "the server's own request for http://{bound}/health failed: {error}");
                }
                failing = true;
            }
        }
    }
}

/// Where an endpoint is reached from this machine, in the order to try.
fn doors(bound: SocketAddr) -> Vec<SocketAddr> {
    let door = |ip: IpAddr| SocketAddr::new(ip, bound.port());
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![door(Ipv4Addr::LOCALHOST.into())],
        // Takes both families as a rule, and the machine may have only one.
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![door(Ipv4Addr::LOCALHOST.into()), door(Ipv6Addr::LOCALHOST.into())]
        }
        _ => vec![bound],
    }
}

/// Asks once.
///
/// Errors: no connection, or an answer other than 200.
async fn ask(bound: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(doors(bound).as_slice()).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut reply = Vec::new();
    stream.take(REPLY).read_to_end(&mut reply).await?;
    match reply.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other("the answer is not 200 OK")),
    }
}

#[cfg(test)]
mod tests {
    //! Requests to endpoints of the test.

    use super::*;

    /// A runtime for one test.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// What a request says about an endpoint that answers `reply`.
    fn asked(reply: &'static [u8]) -> io::Result<()> {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bound = listener.local_addr().unwrap();
            tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 512];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET /health HTTP/1.1\r\n"));
                stream.write_all(reply).await.unwrap();
            });
            ask(bound).await
        })
    }

    #[test]
    fn only_200_is_success() {
        assert!(asked(b"HTTP/1.1 200 OK\r\n\r\nOK").is_ok());
        assert!(asked(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").is_err());
        assert!(asked(b"").is_err());
    }

    #[test]
    fn an_endpoint_on_all_addresses_is_reached_through_loopback() {
        let doors = |text: &str| {
            doors(text.parse().unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(doors("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(doors("[::]:8080"), "127.0.0.1:8080 [::1]:8080");
        assert_eq!(doors("169.254.20.10:8080"), "169.254.20.10:8080");
    }

    #[test]
    fn an_endpoint_that_never_answers_is_a_failure_after_three_seconds_and_the_next_request_is_sent() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            // Nobody takes connections: the kernel opens them, and no byte comes.
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let counts = Arc::new(HealthCounts::default());
            let (end, ends) = watch::channel(false);
            let clock = Clock::manual(crate::time::Wall(0));
            let bound = listener.local_addr().unwrap();
            let task = tokio::spawn(poll(bound, counts.clone(), clock, ends));
            while counts.failures.read() < 2 {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            end.send_replace(true);
            task.await.unwrap();
            let mut text = Exposition::default();
            counts.write(&mut text);
            let text = text.finish();
            assert!(text.contains("coredns_health_request_failures_total 2\n"), "{text}");
            assert!(text.contains("coredns_health_request_duration_seconds_count 2\n"), "{text}");
            assert!(text.contains("le=\"0.00025\"} 2\n") && text.contains("le=\"2.5\"} 2\n"), "{text}");
        });
    }
}
