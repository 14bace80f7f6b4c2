//! Differences that are on purpose and are about reverse names.

use std::net::IpAddr;

use serde_json::Value;

use crate::harness::reverse;
use crate::settling::{Known, addresses, ready, texts};

/// How many labels stand left of `ip6.arpa` in the name of a whole address.
const NIBBLES: usize = 32;

/// All of them, in the order in which they are taken out.
pub(crate) const REVERSE: &[Known] = &[
    Known {
        rule: "K-177",
        reason: "a slice without the name of its Service has no PTR; CoreDNS gives no reply at all",
        settle: |it| {
            let nameless = it.slices("").any(|(slice, _)| {
                slice["metadata"]["labels"]["kubernetes.io/service-name"].is_null()
                    && addresses(slice).map(reverse).any(|address| it.any(|name| name.ends_with(&address)))
            });
            let settles = it.theirs.is_silence() && nameless;
            it.settle(settles)
        },
    },
    Known {
        rule: "K-178, K-266",
        reason: "PTR ends with its namespace",
        settle: |it| {
            let is_gone = |record: &str| {
                let target = record.rsplit(' ').next().unwrap_or_default();
                // Behind it stands `svc` and a zone of the cluster, or one for the outside.
                let behind = if target.to_ascii_lowercase().ends_with(".example.") { 3 } else { 4 };
                let ns = target.rsplit('.').nth(behind).unwrap_or_default();
                let is_there =
                    |object: &Value| object["kind"] == "Namespace" && object["metadata"]["name"] == ns;
                !it.case.objects.iter().any(is_there) || !it.case.shows(ns)
            };
            let mut left = it.answers(it.theirs);
            left.retain(|(line, _)| !is_gone(line));
            let settles = it.is_below(&[".arpa."])
                && it.theirs.records("answer").any(is_gone)
                && it.answers(it.ours) == left;
            it.settle(settles)
        },
    },
    Known {
        rule: "K-173",
        reason: "an address that a slice spells in an unusual way is found by its reverse name",
        settle: |it| {
            let spelled = it.slices("").any(|(slice, _)| {
                texts(slice).any(|text| {
                    text.parse::<IpAddr>().is_ok_and(|address| {
                        let whole = reverse(address);
                        address.to_string() != text && it.any(|name| whole.ends_with(name))
                    })
                })
            });
            let settles =
                spelled && (!it.theirs.is_data() || it.went_on(it.theirs)) && it.ours.code() == "NOERROR";
            it.settle(settles)
        },
    },
    Known {
        rule: "K-174",
        reason: "labels in front of a whole reverse name of IPv6 make it no address; CoreDNS passes over up to three",
        settle: |it| {
            let has_more = |name: &str| {
                let left = name.strip_suffix(".ip6.arpa.").unwrap_or_default();
                (1..=3).contains(&left.split('.').count().saturating_sub(NIBBLES))
            };
            let settles = it.question.qtype == "PTR"
                && it.any(has_more)
                && it.theirs.records("answer").any(|record| record.contains(" PTR "))
                && (!it.ours.is_data() || it.went_on(it.ours));
            it.settle(settles)
        },
    },
    Known {
        rule: "K-175",
        reason: "a reverse name above an address is NODATA, and so goes nowhere else",
        settle: |it| {
            let of = |object: &Value| object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
            let shown = |object: &&Value| it.case.shows(&of(object));
            let services = it.case.objects.iter().filter(|object| object["kind"] == "Service").filter(shown);
            let ips =
                services.flat_map(|service| service["spec"]["clusterIPs"].as_array().into_iter().flatten());
            let ips = ips.filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok());
            let slices = it.slices("").filter(|(slice, of)| of.is_some() && shown(slice));
            let mut all = slices.flat_map(|(slice, _)| ready(slice)).chain(ips).map(reverse);
            let is_above =
                |name: &str, whole: &str| name.ends_with(".arpa.") && whole.ends_with(&format!(".{name}"));
            let stands = all.any(|whole| it.any(|name| is_above(name, &whole)));
            drop(all);
            let settles = stands && it.ours.is_nodata() && it.ours.text.contains(" SOA ns.dns.");
            it.settle(settles)
        },
    },
];
