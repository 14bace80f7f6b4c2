//! The line's text: what becomes of each option, and which names a line is about.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::chain::{self, BuildOptions, Built, Parts, StoreSpec};
use crate::corefile::{self, NoImports};
use crate::forward::{
    Group, GroupOptions, GroupSpec, HealthCheck, Policy, Protocol, Target, TargetFault, TlsSpec, UpstreamSpec,
};
use crate::metrics::Tally;
use crate::store::{Store, Wanted};
use crate::time::{Clock, Wall};
use crate::wire::Rcode;

/// Parts that remember what lines asked for, on a machine with one interface.
#[derive(Default)]
struct Asked(Vec<GroupSpec>);

impl Parts for Asked {
    fn store(&mut self, _: &StoreSpec, wanted: Wanted) -> Arc<Store> {
        Store::new(wanted, Clock::manual(Wall(0))).0
    }

    fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        self.0.push(spec.clone());
        Ok(Arc::new(Group::new(spec.options.clone(), Vec::new())))
    }

    fn tallies(&mut self, _: &str, _: &str) -> Arc<[Tally]> {
        Arc::new([])
    }

    fn interfaces(&self) -> Vec<(String, IpAddr)> {
        vec![("eth0".to_owned(), IpAddr::from([10, 0, 0, 53]))]
    }
}

/// What the lines of a block asked for, and what was said.
fn built(key: &str, lines: &str) -> (Vec<GroupSpec>, Built) {
    let text = format!("{key} {{\n{lines}\n}}\n");
    let spec =
        corefile::parse("Corefile", &text, &NoImports).unwrap_or_else(|error| panic!("{}", error.render()));
    let mut asked = Asked::default();
    let built = chain::build(&spec, BuildOptions { port: 53 }, &mut asked)
        .unwrap_or_else(|error| panic!("{}", error.render()));
    (asked.0, built)
}

/// What one line asked for.
fn spec(line: &str) -> GroupSpec {
    built(".", line).0.remove(0)
}

/// What one line with this option asked for.
fn with(option: &str) -> GroupSpec {
    spec(&format!("forward . 192.0.2.1 {{\n{option}\n}}"))
}

/// The first upstream of a line with this option.
fn upstream(option: &str) -> UpstreamSpec {
    match with(option).targets.remove(0) {
        Target::Upstream(spec) => spec,
        other => panic!("{other:?}"),
    }
}

/// A target in short.
fn short(target: &Target) -> String {
    let name = |like: &UpstreamSpec| {
        let tls = like.tls.as_ref().and_then(|tls| tls.server_name.clone());
        tls.map_or_else(String::new, |name| format!(" as {name}"))
    };
    match target {
        Target::Upstream(spec) => {
            format!("{} {}{}{}", spec.protocol.text(), spec.addr, spec.path, name(spec))
        }
        Target::Scoped { interface, like } => {
            format!("{} {} at {interface}", like.protocol.text(), like.addr)
        }
        Target::File { path, like } => format!("{} file {}", like.protocol.text(), path.display()),
        Target::Host { name: host, like } => {
            format!("{} host {host}:{}{}", like.protocol.text(), like.addr.port(), name(like))
        }
    }
}

#[test]
fn every_form_of_a_target_is_read() {
    for (written, read) in [
        ("192.0.2.1", "udp 192.0.2.1:53"),
        ("192.0.2.1:5353", "udp 192.0.2.1:5353"),
        ("2001:db8::1", "udp [2001:db8::1]:53"),
        ("[2001:db8::1]", "udp [2001:db8::1]:53"),
        ("[2001:db8::1]:5353", "udp [2001:db8::1]:5353"),
        ("dns://192.0.2.1", "udp 192.0.2.1:53"),
        ("fe80::1%eth0", "udp [fe80::1]:53 at eth0"),
        ("[fe80::1%eth0]:5353", "udp [fe80::1]:5353 at eth0"),
        ("0.0.0.0:5353", "udp 127.0.0.1:5353"),
        ("tls://192.0.2.1", "tcp-tls 192.0.2.1:853"),
        ("tls://192.0.2.1:8853", "tcp-tls 192.0.2.1:8853"),
        ("tls://192.0.2.1%dns.example", "tcp-tls 192.0.2.1:853 as dns.example"),
        ("tls://192.0.2.1%dns.example:8853", "tcp-tls 192.0.2.1:8853 as dns.example"),
        ("tls://2001:db8::1%dns.example", "tcp-tls [2001:db8::1]:853 as dns.example"),
        ("tls://[2001:db8::1%dns.example]", "tcp-tls [2001:db8::1]:853 as dns.example"),
        ("tls://[2001:db8::1%dns.example]:8853", "tcp-tls [2001:db8::1]:8853 as dns.example"),
        ("tls://[2001:db8::1]%dns.example:8853", "tcp-tls [2001:db8::1]:8853 as dns.example"),
        ("tls://dns.example", "tcp-tls host dns.example:853 as dns.example"),
        ("tls://dns.example%other.example:8853", "tcp-tls host dns.example:8853 as other.example"),
        ("https://192.0.2.1", "https 192.0.2.1:443/dns-query"),
        ("https://dns.example", "https host dns.example:443 as dns.example"),
        ("quic://192.0.2.1", "quic 192.0.2.1:853"),
        ("/etc/resolv.conf", "udp file /etc/resolv.conf"),
        ("dns:///etc/resolv.conf", "udp file /etc/resolv.conf"),
        ("./resolv.conf", "udp file ./resolv.conf"),
        ("dns.example", "udp host dns.example:53"),
        ("dns-1.example.:5353", "udp host dns-1.example.:5353"),
    ] {
        let spec = spec(&format!("forward . {written}"));
        assert_eq!(spec.targets.iter().map(short).collect::<Vec<_>>(), [read], "{written}");
    }
}

#[test]
fn targets_keep_their_order_and_stand_once() {
    let spec = spec("forward . 192.0.2.2 192.0.2.1 192.0.2.2:53 tls://192.0.2.1");
    let read: Vec<String> = spec.targets.iter().map(short).collect();
    assert_eq!(read, ["udp 192.0.2.2:53", "udp 192.0.2.1:53", "tcp-tls 192.0.2.1:853"]);
}

#[test]
fn a_line_without_options_is_as_the_defaults_say() {
    let spec = spec("forward . 192.0.2.1");
    assert_eq!(spec.options, GroupOptions::default());
    assert_eq!(upstream(""), UpstreamSpec::plain("192.0.2.1:53".parse().expect("an address")));
    assert_eq!(spec.options.policy, Policy::Random);
    assert_eq!(spec.options.read_timeout, Duration::from_secs(2));
}

#[test]
fn every_option_about_the_group_reaches_it() {
    let codes = |codes: &[u16]| codes.iter().map(|code| Rcode(*code)).collect::<Vec<_>>();
    assert_eq!(with("policy round_robin").options.policy, Policy::RoundRobin);
    assert_eq!(with("policy sequential").options.policy, Policy::Sequential);
    assert_eq!(with("policy sequential\npolicy random").options.policy, Policy::Random);
    assert_eq!(with("max_concurrent 1000").options.max_concurrent, 1000);
    assert_eq!(with("max_connect_attempts 3").options.max_attempts, 3);
    assert_eq!(with("read_timeout 250ms").options.read_timeout, Duration::from_millis(250));
    assert!(with("failfast_all_unhealthy_upstreams").options.failfast);
    assert!(with("case_randomization").options.mixed_case);
    assert!(with("fresh_port").options.fresh_port);
    let failover = with("failover SERVFAIL refused\nfailover NotImpl").options.failover;
    assert_eq!(failover, codes(&[2, 5, 4]));
    let resolvers = with("resolver 192.0.2.9 [2001:db8::9]:5353").resolvers;
    assert_eq!(
        resolvers,
        ["192.0.2.9:53".parse(), "[2001:db8::9]:5353".parse()].map(|addr| addr.expect("an address"))
    );
}

#[test]
fn every_option_about_upstreams_reaches_them() {
    assert_eq!(upstream("force_tcp").protocol, Protocol::Tcp);
    assert_eq!(upstream("prefer_udp").protocol, Protocol::Udp);
    assert_eq!(upstream("expire 30s").expire, Duration::from_secs(30));
    assert_eq!(upstream("max_age 1m").max_age, Duration::from_secs(60));
    assert_eq!(upstream("max_idle_conns 4").max_idle, 4);
    assert!(upstream("doh_method GET").get);
    assert!(!upstream("doh_method POST").get);
    assert_eq!(upstream("source_address 192.0.2.77").source, Some(IpAddr::from([192, 0, 2, 77])));
    assert_eq!(upstream("max_fails 0").health.max_fails, 0);
    let interval = Duration::from_secs(1);
    let expected = HealthCheck { interval, recursion: false, domain: b"\x01a\x01b\0".to_vec(), max_fails: 2 };
    assert_eq!(upstream("health_check 1s no_rec domain A.b.").health, expected);
    assert_eq!(upstream("health_check 1s").health, HealthCheck { interval, ..HealthCheck::default() });
}

#[test]
fn tls_is_said_of_encrypted_targets_only() {
    let tls = |options: &str| {
        let spec = spec(&format!("forward . tls://192.0.2.1 192.0.2.2 {{\n{options}\n}}"));
        let tls = |target: &Target| match target {
            Target::Upstream(spec) => spec.tls.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(tls(&spec.targets[1]), None, "{options}");
        tls(&spec.targets[0]).expect("it is encrypted")
    };
    assert_eq!(tls(""), TlsSpec::default());
    assert_eq!(tls("tls"), TlsSpec::default());
    assert_eq!(tls("tls ca.pem").authority, Some("ca.pem".into()));
    assert_eq!(tls("tls crt key").identity, Some(("crt".into(), "key".into())));
    let all = TlsSpec {
        server_name: Some("dns.example".to_owned()),
        identity: Some(("crt".into(), "key".into())),
        authority: Some("ca".into()),
    };
    assert_eq!(tls("tls crt key ca\ntls_servername dns.example"), all);
    let (_, built) = built(".", "forward . 192.0.2.1 {\ntls_servername dns.example\n}");
    assert_eq!(
        built.warnings,
        ["Corefile:3:1: forward: `tls_servername` has no effect, since no upstream is encrypted"]
    );
}

#[test]
fn files_of_tls_are_found_below_the_root_of_the_block() {
    let (specs, _) = built(".", "forward . tls://192.0.2.1 {\ntls crt key /etc/ca\n}\nroot /certs");
    let Target::Upstream(spec) = &specs[0].targets[0] else { panic!("{specs:?}") };
    let tls = spec.tls.as_ref().unwrap();
    assert_eq!(tls.identity, Some(("/certs/crt".into(), "/certs/key".into())));
    assert_eq!(tls.authority, Some("/etc/ca".into()));
}

#[test]
fn a_listener_of_the_same_block_is_not_asked() {
    let (specs, said) = built(".", "forward . 127.0.0.1 10.0.0.53 192.0.2.1");
    assert_eq!(specs[0].targets.iter().map(short).collect::<Vec<_>>(), ["udp 192.0.2.1:53"]);
    assert_eq!(
        said.warnings,
        [
            "Corefile:2:11: forward: 127.0.0.1:53 is an address of this block itself and is not asked",
            "Corefile:2:21: forward: 10.0.0.53:53 is an address of this block itself and is not asked",
        ]
    );
    // Where nobody is left the line stands: cluster names go on, and what it is asked is SERVFAIL.
    let (specs, said) = built(".", "bind 169.254.20.10\nforward . 169.254.20.10");
    assert_eq!(specs[0].targets, []);
    assert_eq!(said.warnings.len(), 2, "{:?}", said.warnings);
    assert!(said.warnings[1].contains("its names are SERVFAIL"), "{:?}", said.warnings);
    // Another port, or another address than that of `bind`, is another server: also another block of this one.
    for (key, lines) in [
        (".:5301", "forward . 127.0.0.1"),
        (".", "forward . 127.0.0.1:5301"),
        (".", "bind 169.254.20.10\nforward . 10.0.0.53"),
    ] {
        let (specs, said) = built(key, lines);
        assert_eq!((specs[0].targets.len(), said.warnings), (1, Vec::new()), "{key} {lines}");
    }
}

#[test]
fn names_of_a_line_are_those_of_from_without_those_of_except() {
    let directive = |text: &str| {
        let text = format!(". {{\n{text}\n}}\n");
        let spec = corefile::parse("Corefile", &text, &NoImports).expect("it is sound");
        super::parse::scope(&spec.blocks[0].directives[0]).expect("it is sound")
    };
    let covers = |scope: &super::Scope, name: &str| {
        let zone = crate::corefile::Zone::parse(name).expect("a name");
        scope.covers(&crate::wire::Question::new(zone.wire(), 1).expect("a question"))
    };
    let scope = directive(
        "forward Example.org 192.0.2.1 {\nexcept a.example.org b.example.org\nexcept 10.0.0.0/8\n}",
    );
    for (name, covered) in [
        ("example.org", true),
        ("www.example.org", true),
        ("a.example.org", false),
        ("x.a.example.org", false),
        ("b.example.org", false),
        ("xa.example.org", true),
        ("example.com", false),
        (".", false),
    ] {
        assert_eq!(covers(&scope, name), covered, "{name}");
    }
    // A network between two octets is several zones, and all of them count.
    let scope = directive("forward 10.244.0.0/15 192.0.2.1");
    assert!(covers(&scope, "1.0.244.10.in-addr.arpa") && covers(&scope, "1.0.245.10.in-addr.arpa"));
    assert!(!covers(&scope, "1.0.246.10.in-addr.arpa"));
    // The zone itself is asked for whatever is excepted.
    let scope = directive("forward example.org 192.0.2.1 {\nexcept example.org\n}");
    assert!(covers(&scope, "example.org") && !covers(&scope, "www.example.org"));
}
