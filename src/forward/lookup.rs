//! Addresses of host names that `forward` lines name (rule F-01): asked of given resolvers or of the machine's, apart from
//! all workers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

use super::target::MOST_ADDRESSES;
use crate::panics::{attempt, attempted};

/// The machine's resolvers.
const MACHINE: &str = "/etc/resolv.conf";

/// The patience with one resolver.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A name to look up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostName {
    /// The name.
    pub name: String,
    /// Whom to ask; the machine's hosts file and resolvers where there is nobody.
    pub resolvers: Vec<SocketAddr>,
}

/// Looks up names, all at once; for each its addresses, IPv4 first, sorted, at most 15, or what went wrong, in words.
///
/// Blocks for at most `within`, whatever resolvers do. Must not be called by a worker.
#[must_use]
pub fn look_up(names: &[HostName], within: Duration) -> Vec<Result<Vec<IpAddr>, String>> {
    // A thread of its own: the caller may be inside a runtime already.
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let asked = runtime.block_on(async {
            let tasks: Vec<_> = names
                .iter()
                .map(|name| attempted("look-up", tokio::time::timeout(within, one(name.clone()))))
                .map(tokio::spawn)
                .collect();
            let mut results = Vec::new();
            for task in tasks {
                results.push(match task.await {
                    Ok(Some(Ok(result))) => result,
                    Ok(Some(Err(_))) => Err(format!("no answer within {:.1} s", within.as_secs_f64())),
                    Ok(None) | Err(_) => Err("the look-up failed".to_owned()),
                });
            }
            results
        });
        runtime.shutdown_background();
        Ok::<_, String>(asked)
    };
    let done = std::thread::scope(|scope| scope.spawn(|| attempt("look-up", run)).join());
    match done {
        Ok(Some(Ok(results))) => results,
        Ok(Some(Err(text))) => names.iter().map(|_| Err(text.clone())).collect(),
        Ok(None) | Err(_) => names.iter().map(|_| Err("the look-up failed".to_owned())).collect(),
    }
}

/// Looks up one name.
async fn one(host: HostName) -> Result<Vec<IpAddr>, String> {
    let mut name = Name::from_utf8(&host.name).map_err(|error| error.to_string())?;
    let (config, hosts) = if host.resolvers.is_empty() {
        let text = std::fs::read(MACHINE).map_err(|error| format!("{MACHINE}: {error}"))?;
        (machine(&text), hickory_resolver::Hosts::from_system().ok())
    } else {
        // Whoever names resolvers means the name as it stands.
        name.set_fqdn(true);
        (
            ResolverConfig::from_parts(
                None,
                Vec::new(),
                host.resolvers.iter().copied().map(server).collect(),
            ),
            None,
        )
    };
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = PATIENCE;
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    let mut resolver = builder.build().map_err(|error| error.to_string())?;
    if let Some(hosts) = hosts {
        resolver.set_hosts(Arc::new(hosts));
    }
    let found = resolver.lookup_ip(name).await.map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = found.iter().collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
}

/// A resolver at this address, over UDP and TCP.
fn server(addr: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = addr.port());
    NameServerConfig::new(addr.ip(), false, connections)
}

/// What a resolv.conf says: servers and search list.
fn machine(text: &[u8]) -> ResolverConfig {
    let (parsed, _) = resolv_conf::Config::parse_with_errors(text);
    let servers = parsed.nameservers.iter().map(|ip| server(SocketAddr::new(ip.into(), 53))).collect();
    let search = parsed.get_last_search_or_domain().filter_map(|name| Name::from_utf8(name).ok()).collect();
    ResolverConfig::from_parts(None, search, servers)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_proto::op::{Message, MessageType};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{RData, Record, RecordType};

    use super::*;

    /// A name to look up at one resolver.
    fn at(name: &str, resolver: SocketAddr) -> HostName {
        HostName { name: name.to_owned(), resolvers: vec![resolver] }
    }

    #[test]
    fn names_are_asked_of_the_resolver_that_is_given() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let resolver = socket.local_addr().expect("an address");
        std::thread::spawn(move || {
            let mut bytes = [0; 1232];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let mut message = Message::from_vec(&bytes[..length]).expect("a query");
                message.metadata.message_type = MessageType::Response;
                let query = message.queries[0].clone();
                if query.query_type() == RecordType::A && query.name().to_ascii() == "dns.example." {
                    for last in [2, 1] {
                        let data = RData::A(A::new(192, 0, 2, last));
                        message.answers.push(Record::from_rdata(query.name().clone(), 1, data));
                    }
                }
                let reply = message.to_vec().expect("it can be written");
                let _ = socket.send_to(&reply, from);
            }
        });
        let results =
            look_up(&[at("dns.example", resolver), at("none.example", resolver)], Duration::from_secs(5));
        let expected: Vec<IpAddr> = vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        assert_eq!(results[0], Ok(expected));
        assert!(results[1].is_err(), "{:?}", results[1]);
    }

    #[test]
    fn a_silent_resolver_holds_nobody_up_for_longer_than_was_said() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let resolver = silent.local_addr().expect("an address");
        let results = look_up(&[at("dns.example", resolver)], Duration::from_millis(50));
        assert_eq!(results, [Err("no answer within 0.1 s".to_owned())]);
    }

    #[test]
    fn names_of_the_hosts_file_need_no_resolver() {
        let local = HostName { name: "localhost".to_owned(), resolvers: Vec::new() };
        let found = look_up(&[local], Duration::from_secs(5)).remove(0).expect("it has an address");
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
