//! The targets of a line (rule F-01): where each is, how it is talked to, and the name that it must prove.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::corefile::{Error, Token, Zone};
use crate::forward::Protocol;

/// A target as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct To {
    /// How it is talked to, `force_tcp` aside.
    pub(super) protocol: Protocol,
    /// Where it is.
    pub(super) place: Place,
    /// What stands behind its `%`: the interface of a plain upstream, the TLS name of others.
    pub(super) suffix: Option<String>,
}

/// Where a target is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// There.
    Address(SocketAddr),
    /// Where a file says.
    File(String),
    /// Where a name leads, at this port.
    Host(String, u16),
}

/// The schemes that are spoken.
const SCHEMES: &[(&str, Protocol)] =
    &[("dns", Protocol::Udp), ("tls", Protocol::Tls), ("https", Protocol::Https), ("quic", Protocol::Quic)];

/// The port of a target that names none.
fn default_port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Udp | Protocol::Tcp => 53,
        Protocol::Tls | Protocol::Quic => 853,
        Protocol::Https => 443,
    }
}

/// Reads a target: `[SCHEME://]ADDRESS[%NAME][:PORT]`, a host name in place of the address, or a file.
///
/// Errors: nothing of that, with its place.
/// Source: rule F-01; coredns `plugin/pkg/parse/host.go` and `plugin/forward/setup.go` (splitZone).
pub(super) fn read(token: &Token) -> Result<To, Error> {
    let (protocol, rest) = match token.text.split_once("://") {
        None => (Protocol::Udp, token.text.as_str()),
        Some((scheme, rest)) => match SCHEMES.iter().find(|(known, _)| *known == scheme) {
            Some((_, protocol)) => (*protocol, rest),
            None => {
                return Err(token
                    .error(format!("upstreams can't be asked over `{scheme}://`"))
                    .hint("write `dns://`, `tls://`, `https://` or `quic://`"));
            }
        },
    };
    if rest.is_empty() {
        let error = token.error(format!("`{}` names nobody", token.text));
        return Err(match token.text.is_empty() {
            true => error.hint("a variable of the environment that is not set is an empty word"),
            false => error,
        });
    }
    if rest.contains('/') {
        return match protocol {
            Protocol::Udp | Protocol::Tcp => {
                Ok(To { protocol, place: Place::File(rest.to_owned()), suffix: None })
            }
            Protocol::Https => Err(token
                .error(format!("`{}` has a path", token.text))
                .hint("write the address alone: the path is always /dns-query")),
            Protocol::Tls | Protocol::Quic => Err(token
                .error(format!("`{}` is a file, whose servers are asked without encryption", token.text))
                .hint("write the addresses of encrypted servers one by one")),
        };
    }
    let (bare, suffix) = cut(rest);
    let place = place(token, &bare, default_port(protocol))?;
    let suffix = suffix.map(str::to_owned);
    match (&suffix, &place, protocol) {
        (Some(suffix), _, _) if suffix.is_empty() => {
            return Err(token.error(format!("`{}` has nothing behind its `%`", token.text)));
        }
        (Some(_), Place::Address(addr), Protocol::Udp) if addr.is_ipv6() => {}
        (Some(_), _, Protocol::Udp) => {
            return Err(token
                .error(format!("`{}` has a `%` behind what is no IPv6 address", token.text))
                .hint("an interface belongs to a link-local address, a server name to `tls://`"));
        }
        _ => {}
    }
    Ok(To { protocol, place, suffix })
}

/// Cuts what stands behind the last `%` out of an address: `1.2.3.4%name:53` is `1.2.3.4:53` and `name`.
fn cut(text: &str) -> (String, Option<&str>) {
    let Some((before, after)) = text.rsplit_once('%') else { return (text.to_owned(), None) };
    if before.starts_with('[') {
        // The bracket closes behind the name, or before it.
        return match after.split_once(']') {
            Some((name, port)) => (format!("{before}]{port}"), Some(name)),
            None => with_port(before, after),
        };
    }
    if before.parse::<Ipv6Addr>().is_ok() {
        return (before.to_owned(), Some(after));
    }
    with_port(before, after)
}

/// Puts a port behind a name to where it belongs.
fn with_port<'t>(before: &str, after: &'t str) -> (String, Option<&'t str>) {
    match after.rsplit_once(':') {
        Some((name, port)) => (format!("{before}:{port}"), Some(name)),
        None => (before.to_owned(), Some(after)),
    }
}

/// Reads an address or host name with or without a port.
fn place(token: &Token, text: &str, default: u16) -> Result<Place, Error> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return address(token, SocketAddr::new(ip, default));
    }
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return address(token, addr);
    }
    let (name, port) = match text.rsplit_once(':') {
        None => (text, default),
        Some((name, port)) => match port.parse::<u16>() {
            Ok(port) if port > 0 => (name, port),
            _ => return Err(token.error(format!("`{}` has no port behind its `:`", token.text))),
        },
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let numeric = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric || !name.bytes().all(plain) || Zone::parse(name).is_err() {
        return Err(token.error(format!("`{}` is no address, file or host name", token.text)).hint(
            "write an IP address such as 10.0.0.10 or [fd00::10]:53, or a path such as /etc/resolv.conf",
        ));
    }
    Ok(Place::Host(name.to_owned(), port))
}

/// Checks an address.
fn address(token: &Token, addr: SocketAddr) -> Result<Place, Error> {
    if addr.port() == 0 {
        return Err(token.error(format!("nobody can be asked at port 0 of {}", addr.ip())));
    }
    if addr.ip().is_multicast() || addr.ip() == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(token.error(format!("{} is no address of one server", addr.ip())));
    }
    // An unspecified address is this machine, as the kernel and Go take it.
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(Place::Address(SocketAddr::new(ip, addr.port())))
}
