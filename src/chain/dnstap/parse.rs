//! The lines' text (rule S-27).

use std::path::PathBuf;
use std::sync::Arc;

use super::extra::Extra;
use super::step::{Dnstap, Tap};
use crate::chain::build::Draft;
use crate::corefile::{Directive, Error, Token};
use crate::tap::{Endpoint, Side, TapSpec};

/// The Corefile's word.
pub(in crate::chain) const WORD: &str = "dnstap";

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
dnstap SOCKET [full [WRITEBUFFER [QUEUE]]] {
    identity IDENTITY
    version VERSION
    extra TEXT
    skipverify
}
dnstap listen SOCKET [full [WRITEBUFFER [QUEUE]]] {
    identity IDENTITY
    version VERSION
    extra TEXT
    tls CERT KEY [CA]
    skipverify
}";

/// What it does.
pub(in crate::chain) const HELP: &str =
    "tells collectors what clients ask and get, and what upstreams are asked and say";

/// The options, for hints.
const OPTIONS: &[&str] = &["identity", "version", "extra", "tls", "skipverify"];

/// The largest buffer of a connection. Unit: MiB.
const BUFFER: usize = 1024;

/// The longest queue. Unit: 10,000 messages.
const QUEUE: usize = 4096;

/// Reads all `dnstap` lines of the block at the first of them: they are taps of one step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let mut lines = draft.block.all(WORD);
    if lines.next().is_some_and(|first| !std::ptr::eq(first, directive)) {
        return Ok(());
    }
    let mut taps = vec![tap(directive, draft)?];
    for line in lines {
        taps.push(tap(line, draft).map_err(|error| error.within(line))?);
    }
    let taps: Arc<[Tap]> = taps.into();
    draft.taps = Some(taps.clone());
    draft.steps.push(Box::new(Dnstap { taps }));
    Ok(())
}

/// Reads one line.
fn tap(directive: &Directive, draft: &mut Draft<'_>) -> Result<Tap, Error> {
    let listens = directive.args.first().is_some_and(|first| first.text == "listen");
    let front = usize::from(listens);
    let args = directive.expect_args(1 + front..=4 + front)?.get(front..).unwrap_or_default();
    let [socket, rest @ ..] = args else { return Err(directive.error("a socket is missing")) };
    let endpoint = endpoint(socket)?;
    let encrypted = matches!(endpoint, Endpoint::Tls(_));
    let mut full = false;
    let (mut buffer, mut queue) = (1, 1);
    if let [word, numbers @ ..] = rest {
        if word.text != "full" {
            return Err(word.unknown("what may follow the socket", &["full"]));
        }
        full = true;
        if let Some(number) = numbers.first() {
            buffer = number.number(1..=BUFFER)?;
        }
        if let Some(number) = numbers.get(1) {
            queue = number.number(1..=QUEUE)?;
        }
    }
    let mut identity = None;
    let mut version = concat!("signpost-", env!("CARGO_PKG_VERSION")).to_owned();
    let mut extra = None;
    let mut verify = true;
    let mut files = None;
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "identity" => identity = Some(line.only_arg()?.text.clone()),
            "version" => version.clone_from(&line.only_arg()?.text),
            "extra" => extra = Some(Extra::parse(line.only_arg()?)?),
            "skipverify" => {
                line.expect_args(0..=0)?;
                verify = false;
                if !encrypted {
                    draft.warnings.push(format!(
                        "{}: `skipverify` has nothing to do: {endpoint} is not encrypted",
                        line.word.at
                    ));
                }
            }
            "tls" => {
                if !listens || !encrypted {
                    return Err(line.word.error("`tls` is for `dnstap listen tls://…` only"));
                }
                let args = line.expect_args(2..=3)?;
                files = Some(args.iter().map(|arg| PathBuf::from(&arg.text)).collect::<Vec<_>>());
            }
            _ => return Err(line.word.unknown("an option of `dnstap`", OPTIONS)),
        }
    }
    let side = match listens {
        false => Side::Connect { verify },
        true => {
            let mut files = files.unwrap_or_default().into_iter();
            let identity = files.next().zip(files.next());
            if encrypted && identity.is_none() {
                return Err(socket
                    .error("who listens for encrypted connections needs a certificate")
                    .hint("write `tls CERT KEY` in braces"));
            }
            Side::Listen { identity, authority: files.next(), verify }
        }
    };
    let outlet = draft.parts.tap(&TapSpec { endpoint, side, buffer, queue });
    let identity = identity.unwrap_or_else(|| outlet.host().to_owned());
    Ok(Tap { outlet, full, identity: identity.into_bytes(), version: version.into_bytes(), extra })
}

/// Reads a socket.
fn endpoint(token: &Token) -> Result<Endpoint, Error> {
    let host = |host: &str| {
        let port = host.rsplit_once(':').filter(|(name, _)| !name.is_empty());
        match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(_) => Ok(host.to_owned()),
            None => Err(token
                .error(format!("`{}` names no host and port", token.text))
                .hint("write `tcp://HOST:PORT` or `tls://HOST:PORT`")),
        }
    };
    if let Some(text) = token.text.strip_prefix("tls://") {
        return Ok(Endpoint::Tls(host(text)?));
    }
    if let Some(text) = token.text.strip_prefix("tcp://") {
        return Ok(Endpoint::Tcp(host(text)?));
    }
    let path = token.text.strip_prefix("unix://").unwrap_or(&token.text);
    if path.is_empty() || path.contains("://") {
        return Err(token
            .error(format!("`{}` is no socket", token.text))
            .hint("write a path, `tcp://HOST:PORT` or `tls://HOST:PORT`"));
    }
    Ok(Endpoint::Unix(PathBuf::from(path)))
}
