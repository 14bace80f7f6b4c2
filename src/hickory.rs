//! The cluster's zones inside a hickory server: the same answers, without our sockets and chain.
//!
//! ```text
//! hickory_server::Server ─► Catalog ─► ClusterAuthority (one a zone) ─► Kubernetes::resolve ─► typed records
//! ```
//!
//! What the seam cannot say, because hickory's catalog writes the message:
//!
//! * the OPT, the size of a reply, truncation and the checks of a query are hickory's;
//! * SERVFAIL is unknown to handlers: a name before the first sync is REFUSED (with AA), never NODATA and never passed on
//!   (rule K-016);
//! * the SOA of a negative answer is in lower case, whatever the question's letters (K-003), and names the handler's zone;
//! * an SOA answer has the zone's NS records in its authority section (K-007), IXFR's REFUSED has AA;
//! * the outside target of an ExternalName is not looked up: the alias is answered alone (K-131).

use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, LowerName, Name, RecordType, TSigResponseContext};
use hickory_proto::serialize::binary::{BinDecodable as _, BinEncodable as _};
use hickory_server::server::{Request, RequestInfo};
use hickory_server::zone_handler::{
    AuthLookup, AxfrPolicy, Catalog, LookupControlFlow, LookupError, LookupOptions, LookupRecords,
    ZoneHandler, ZoneTransfer, ZoneType,
};

use crate::chain::kubernetes::Kubernetes;
use crate::chain::{Context, Reply};
use crate::time::Clock;
use crate::wire::{CodecError, Question, Rcode, Section, sections_to_records};

/// One zone of a `kubernetes` stanza, as hickory's catalog wants it.
pub struct ClusterAuthority {
    /// The zone, in lower case.
    origin: LowerName,
    /// The stanza, shared by the authorities of its zones.
    kubernetes: Arc<Kubernetes>,
    /// The time of a query.
    clock: Clock,
}

impl ClusterAuthority {
    /// Puts an authority for each zone of a stanza into `catalog`, in place of what answered there.
    pub fn register(kubernetes: &Arc<Kubernetes>, clock: &Clock, catalog: &mut Catalog) {
        for served in &kubernetes.options().zones {
            // A zone of a Corefile is a name by construction.
            let Ok(origin) = Name::from_bytes(served.zone.wire()) else { continue };
            let origin = LowerName::from(origin);
            let this = Self { origin: origin.clone(), kubernetes: kubernetes.clone(), clock: clock.clone() };
            catalog.upsert(origin, vec![Arc::new(this)]);
        }
    }

    /// What the stanza says about a name, as hickory wants it.
    ///
    /// Every answer is final: a later handler must not replace an NXDOMAIN of the cluster. Only what our stanza would let
    /// fall through goes on.
    fn find(&self, name: &Name, rtype: RecordType) -> LookupControlFlow<AuthLookup> {
        if matches!(rtype, RecordType::AXFR | RecordType::IXFR) {
            return refused();
        }
        let wire = name.to_bytes().unwrap_or_default();
        let Ok(question) = Question::new(&wire, rtype.into()) else { return refused() };
        let mut rng = fastrand::Rng::new();
        let mut errands = Vec::new();
        let mut context = Context::new(self.clock.now(), &mut rng, &self.clock, &mut errands);
        let Some(reply) = self.kubernetes.resolve(&question, &mut context) else {
            return LookupControlFlow::Skip;
        };
        match reply.head.rcode {
            Rcode::NOERROR => match records(&reply, &question) {
                Ok(Some(found)) => LookupControlFlow::Break(Ok(found)),
                Ok(None) => LookupControlFlow::Break(Err(LookupError::NameExists)),
                Err(error) => {
                    tracing::error!(%error, question = ?question, "turning records into hickory's");
                    refused()
                }
            },
            Rcode::NXDOMAIN => LookupControlFlow::Break(Err(ResponseCode::NXDomain.into())),
            _ => refused(),
        }
    }
}

/// REFUSED: the one code beside NXDOMAIN that hickory's catalog takes from a handler as it is.
fn refused() -> LookupControlFlow<AuthLookup> {
    LookupControlFlow::Break(Err(ResponseCode::Refused.into()))
}

/// The records of a reply; `None` where its answer section is empty.
///
/// Errors: a record that hickory cannot read.
fn records(reply: &Reply, question: &Question) -> Result<Option<AuthLookup>, CodecError> {
    let answers = sections_to_records(&reply.sections, question, Section::Answer)?;
    if answers.is_empty() {
        return Ok(None);
    }
    let glue = sections_to_records(&reply.sections, question, Section::Additional)?;
    let glue = (!glue.is_empty()).then_some(LookupRecords::Section(glue));
    Ok(Some(AuthLookup::answers(LookupRecords::Section(answers), glue)))
}

#[async_trait]
impl ZoneHandler for ClusterAuthority {
    fn zone_type(&self) -> ZoneType {
        ZoneType::Primary
    }

    fn axfr_policy(&self) -> AxfrPolicy {
        AxfrPolicy::Deny
    }

    fn origin(&self) -> &LowerName {
        &self.origin
    }

    async fn lookup(
        &self,
        name: &LowerName,
        rtype: RecordType,
        _request_info: Option<&RequestInfo<'_>>,
        _lookup_options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        self.find(name, rtype)
    }

    async fn search(
        &self,
        request: &Request,
        _lookup_options: LookupOptions,
    ) -> (LookupControlFlow<AuthLookup>, Option<TSigResponseContext>) {
        let found = match request.request_info() {
            // The name as typed: owners and derived names follow its letters (K-002, K-003).
            Ok(info) if info.query.query_class() == DNSClass::IN => {
                let query = info.query.original();
                self.find(query.name(), query.query_type())
            }
            // Other classes (K-013), and a message without one question.
            Ok(_) | Err(_) => refused(),
        };
        (found, None)
    }

    async fn zone_transfer(
        &self,
        _request: &Request,
        _lookup_options: LookupOptions,
        _now: u64,
    ) -> Option<(Result<ZoneTransfer, LookupError>, Option<TSigResponseContext>)> {
        // Nobody gets a transfer that is not configured (K-061).
        Some((Err(ResponseCode::Refused.into()), None))
    }

    async fn nsec_records(
        &self,
        _name: &LowerName,
        _lookup_options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        // The cluster's zones are not signed.
        LookupControlFlow::Continue(Ok(AuthLookup::default()))
    }
}
