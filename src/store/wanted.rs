//! Which objects a store is fed with, and what of them it keeps.

use super::change::{HostKind, Kind};

/// Which objects a store is fed with; decides when it is complete. Nothing is watched or kept that is not wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Wanted {
    /// EndpointSlices: all but `noendpoints`.
    pub endpoints: bool,
    /// Pods: only for `pods verified`.
    pub pods: bool,
    /// Names of pods that stand behind endpoints: only for `endpoint_pod_names`.
    pub pod_names: bool,
    /// Names and labels of pods by address: only for `metadata` beside `pods verified`.
    pub clients: bool,
    /// Zones of endpoints: only for `zonal`.
    pub zones: bool,
    /// ServiceImports and the slices of other clusters: only for `multicluster`.
    pub imports: bool,
    /// Addresses of Services outside of the cluster: only for `k8s_external`.
    pub external: bool,
    /// Ingresses: only for `k8s_external { ingress }`.
    pub ingress: bool,
    /// Gateways and their routes: only for `k8s_external { gateway }`.
    pub gateway: bool,
}

impl Wanted {
    /// All that there is to want.
    pub const EVERYTHING: Self = Self {
        endpoints: true,
        pods: true,
        pod_names: true,
        clients: true,
        zones: true,
        imports: true,
        external: true,
        ingress: true,
        gateway: true,
    };

    /// What two want together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            endpoints: self.endpoints | other.endpoints,
            pods: self.pods | other.pods,
            pod_names: self.pod_names | other.pod_names,
            clients: self.clients | other.clients,
            zones: self.zones | other.zones,
            imports: self.imports | other.imports,
            external: self.external | other.external,
            ingress: self.ingress | other.ingress,
            gateway: self.gateway | other.gateway,
        }
    }

    /// Each wish, in an order that stays.
    fn flags(&mut self) -> [&mut bool; 9] {
        [
            &mut self.endpoints,
            &mut self.pods,
            &mut self.pod_names,
            &mut self.clients,
            &mut self.zones,
            &mut self.imports,
            &mut self.external,
            &mut self.ingress,
            &mut self.gateway,
        ]
    }

    /// The wishes as bits, for a snapshot.
    pub(super) fn code(mut self) -> u16 {
        self.flags().into_iter().enumerate().map(|(at, flag)| u16::from(*flag) << at).sum()
    }

    /// The wishes in words, as options are called where they have a name.
    #[must_use]
    pub fn words(self) -> String {
        let mut words = vec!["Services"];
        for (wanted, word) in [
            (self.endpoints, "endpoints"),
            (self.pods, "pods verified"),
            (self.pod_names, "endpoint_pod_names"),
            (self.clients, "metadata"),
            (self.zones, "zonal"),
            (self.imports, "multicluster"),
            (self.external, "k8s_external"),
            (self.ingress, "ingress"),
            (self.gateway, "gateway"),
        ] {
            if wanted {
                words.push(word);
            }
        }
        words.join(", ")
    }

    /// The wishes of these bits; `None` where there is one that is not known.
    pub(super) fn from_code(code: u16) -> Option<Self> {
        let mut wanted = Self::default();
        wanted.flags().into_iter().enumerate().for_each(|(at, flag)| *flag = code & (1 << at) != 0);
        (wanted.code() == code).then_some(wanted)
    }

    /// The kinds beside Services, Namespaces, EndpointSlices and Pods.
    #[must_use]
    pub fn more(self) -> Vec<Kind> {
        let imports = self.imports.then_some(Kind::Imports);
        let hosts = HostKind::ALL.into_iter().filter(|kind| match kind {
            HostKind::Ingresses => self.ingress,
            HostKind::Gateways | HostKind::HttpRoutes | HostKind::GrpcRoutes | HostKind::TlsRoutes => {
                self.gateway
            }
        });
        imports.into_iter().chain(hosts.map(Kind::Hosts)).collect()
    }

    /// All kinds that are listed and watched for it.
    #[must_use]
    pub fn kinds(self) -> Vec<Kind> {
        let slices = self.endpoints.then_some(Kind::EndpointSlices);
        let pods = self.pods.then_some(Kind::Pods);
        [Kind::Services]
            .into_iter()
            .chain(slices)
            .chain([Kind::Namespaces])
            .chain(pods)
            .chain(self.more())
            .collect()
    }

    /// The kinds that must be listed before something can be answered, as bits of `bit`. Cost: no allocation.
    pub(super) fn bits(self, need: Need) -> u16 {
        let mut bits = bit(Kind::Services) | bit(Kind::Namespaces);
        for (wanted, kind) in [(self.endpoints, Kind::EndpointSlices), (self.pods, Kind::Pods)] {
            bits |= if wanted { bit(kind) } else { 0 };
        }
        let (imports, hosts) = match need {
            Need::Cluster => (false, false),
            Need::Imports => (true, false),
            Need::Hosts => (false, true),
            Need::All => (true, true),
        };
        if imports && self.imports {
            bits |= bit(Kind::Imports);
        }
        for kind in HostKind::ALL {
            let wanted = if kind == HostKind::Ingresses { self.ingress } else { self.gateway };
            bits |= if hosts && wanted { bit(Kind::Hosts(kind)) } else { 0 };
        }
        bits
    }
}

/// What has to be known before something can be answered (rule K-016): names of the cluster do not wait for kinds that
/// they are not made of, which may never be listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Services, Namespaces, and EndpointSlices and Pods where they are wanted.
    Cluster,
    /// Those and ServiceImports.
    Imports,
    /// Those and what claims host names.
    Hosts,
    /// Everything that is wanted.
    All,
}

impl Need {
    /// All needs, each in its place.
    pub(super) const ALL: [Self; 4] = [Self::Cluster, Self::Imports, Self::Hosts, Self::All];
}

/// The place of a kind in lists of all kinds.
pub(super) fn place(kind: Kind) -> usize {
    match kind {
        Kind::Services => 0,
        Kind::EndpointSlices => 1,
        Kind::Namespaces => 2,
        Kind::Pods => 3,
        Kind::Imports => 4,
        Kind::Hosts(HostKind::Ingresses) => 5,
        Kind::Hosts(HostKind::Gateways) => 6,
        Kind::Hosts(HostKind::HttpRoutes) => 7,
        Kind::Hosts(HostKind::GrpcRoutes) => 8,
        Kind::Hosts(HostKind::TlsRoutes) => 9,
    }
}

/// How many kinds there are.
pub(super) const KINDS: usize = 10;

/// The bit of a kind.
pub(super) fn bit(kind: Kind) -> u16 {
    1 << place(kind)
}
