//! hickory-server with the cluster zone behind it: `ClusterAuthority` over the same store, hickory's sockets and messages.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hickory_server::Server;
use hickory_server::zone_handler::Catalog;
use signpost::chain::kubernetes::{
    Fallthrough, Forms, Kubernetes, Options, PodMode, ServedZone, StalePolicy,
};
use signpost::corefile::zones;
use signpost::hickory::ClusterAuthority;
use signpost::source::manifests::{Manifests, ManifestsOptions};
use signpost::store::{Naming, Store, Wanted};
use signpost::time::Clock;

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Replies of a connection that may wait.
const REPLIES: usize = 64;

/// Serves until the process is ended.
pub(crate) fn run(addr: SocketAddr, dir: &Path) -> anyhow::Result<()> {
    let clock = Clock::system();
    let wanted = Wanted { endpoints: true, ..Wanted::default() };
    let (store, mut writer) = Store::new(wanted, clock.clone());
    let options = ManifestsOptions {
        dir: dir.to_path_buf(),
        labels: None,
        pods: false,
        endpoints: true,
        more: Vec::new(),
    };
    Manifests::new(options).look(&mut writer);
    let zones: Vec<ServedZone> = zones("cluster.local")
        .context("reading the zone")?
        .into_iter()
        .map(|zone| ServedZone { zone, from_cidr: false, forms: Forms::default() })
        .collect();
    let kubernetes = Kubernetes::new(Options {
        primary: zones.first().context("no zone")?.zone.clone(),
        zones,
        store,
        ttl: 5,
        pods: PodMode::Disabled,
        pod_hostnames: false,
        naming: Naming::Address,
        endpoints: true,
        ignore_empty: false,
        namespaces: None,
        namespace_labels: None,
        fallthrough: Fallthrough::None,
        startup_timeout: Duration::ZERO,
        stale: StalePolicy::default(),
        own: Vec::new(),
    });
    let mut catalog = Catalog::new();
    ClusterAuthority::register(&Arc::new(kubernetes), &clock, &mut catalog);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut server = Server::new(catalog);
        server.register_socket(tokio::net::UdpSocket::bind(addr).await?);
        server.register_listener(tokio::net::TcpListener::bind(addr).await?, SILENCE, REPLIES);
        server.block_until_done().await?;
        Ok(())
    })
}
