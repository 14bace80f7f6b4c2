//! Keys of blocks: `[SCHEME://]ZONE[:PORT]`.

use std::net::Ipv4Addr;

use super::error::{Error, Problem};
use super::spec::{Key, Token, Transport};
use super::zone::{self, ZoneFault};

/// Parses one key.
///
/// Errors: `BraceGlued`, `Key`.
/// Source: coredns `plugin/normalize.go` `SplitHostPort`, `plugin/pkg/parse/transport.go`, rules S-02 and K-180.
/// CoreDNS takes an unknown scheme, a bad port or a bad mask for a part of the name; nobody means that.
pub(super) fn parse(token: &Token) -> Result<Key, Error> {
    let text = token.text.clone();
    if text.ends_with('{') {
        return Err(Error::new(token.at.clone(), Problem::BraceGlued { text }));
    }
    let parts = split(&text).and_then(|parts| Ok((parts.transport, zone::host(parts.host)?, parts.port)));
    match parts {
        Ok((transport, zones, port)) => Ok(Key { transport, zones, port, text, at: token.at.clone() }),
        Err(fault) => Err(Error::new(token.at.clone(), Problem::Key { text, fault })),
    }
}

/// A key cut into its parts.
pub(super) struct Parts<'a> {
    /// The scheme's transport, plain DNS where there is none.
    pub(super) transport: Transport,
    /// The name or CIDR.
    pub(super) host: &'a str,
    /// The port, where there is one.
    pub(super) port: Option<u16>,
}

/// Cuts a key into scheme, host and port.
///
/// Errors: `Scheme`, `Port`, `NoPort`, `NoMask`.
pub(super) fn split(text: &str) -> Result<Parts<'_>, ZoneFault> {
    let (transport, rest) = match text.split_once("://") {
        Some((scheme, rest)) => {
            let unknown = || ZoneFault::Scheme { scheme: scheme.to_owned() };
            (Transport::from_scheme(scheme).ok_or_else(unknown)?, rest)
        }
        None => (Transport::Dns, text),
    };
    let Some((host, last)) = rest.rsplit_once(':') else {
        return Ok(Parts { transport, host: rest, port: None });
    };
    // Without a slash in the host, its colons are those of an IPv6 address that lacks its mask.
    if host.contains(':') && !rest.contains('/') {
        return Err(ZoneFault::NoMask);
    }
    if last.contains('/') {
        return Ok(Parts { transport, host: rest, port: None });
    }
    let digits = last.bytes().all(|byte| byte.is_ascii_digit());
    match last.parse::<u16>() {
        Ok(port) if digits => Ok(Parts { transport, host, port: Some(port) }),
        _ if last.is_empty() => Err(ZoneFault::NoPort),
        _ => Err(ZoneFault::Port { port: last.to_owned() }),
    }
}

/// The IPv4 address that this key is, read as a name for want of a mask.
pub(super) fn address(text: &str) -> Option<String> {
    let host = split(text).ok()?.host;
    host.parse::<Ipv4Addr>().ok().map(|address| address.to_string())
}
