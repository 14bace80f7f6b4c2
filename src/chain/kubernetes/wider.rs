//! Why names of a clusterset and of topology zones are answered as they are.

use super::grammar::Below;
use super::reason::{Reason, list, said};
use super::zonal::spells;
use crate::chain::explain::{ObjectAccount, Said};
use crate::store::{Import, ImportSpec, Protocol, Service};
use crate::wire::{show_label, show_name};

impl Reason<'_> {
    /// `SVC.NS.svc.Z` of a clusterset, and names below it.
    pub(super) fn import(&self, run: &[u8], below: Below<'_>) -> Said {
        let (name, namespace) = Self::labels(run);
        if let Some(said) = self.no_namespace(run.get(1 + name.len()..).unwrap_or_default()) {
            return said;
        }
        let import = self.options.store.imports().get(run);
        let Some(import) = import.filter(|import| !matches!(import.spec(), ImportSpec::Orphan)) else {
            let mut near = Vec::new();
            self.options.store.imports().each(|import| {
                let exposed =
                    self.options.exposes(import.namespace()) && import.namespace().name() == namespace;
                if exposed && !matches!(import.spec(), ImportSpec::Orphan) {
                    near.push(format!("{}svc.{}", show_name(import.key()), self.zone()));
                }
            });
            near.sort_unstable();
            let mut said =
                said(format!("the namespace `{namespace}` has no ServiceImport `{name}`"), &["K-210"]);
            said.near = near;
            return said;
        };
        let mut said = self.of_import(&import, below);
        said.object = Some(ObjectAccount {
            kind: "ServiceImport".to_owned(),
            namespace: namespace.clone(),
            name,
            uid: String::new(),
            version: String::new(),
            unchanged_seconds: None,
        });
        said
    }

    /// A name of an import that is there, or below it.
    fn of_import(&self, import: &Import, below: Below<'_>) -> Said {
        if self.options.ignore_empty && import.is_empty() {
            return said(
                "a Service of the clusterset without ready endpoints, which `ignore empty_service` leaves out",
                &["K-206"],
            );
        }
        let clusters: Vec<&str> = import.members().iter().map(|member| member.cluster()).collect();
        let clusters = if clusters.is_empty() { "none".to_owned() } else { clusters.join(" ") };
        match (import.spec(), below) {
            (_, Below::AboveZones | Below::Zone { .. }) => {
                said("Services of a clusterset have no names of topology zones", &["K-220"])
            }
            (ImportSpec::Set { v4, v6 }, Below::Itself) => {
                let addresses: Vec<std::net::IpAddr> =
                    v4.iter().map(|ip| (*ip).into()).chain(v6.iter().map(|ip| (*ip).into())).collect();
                said(
                    format!("a Service of the clusterset with the addresses {}", list(&addresses)),
                    &["K-211"],
                )
            }
            (ImportSpec::Headless, Below::Itself) if import.is_empty() => said(
                "a headless Service of the clusterset, and no cluster has a ready endpoint of it",
                &["K-211"],
            ),
            (ImportSpec::Headless, Below::Itself) => said(
                format!(
                    "a headless Service of the clusterset with ready endpoints in the clusters {clusters}"
                ),
                &["K-211"],
            ),
            (_, Below::Port(name, protocol)) => {
                let name = name.map_or_else(|| "any name".to_owned(), show_label);
                let protocol = protocol.map_or("any protocol", |protocol| match protocol {
                    Protocol::Tcp => "tcp",
                    Protocol::Udp => "udp",
                    Protocol::Sctp => "sctp",
                });
                said(
                    format!(
                        "the port `{name}` over {protocol} of a Service of the clusterset, if it has one"
                    ),
                    &["K-211"],
                )
            }
            (_, Below::Cluster(endpoint, cluster)) => {
                let (endpoint, cluster) = (show_label(endpoint), show_label(cluster));
                let found = import.members().iter().find(|member| member.cluster() == cluster);
                let text = match found {
                    None => format!("no cluster `{cluster}` has this Service; those that do: {clusters}"),
                    Some(member)
                        if member
                            .endpoints()
                            .named(endpoint.as_bytes(), self.options.naming)
                            .next()
                            .is_none() =>
                    {
                        format!(
                            "the cluster `{cluster}` has no ready endpoint named `{endpoint}` of this Service"
                        )
                    }
                    Some(_) => format!("a ready endpoint of the cluster `{cluster}`"),
                };
                said(text, &["K-212"])
            }
            (_, Below::Endpoint(label)) => said(
                format!(
                    "`{}` stands where the id of a cluster, a protocol or an endpoint of no cluster can; clusters: {clusters}",
                    show_label(label)
                ),
                &["K-212", "K-037"],
            ),
            (ImportSpec::Orphan, _) => said("there are EndpointSlices and no ServiceImport", &["K-210"]),
        }
    }

    /// The ready endpoints of a topology zone.
    pub(super) fn in_zone(&self, service: &Service, zone: &[u8], prefer: bool) -> Said {
        let name = show_name(zone).trim_end_matches('.').to_owned();
        let parts = service.endpoints().parts();
        let count: usize = parts.iter().map(|part| part.in_zone(|known| spells(zone, known)).count()).sum();
        match (count, prefer) {
            (0, false) => {
                said(format!("the Service has no ready endpoint in the topology zone `{name}`"), &["K-221"])
            }
            (0, true) => said(
                format!(
                    "the Service has no ready endpoint in the topology zone `{name}`, so all {} are given",
                    service.endpoints().len()
                ),
                &["K-222"],
            ),
            (count, _) => said(
                format!(
                    "{count} of the {} ready endpoints of the Service, those in the topology zone `{name}`",
                    service.endpoints().len()
                ),
                &["K-220"],
            ),
        }
    }

    /// The two labels of a run in wire form.
    fn labels(run: &[u8]) -> (String, String) {
        let cut = |run: &[u8]| {
            run.get(1..=run.first().copied().map_or(0, usize::from)).unwrap_or_default().to_vec()
        };
        let first = cut(run);
        let second = cut(run.get(1 + first.len()..).unwrap_or_default());
        (show_label(&first), show_label(&second))
    }
}
