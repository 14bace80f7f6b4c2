//! What clients can make the server hold who ask and do not read, in the memory of the process itself.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::process::{PATIENCE, Server, binary, fetch, free_port, query, wait};

/// Connections that do not read: together they would hold 90 MB, were each held to its own bound alone.
const CONNECTIONS: u16 = 700;

/// Clients that they are of.
const CLIENTS: u8 = 10;

/// Queries of each; the answer to one is 4 KB.
const QUERIES: usize = 80;

/// A field of /proc/PID/status. Unit: bytes.
pub(crate) fn memory(server: &Server, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', ' ', '\t']).split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}

/// A connection from one of our addresses whose window is as small as the kernel makes it.
pub(crate) fn connect(client: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, client], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A stanza with an answer of 4 KB, `big.test`, and a small one.
pub(crate) fn hosts() -> String {
    let mut text = " hosts {\n".to_owned();
    for number in 0..250 {
        writeln!(text, " 10.0.0.{number} big.test").unwrap();
    }
    text + " 10.1.0.1 small.test\n fallthrough\n }\n"
}

/// Lets this process have as many files as it may.
pub(crate) fn raise_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// How many connections were cut; `None` where there are no metrics yet.
pub(crate) fn cut(metrics: u16) -> Option<u64> {
    let (_, text) = fetch(metrics, "/metrics")?;
    text.lines().find_map(|line| line.strip_prefix("signpost_connections_cut_total "))?.parse().ok()
}

#[test]
fn l6_hundreds_of_connections_that_do_not_read_cost_less_than_32_mib() {
    raise_files();
    let (port, metrics) = (free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let corefile = format!(".:{port} {{\n bind 127.0.0.1\n prometheus 127.0.0.1:{metrics}\n{}}}\n", hosts());
    std::fs::write(dir.path().join("Corefile"), corefile).unwrap();
    let mut command = binary();
    command.arg("-conf").arg(dir.path().join("Corefile"));
    let server = Server::start(command, port);
    server.wait_for("small.test.", &["10.1.0.1"], PATIENCE);
    let idle = memory(&server, "VmRSS");

    let message = query("big.test.", 1, None);
    let mut all = Vec::new();
    for _ in 0..QUERIES {
        all.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        all.extend_from_slice(&message);
    }
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS {
        let client = 2 + u8::try_from(number % u16::from(CLIENTS)).unwrap();
        let mut stream = connect(client, server.addr);
        // One that was cut by now is as good.
        let _ = stream.write_all(&all);
        streams.push(stream);
    }
    // That it came to this is shown: some had to go. Who asks beside them is answered, over both.
    wait("connections that are cut", 3 * PATIENCE, || cut(metrics).filter(|cut| *cut > 0));
    server.wait_for("small.test.", &["10.1.0.1"], Duration::from_secs(5));
    let mut modest = connect(200, server.addr);
    let message = query("small.test.", 1, None);
    modest.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).unwrap();
    modest.write_all(&message).unwrap();
    modest.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Read::read_exact(&mut modest, &mut [0; 14]).unwrap();
    let peak = memory(&server, "VmHWM");
    let more = peak.saturating_sub(idle);
    assert!(more < 32 << 20, "{} KiB more than the {} KiB before", more / 1024, idle / 1024);
}
