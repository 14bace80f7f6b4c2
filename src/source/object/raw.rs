//! The objects as the API server writes them, only the fields that we read.

use serde::Deserialize;
use serde::de::MapAccess;

use super::field::{Annotations, Field, IntegerOrText, Pairs, Part, Text, record};

/// Declares records of lenient fields: each is `#[derive(Deserialize)]` with defaults, and a [`Part`].
macro_rules! records {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Default, Deserialize, Debug)]
        #[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
        pub(crate) struct $name<'a> {
            $($(#[$field_doc])* pub(crate) $field: Field<$type>,)*
        }

        impl<'de: 'a, 'a> Part<'de> for $name<'a> {
            fn from_record<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
                record(map)
            }
        }
    )*};
}

records! {
    /// `metadata` of any object.
    Meta {
        /// `name`.
        name: Text<'a>,
        /// `namespace`.
        namespace: Text<'a>,
        /// `uid`.
        uid: Text<'a>,
        /// `resourceVersion`.
        resource_version: Text<'a>,
        /// `creationTimestamp`.
        creation_timestamp: Text<'a>,
        /// `deletionTimestamp`.
        deletion_timestamp: Text<'a>,
        /// `labels`.
        labels: Pairs<'a>,
        /// `annotations`, ours only.
        annotations: Annotations<'a>,
    }

    /// v1 Service.
    Service {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `spec`.
        spec: ServiceSpec<'a>,
        /// `status`.
        status: BalancedStatus<'a>,
    }

    /// `spec` of a Service.
    ServiceSpec {
        /// `type`.
        #[serde(rename = "type")]
        service_type: Text<'a>,
        /// `clusterIP`.
        #[serde(rename = "clusterIP")]
        cluster_ip: Text<'a>,
        /// `clusterIPs`.
        #[serde(rename = "clusterIPs")]
        cluster_ips: Vec<Field<Text<'a>>>,
        /// `externalName`.
        external_name: Text<'a>,
        /// `externalIPs`.
        #[serde(rename = "externalIPs")]
        external_ips: Vec<Field<Text<'a>>>,
        /// `ports`.
        ports: Vec<Field<Port<'a>>>,
        /// `selector`.
        selector: Pairs<'a>,
        /// `publishNotReadyAddresses`.
        publish_not_ready_addresses: bool,
        /// `ipFamilies`.
        ip_families: Vec<Field<Text<'a>>>,
    }

    /// A port of a Service, an EndpointSlice or a subset of Endpoints.
    Port {
        /// `name`.
        name: Text<'a>,
        /// `protocol`.
        protocol: Text<'a>,
        /// `port`.
        port: i64,
        /// `targetPort`, of a Service only.
        target_port: IntegerOrText<'a>,
    }

    /// discovery.k8s.io EndpointSlice.
    Slice {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `addressType`.
        address_type: Text<'a>,
        /// `endpoints`.
        endpoints: Vec<Field<SliceEndpoint<'a>>>,
        /// `ports`.
        ports: Vec<Field<Port<'a>>>,
    }

    /// An endpoint of an EndpointSlice.
    SliceEndpoint {
        /// `addresses`.
        addresses: Vec<Field<Text<'a>>>,
        /// `conditions`.
        conditions: SliceConditions,
        /// `hostname`.
        hostname: Text<'a>,
        /// `targetRef`.
        target_ref: TargetRef<'a>,
        /// `zone`.
        zone: Text<'a>,
    }

    /// `targetRef` of an endpoint.
    TargetRef {
        /// `kind`.
        kind: Text<'a>,
        /// `name`.
        name: Text<'a>,
    }

    /// v1 Endpoints.
    Endpoints {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `subsets`.
        subsets: Vec<Field<Subset<'a>>>,
    }

    /// A subset of Endpoints: every address with every port.
    Subset {
        /// `addresses`.
        addresses: Vec<Field<SubsetAddress<'a>>>,
        /// `notReadyAddresses`.
        not_ready_addresses: Vec<Field<SubsetAddress<'a>>>,
        /// `ports`.
        ports: Vec<Field<Port<'a>>>,
    }

    /// An address of a subset.
    SubsetAddress {
        /// `ip`.
        ip: Text<'a>,
        /// `hostname`.
        hostname: Text<'a>,
        /// `targetRef`.
        target_ref: TargetRef<'a>,
    }

    /// v1 Namespace.
    Namespace {
        /// `metadata`.
        metadata: Meta<'a>,
    }

    /// v1 Pod.
    Pod {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `spec`.
        spec: PodSpec<'a>,
        /// `status`.
        status: PodStatus<'a>,
    }

    /// `spec` of a Pod.
    PodSpec {
        /// `hostname`.
        hostname: Text<'a>,
        /// `subdomain`.
        subdomain: Text<'a>,
        /// `containers`.
        containers: Vec<Field<Container<'a>>>,
    }

    /// A container of a Pod.
    Container {
        /// `ports`.
        ports: Vec<Field<ContainerPort<'a>>>,
    }

    /// A port of a container.
    ContainerPort {
        /// `name`.
        name: Text<'a>,
        /// `protocol`.
        protocol: Text<'a>,
        /// `containerPort`.
        container_port: i64,
    }

    /// `status` of a Pod.
    PodStatus {
        /// `phase`.
        phase: Text<'a>,
        /// `podIP`.
        #[serde(rename = "podIP")]
        pod_ip: Text<'a>,
        /// `podIPs`.
        #[serde(rename = "podIPs")]
        pod_ips: Vec<Field<PodAddress<'a>>>,
        /// `conditions`.
        conditions: Vec<Field<PodCondition<'a>>>,
    }

    /// An entry of `podIPs`.
    PodAddress {
        /// `ip`.
        ip: Text<'a>,
    }

    /// An entry of `conditions`.
    PodCondition {
        /// `type`.
        #[serde(rename = "type")]
        condition_type: Text<'a>,
        /// `status`.
        status: Text<'a>,
    }

    /// `status` of a Service or an Ingress.
    BalancedStatus {
        /// `loadBalancer`.
        load_balancer: LoadBalancer<'a>,
    }

    /// `loadBalancer`.
    LoadBalancer {
        /// `ingress`.
        ingress: Vec<Field<LoadBalancerIngress<'a>>>,
    }

    /// Where a load balancer is reached.
    LoadBalancerIngress {
        /// `ip`.
        ip: Text<'a>,
        /// `hostname`.
        hostname: Text<'a>,
    }

    /// networking.k8s.io Ingress.
    Ingress {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `spec`.
        spec: IngressSpec<'a>,
        /// `status`.
        status: BalancedStatus<'a>,
    }

    /// `spec` of an Ingress.
    IngressSpec {
        /// `rules`.
        rules: Vec<Field<IngressRule<'a>>>,
    }

    /// A rule of an Ingress.
    IngressRule {
        /// `host`.
        host: Text<'a>,
    }

    /// gateway.networking.k8s.io Gateway.
    Gateway {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `spec`.
        spec: GatewaySpec<'a>,
        /// `status`.
        status: GatewayStatus<'a>,
    }

    /// `spec` of a Gateway.
    GatewaySpec {
        /// `listeners`.
        listeners: Vec<Field<GatewayListener<'a>>>,
    }

    /// A listener of a Gateway.
    GatewayListener {
        /// `name`.
        name: Text<'a>,
        /// `hostname`.
        hostname: Text<'a>,
    }

    /// `status` of a Gateway.
    GatewayStatus {
        /// `addresses`.
        addresses: Vec<Field<GatewayAddress<'a>>>,
    }

    /// Where a Gateway is reached.
    GatewayAddress {
        /// `type`.
        #[serde(rename = "type")]
        address_type: Text<'a>,
        /// `value`.
        value: Text<'a>,
    }

    /// gateway.networking.k8s.io HTTPRoute, GRPCRoute or TLSRoute.
    Route {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `spec`.
        spec: RouteSpec<'a>,
        /// `status`.
        status: RouteStatus<'a>,
    }

    /// `spec` of a route.
    RouteSpec {
        /// `hostnames`.
        hostnames: Vec<Field<Text<'a>>>,
        /// `parentRefs`.
        parent_refs: Vec<Field<ParentRef<'a>>>,
    }

    /// What a route hangs on.
    ParentRef {
        /// `group`.
        group: Text<'a>,
        /// `kind`.
        kind: Text<'a>,
        /// `namespace`.
        namespace: Text<'a>,
        /// `name`.
        name: Text<'a>,
        /// `sectionName`.
        section_name: Text<'a>,
    }

    /// `status` of a route.
    RouteStatus {
        /// `parents`.
        parents: Vec<Field<RouteParent<'a>>>,
    }

    /// What became of a route at one parent.
    RouteParent {
        /// `parentRef`.
        parent_ref: ParentRef<'a>,
        /// `conditions`, which look as those of a pod.
        conditions: Vec<Field<PodCondition<'a>>>,
    }

    /// multicluster.x-k8s.io ServiceImport.
    ServiceImport {
        /// `metadata`.
        metadata: Meta<'a>,
        /// `spec`.
        spec: ServiceImportSpec<'a>,
    }

    /// `spec` of a ServiceImport.
    ServiceImportSpec {
        /// `type`.
        #[serde(rename = "type")]
        import_type: Text<'a>,
        /// `ips`.
        ips: Vec<Field<Text<'a>>>,
        /// `ports`.
        ports: Vec<Field<Port<'a>>>,
    }
}

/// `conditions` of an endpoint of an EndpointSlice; `serving` and `terminating` are not read (rule K-102).
#[derive(Clone, Default, Deserialize, Debug)]
#[serde(default)]
pub(crate) struct SliceConditions {
    /// `ready`.
    pub(crate) ready: Field<bool>,
}

impl<'de> Part<'de> for SliceConditions {
    fn from_record<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        record(map)
    }
}
