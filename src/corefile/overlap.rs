//! No zone twice on one port: the check over all blocks.

use std::collections::BTreeMap;

use super::error::{Error, Problem};
use super::location::Location;
use super::spec::{Block, Key, Transport};
use super::zone::Zone;

/// What must not be served twice: transport, port and zone.
type Served<'a> = (Transport, u16, &'a Zone);

/// The keys that serve one zone so far, by address; `""` is every address.
type Holders<'a> = BTreeMap<&'a str, &'a Location>;

/// Pairs of a zone and an address that are looked at.
const MAX_PAIRS: usize = 200_000;

/// Checks that no two blocks serve the same zone over the same transport and port.
///
/// Blocks with different `bind` may, and so may a block with `view` beside others. Of two blocks with the same zone
/// either both have a `bind` or neither. Addresses are compared as text: whether an interface and an address are the
/// same is seen when they are bound. `dns_port` stands for the port of plain DNS keys without one.
///
/// Errors: `Twice`, `Overlap`, `TooManyZones`, at the later key.
/// Source: coredns `core/dnsserver/address.go`, `register.go` `validateZonesAndListeningAddresses`, rule S-02.
pub(super) fn check(blocks: &[Block], dns_port: u16) -> Result<(), Error> {
    let mut served: BTreeMap<Served<'_>, Holders<'_>> = BTreeMap::new();
    let mut pairs = 0_usize;
    for block in blocks {
        let addresses = bound(block);
        let viewed = block.all("view").next().is_some();
        for key in &block.keys {
            let port = key.listening_port(dns_port);
            for zone in &key.zones {
                pairs = pairs.saturating_add(addresses.len());
                if pairs > MAX_PAIRS {
                    return Err(Error::new(key.at.clone(), Problem::TooManyZones { limit: MAX_PAIRS }));
                }
                let holders = served.entry((key.transport, port, zone)).or_default();
                for address in &addresses {
                    conflict(key, zone, port, holders, address, viewed)?;
                    if !viewed {
                        holders.entry(*address).or_insert(&key.at);
                    }
                }
            }
        }
    }
    Ok(())
}

/// The addresses a block is bound to, as written; one empty text without a `bind`.
fn bound(block: &Block) -> Vec<&str> {
    let mut addresses: Vec<&str> =
        block.all("bind").flat_map(|bind| &bind.args).map(|arg| arg.text.as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() { vec![""] } else { addresses }
}

/// The conflict of this key on this address with earlier ones, if there is one.
fn conflict(
    key: &Key,
    zone: &Zone,
    port: u16,
    holders: &Holders<'_>,
    address: &str,
    viewed: bool,
) -> Result<(), Error> {
    // Port 0 is a different port each time.
    if port == 0 {
        return Ok(());
    }
    let (zone, scheme) = (zone.text().to_owned(), key.transport.scheme());
    let same = holders.get(address);
    let other = if address.is_empty() { holders.values().next() } else { holders.get("") };
    let problem = match (same, other) {
        (Some(_), _) if viewed => return Ok(()),
        (Some(at), _) => Problem::Twice { zone, scheme, port, first: Box::new(Location::clone(at)) },
        (None, Some(at)) => Problem::Overlap { zone, scheme, port, first: Box::new(Location::clone(at)) },
        (None, None) => return Ok(()),
    };
    Err(Error::new(key.at.clone(), problem))
}
