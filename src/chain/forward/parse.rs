//! The line's text (rules F-01 to F-07).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::super::build::Draft;
use super::families::Families;
use super::to::{self, Place, To};
use super::{Forward, Scope, WORD};
use crate::corefile::{Directive, Error, Token, Zone};
use crate::forward::{
    GroupOptions, GroupSpec, HealthCheck, Policy, Protocol, Target, TargetFault, TlsSpec, UpstreamSpec,
    is_own,
};
use crate::wire::Rcode;

/// How it is written.
pub(in crate::chain) const SYNTAX: &str = "\
forward FROM TO… {
    except ZONE…
    policy random|round_robin|sequential
    force_tcp  |  prefer_udp
    tls [CERT KEY] [CA]
    tls_servername NAME
    doh_method POST|GET
    expire DURATION, max_age DURATION, max_idle_conns N
    read_timeout DURATION, max_connect_attempts N
    health_check DURATION [no_rec] [domain NAME]
    max_fails N, failfast_all_unhealthy_upstreams
    max_concurrent N
    failover RCODE…, next RCODE…, next_on_nodata
    source_address IP
    resolver IP[:PORT]…
    case_randomization
    fresh_port
    private_addresses deny
    families auto|ipv4|ipv6|dual
}";

/// What it does.
pub(in crate::chain) const HELP: &str = "asks upstreams for the names of a zone";

/// The options that are served, for hints.
const OPTIONS: &[&str] = &[
    "except",
    "policy",
    "force_tcp",
    "prefer_udp",
    "tls",
    "tls_servername",
    "doh_method",
    "expire",
    "max_age",
    "max_idle_conns",
    "read_timeout",
    "max_connect_attempts",
    "health_check",
    "max_fails",
    "failfast_all_unhealthy_upstreams",
    "max_concurrent",
    "failover",
    "next",
    "next_on_nodata",
    "source_address",
    "resolver",
    "case_randomization",
    "fresh_port",
    "private_addresses",
    "families",
];

/// The most targets of a line.
const MOST: usize = 15;

/// The path of HTTPS.
const PATH: &str = "/dns-query";

/// The codes that `next` and `failover` may name (IANA, DNS RCODEs).
const CODES: &[(&str, u16)] = &[
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("NOTIMPL", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
    ("BADSIG", 16),
    ("BADVERS", 16),
    ("BADKEY", 17),
    ("BADTIME", 18),
    ("BADMODE", 19),
    ("BADNAME", 20),
    ("BADALG", 21),
    ("BADTRUNC", 22),
    ("BADCOOKIE", 23),
];

/// The lines in braces, read.
#[derive(Default)]
struct Lines<'d> {
    /// All that is about the group.
    options: GroupOptions,
    /// What every upstream is like, protocol, address and TLS aside.
    like: Option<UpstreamSpec>,
    /// `force_tcp`.
    force_tcp: bool,
    /// `tls`.
    tls: TlsSpec,
    /// Where `tls` or `tls_servername` stands.
    tls_line: Option<&'d Directive>,
    /// `next`.
    next: Vec<Rcode>,
    /// `next_on_nodata`.
    next_on_nodata: bool,
    /// `resolver`.
    resolvers: Vec<SocketAddr>,
    /// `private_addresses deny`.
    deny_private: bool,
    /// `families`.
    families: Option<&'d Token>,
}

/// Reads the line and adds its step.
pub(in crate::chain) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    let args = directive.expect_args(2..=usize::MAX)?;
    let scope = scope(directive)?;
    if let Some(more) = args.get(MOST + 1) {
        return Err(more.error(format!("there are more than {MOST} upstreams")).within(directive));
    }
    let mut lines = Lines::read(directive)?;
    let (identity, authority) = (lines.tls.identity.take(), lines.tls.authority.take());
    lines.tls.identity = identity.map(|(certificate, key)| (draft.path(certificate), draft.path(key)));
    lines.tls.authority = authority.map(|file| draft.path(file));
    let own = own(draft);
    let interfaces: Vec<IpAddr> = draft.parts.interfaces().into_iter().map(|(_, ip)| ip).collect();
    let mut targets: Vec<Target> = Vec::new();
    let mut tokens: Vec<&Token> = Vec::new();
    let mut encrypted = false;
    for token in args.iter().skip(1) {
        let target = lines.target(to::read(token)?, token)?;
        match &target {
            Target::Upstream(spec) => {
                encrypted |= spec.tls.is_some();
                if let Some(source) = spec.source.filter(|ip| ip.is_ipv4() != spec.addr.is_ipv4()) {
                    draft.warnings.push(format!(
                        "{}: {WORD}: {} can't be asked from {source}, which is of the other family",
                        token.at, spec.addr
                    ));
                }
                if is_own(spec.addr, &own, &interfaces) {
                    draft.warnings.push(format!(
                        "{}: {WORD}: {} is an address of this block itself and is not asked",
                        token.at, spec.addr
                    ));
                    continue;
                }
            }
            Target::Host { like, .. } => encrypted |= like.tls.is_some(),
            Target::File { .. } | Target::Scoped { .. } => {}
        }
        if !targets.contains(&target) {
            targets.push(target);
            tokens.push(token);
        }
    }
    if targets.is_empty() {
        draft.warnings.push(format!(
            "{}: {WORD}: nobody but this server itself is named: its names are SERVFAIL",
            directive.word.at
        ));
    }
    if let Some(line) = lines.tls_line
        && !encrypted
    {
        let (at, word) = (&line.word.at, &line.word.text);
        draft.warnings.push(format!("{at}: {WORD}: `{word}` has no effect, since no upstream is encrypted"));
    }
    let spec = GroupSpec { targets, options: lines.options, resolvers: lines.resolvers, own };
    let group = draft.parts.group(&spec).map_err(|TargetFault { target, text }| {
        let token = target.and_then(|place| tokens.get(place).copied());
        token
            .or(lines.tls_line.map(|line| &line.word))
            .unwrap_or(&directive.word)
            .error(text)
            .within(directive)
    })?;
    let behind = draft.block.all(WORD).skip_while(|other| !std::ptr::eq(*other, directive)).skip(1);
    let behind = behind.map(self::scope).collect::<Result<Vec<_>, _>>()?;
    draft.steps.push(Box::new(Forward {
        scope,
        behind,
        group,
        next: lines.next,
        next_on_nodata: lines.next_on_nodata,
        deny_private: lines.deny_private,
        taps: draft.taps.clone(),
        families: lines.families.map(|word| families(word, draft)).transpose()?.unwrap_or_default(),
    }));
    Ok(())
}

/// What `families` says.
fn families(word: &Token, draft: &Draft<'_>) -> Result<Families, Error> {
    Ok(match word.text.as_str() {
        "ipv4" => Families::Ipv4,
        "ipv6" => Families::Ipv6,
        "dual" => Families::Dual,
        "auto" => Families::Auto(draft.store.clone().ok_or_else(|| {
            word.error("`auto` follows the cluster's DNS Service, and there is no `kubernetes` in this block")
                .hint("write `ipv4`, `ipv6` or `dual`")
        })?),
        _ => return Err(word.unknown("a choice of families", &["auto", "ipv4", "ipv6", "dual"])),
    })
}

/// Which names a line is about.
pub(super) fn scope(directive: &Directive) -> Result<Scope, Error> {
    let args = directive.expect_args(2..=usize::MAX)?;
    let from = args.first().map(Token::zones).transpose()?.unwrap_or_default();
    let mut except = Vec::new();
    for line in directive.lines().iter().filter(|line| line.word.text == "except") {
        line.expect_args(1..=usize::MAX)?;
        line.no_block()?;
        except.extend(line.zones_from(0)?);
    }
    Ok(Scope { from, except })
}

/// Where the block of a line listens.
fn own(draft: &Draft<'_>) -> Vec<SocketAddr> {
    let everywhere = || vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let addresses = draft.bind.clone().unwrap_or_else(everywhere);
    let ports = draft.block.keys.iter().map(|key| key.listening_port(draft.port));
    let ports = ports.filter(|port| *port > 0);
    let mut own: Vec<SocketAddr> =
        ports.flat_map(|port| addresses.iter().map(move |ip| SocketAddr::new(*ip, port))).collect();
    own.sort_unstable();
    own.dedup();
    own
}

impl<'d> Lines<'d> {
    /// Reads the lines in braces.
    fn read(directive: &'d Directive) -> Result<Self, Error> {
        let mut this = Self::default();
        let mut like = UpstreamSpec::plain(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 53));
        for line in directive.lines() {
            line.no_block()?;
            this.line(line, &mut like)?;
        }
        if like.max_age > Duration::ZERO && like.max_age < like.expire {
            let at = directive.lines().iter().find(|line| line.word.text == "max_age");
            let text = format!("`max_age` must not be less than `expire` ({:?})", like.expire);
            return Err(at.map_or(&directive.word, |line| &line.word).error(text));
        }
        this.like = Some(like);
        Ok(this)
    }

    /// Reads one line.
    fn line(&mut self, line: &'d Directive, like: &mut UpstreamSpec) -> Result<(), Error> {
        let none = || line.expect_args(0..=0).map(drop);
        match line.word.text.as_str() {
            // Read with FROM.
            "except" => {}
            "policy" => self.options.policy = policy(line.only_arg()?)?,
            "force_tcp" => {
                none()?;
                self.force_tcp = true;
            }
            // Upstreams are asked over UDP anyway, and over TCP when a reply is truncated.
            "prefer_udp" => none()?,
            "tls" => self.tls(line)?,
            "tls_servername" => {
                self.tls.server_name = Some(server_name(line.only_arg()?)?);
                self.tls_line = Some(line);
            }
            "doh_method" => {
                let arg = line.only_arg()?;
                like.get = match arg.text.as_str() {
                    "POST" => false,
                    "GET" => true,
                    _ => return Err(arg.unknown("a method", &["POST", "GET"])),
                };
            }
            "expire" => like.expire = line.only_arg()?.duration()?,
            "max_age" => like.max_age = line.only_arg()?.duration()?,
            "max_idle_conns" => like.max_idle = line.only_arg()?.number(0..=i32::MAX as usize)?,
            "read_timeout" => {
                let arg = line.only_arg()?;
                self.options.read_timeout = arg.duration()?;
                if self.options.read_timeout.is_zero() {
                    return Err(arg.error("`read_timeout` must be more than 0"));
                }
            }
            "max_connect_attempts" => {
                self.options.max_attempts = line.only_arg()?.number(0..=u32::MAX as usize)?;
            }
            "health_check" => health_check(line, &mut like.health)?,
            "max_fails" => like.health.max_fails = line.only_arg()?.number(0..=u32::MAX)?,
            "failfast_all_unhealthy_upstreams" => {
                none()?;
                self.options.failfast = true;
            }
            "max_concurrent" => {
                self.options.max_concurrent = line.only_arg()?.number(0..=i32::MAX as usize)?;
            }
            "failover" => self.options.failover.extend(codes(line, false)?),
            "next" => self.next.extend(codes(line, true)?),
            "next_on_nodata" => {
                none()?;
                self.next_on_nodata = true;
            }
            "source_address" => {
                let arg = line.only_arg()?;
                let ip = arg.text.parse::<IpAddr>();
                like.source = Some(ip.map_err(|_| arg.error(format!("`{arg}` is no IP address")))?);
            }
            "resolver" => {
                let args = line.expect_args(1..=usize::MAX)?;
                self.resolvers = args.iter().map(resolver).collect::<Result<_, _>>()?;
            }
            "case_randomization" => {
                none()?;
                self.options.mixed_case = true;
            }
            "fresh_port" => {
                none()?;
                self.options.fresh_port = true;
            }
            "private_addresses" => {
                let arg = line.only_arg()?;
                if arg.text != "deny" {
                    return Err(arg.unknown("what can be done with private addresses", &["deny"]));
                }
                self.deny_private = true;
            }
            "families" => self.families = Some(line.only_arg()?),
            _ => return Err(line.word.unknown("an option of `forward`", OPTIONS)),
        }
        Ok(())
    }

    /// `tls [CERT KEY] [CA]`.
    fn tls(&mut self, line: &'d Directive) -> Result<(), Error> {
        let args = line.expect_args(0..=3)?;
        let files: Vec<PathBuf> = args.iter().map(|arg| PathBuf::from(&arg.text)).collect();
        let (identity, authority) = match files.as_slice() {
            [] => (None, None),
            [authority] => (None, Some(authority.clone())),
            [certificate, key] => (Some((certificate.clone(), key.clone())), None),
            [certificate, key, authority, ..] => {
                (Some((certificate.clone(), key.clone())), Some(authority.clone()))
            }
        };
        self.tls.identity = identity;
        self.tls.authority = authority;
        self.tls_line = Some(line);
        Ok(())
    }

    /// A target with all that the lines say about it.
    fn target(&self, to: To, token: &Token) -> Result<Target, Error> {
        let To { mut protocol, place, suffix } = to;
        let encrypted = matches!(protocol, Protocol::Tls | Protocol::Https | Protocol::Quic);
        if self.force_tcp && protocol == Protocol::Udp {
            protocol = Protocol::Tcp;
        }
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 53);
        let mut like = self.like.clone().unwrap_or_else(|| UpstreamSpec::plain(nowhere));
        like.protocol = protocol;
        if protocol == Protocol::Https {
            PATH.clone_into(&mut like.path);
        }
        if encrypted {
            let mut tls = self.tls.clone();
            match (&suffix, &tls.server_name) {
                (Some(one), Some(all)) => {
                    return Err(
                        token.error(format!("`%{one}` and `tls_servername {all}` contradict each other"))
                    );
                }
                (Some(one), None) => tls.server_name = Some(one.clone()),
                (None, _) => {}
            }
            if let (Place::Host(name, _), None) = (&place, &tls.server_name) {
                tls.server_name = Some(name.clone());
            }
            like.tls = Some(tls);
        }
        Ok(match place {
            Place::Address(addr) => {
                like.addr = addr;
                match suffix {
                    Some(interface) if !encrypted => Target::Scoped { interface, like },
                    _ => Target::Upstream(like),
                }
            }
            Place::File(path) => Target::File { path: path.into(), like },
            Place::Host(name, port) => {
                like.addr = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
                Target::Host { name, like }
            }
        })
    }
}

/// Reads a policy.
fn policy(arg: &Token) -> Result<Policy, Error> {
    match arg.text.as_str() {
        "random" => Ok(Policy::Random),
        "round_robin" => Ok(Policy::RoundRobin),
        "sequential" => Ok(Policy::Sequential),
        _ => Err(arg.unknown("a policy", &["random", "round_robin", "sequential"])),
    }
}

/// Reads the name that a certificate must carry: a host name or an address.
fn server_name(arg: &Token) -> Result<String, Error> {
    let name = arg.text.trim_end_matches('.');
    match name.parse::<IpAddr>().is_ok() || !name.is_empty() && Zone::parse(name).is_ok() {
        true => Ok(name.to_owned()),
        false => Err(arg.error(format!("`{arg}` is no server name"))),
    }
}

/// Reads `health_check DURATION [no_rec] [domain NAME]`.
fn health_check(line: &Directive, check: &mut HealthCheck) -> Result<(), Error> {
    let mut args = line.expect_args(1..=usize::MAX)?.iter();
    if let Some(interval) = args.next() {
        check.interval = interval.duration()?;
    }
    check.domain = vec![0];
    while let Some(arg) = args.next() {
        match arg.text.as_str() {
            "no_rec" => check.recursion = false,
            "domain" => {
                let name = args.next().ok_or_else(|| arg.error("`domain` needs a name behind it"))?;
                let zone = Zone::parse(&name.text)
                    .map_err(|fault| name.error(format!("`{name}` is no name: {fault}")))?;
                check.domain = zone.wire().to_vec();
            }
            _ => return Err(arg.unknown("an option of `health_check`", &["no_rec", "domain"])),
        }
    }
    Ok(())
}

/// Reads the codes of a line.
fn codes(line: &Directive, noerror: bool) -> Result<Vec<Rcode>, Error> {
    let known: Vec<&str> = CODES.iter().map(|(text, _)| *text).collect();
    let mut codes = Vec::new();
    for arg in line.expect_args(1..=usize::MAX)? {
        let code = CODES.iter().find(|(text, _)| arg.text.eq_ignore_ascii_case(text));
        match code {
            Some((_, 0)) if !noerror => {
                return Err(arg.error("NOERROR is an answer: no other upstream is asked after it"));
            }
            Some((_, code)) => codes.push(Rcode(*code)),
            None => return Err(arg.unknown("a response code", &known)),
        }
    }
    Ok(codes)
}

/// Reads a resolver.
fn resolver(arg: &Token) -> Result<SocketAddr, Error> {
    let ip = arg.text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).ok();
    ip.or_else(|| arg.text.parse().ok())
        .filter(|addr| addr.port() > 0)
        .ok_or_else(|| arg.error(format!("`{arg}` is neither an IP address nor an IP address with a port")))
}
