//! hickory's updatable zone, mended where RFC 2136 asks for more: prerequisites on whole RRsets, no
//! empty RRsets left behind, no zone but the one that is named.

use async_trait::async_trait;
use hickory_proto::dnssec::{DnsSecResult, DnssecSigner};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, LowerName, Record, RecordType, RrKey, TSigResponseContext};
use hickory_server::dnssec::NxProofKind;
use hickory_server::server::{Request, RequestInfo};
use hickory_server::store::sqlite::SqliteZoneHandler;
use hickory_server::zone_handler::{
    AuthLookup, AxfrPolicy, DnssecZoneHandler, LookupControlFlow, LookupError, LookupOptions, Nsec3QueryInfo,
    UpdateRequest, ZoneHandler, ZoneTransfer, ZoneType,
};
use tokio::sync::Mutex;

use super::authority::BackDated;

type Answer = (Result<bool, ResponseCode>, Option<TSigResponseContext>);

/// A primary for one zone.
pub(super) struct Primary {
    zone: SqliteZoneHandler<BackDated>,
    /// One update at a time, so that prerequisites still hold when the changes are made.
    updating: Mutex<()>,
}

impl Primary {
    pub(super) fn new(zone: SqliteZoneHandler<BackDated>) -> Self {
        Primary { zone, updating: Mutex::new(()) }
    }

    /// Signs the whole zone, from now on after every update.
    pub(super) async fn sign_with(&self, signer: DnssecSigner) -> DnsSecResult<()> {
        self.zone.add_zone_signing_key(signer).await?;
        self.zone.secure_zone().await
    }

    /// RFC 2136 section 3.2.3: an RRset that is given by value must be matched "no more, no less".
    /// hickory sees to "no less" alone.
    async fn has_more_than(&self, prerequisites: &[Record]) -> bool {
        let zone = self.zone.records().await;
        prerequisites.iter().filter(|p| p.dns_class == DNSClass::IN).any(|one| {
            let given =
                prerequisites.iter().filter(|p| p.name == one.name && p.record_type() == one.record_type());
            let key = RrKey::new(LowerName::from(&one.name), one.record_type());
            zone.get(&key).is_some_and(|set| set.records_without_rrsigs().count() > given.count())
        })
    }

    async fn apply(&self, request: &Request, now: u64) -> Answer {
        // hickory makes NSEC3PARAM anew whenever it signs, and trips (in debug builds) over the old one.
        let param = RrKey::new(self.zone.origin().clone(), RecordType::NSEC3PARAM);
        let held = self.zone.records_mut().await.remove(&param);
        let (outcome, signer) = self.zone.update(request, now).await;
        let mut records = self.zone.records_mut().await;
        let before = records.len();
        records.retain(|_, set| set.records_without_rrsigs().next().is_some());
        let emptied = records.len() < before;
        if let Some(held) = held {
            if emptied {
                records.remove(&param);
                drop(records);
                if self.zone.secure_zone().await.is_err() {
                    return (Err(ResponseCode::ServFail), signer);
                }
            } else {
                // Still missing if nothing changed and so nothing was signed.
                records.entry(param).or_insert(held);
            }
        }
        (outcome, signer)
    }
}

#[async_trait]
impl ZoneHandler for Primary {
    async fn update(&self, request: &Request, now: u64) -> Answer {
        let _one = self.updating.lock().await;
        let (allowed, signer) = self.zone.authorize_update(request, now).await;
        let named = request.request_info().is_ok_and(|info| info.query.name() == self.zone.origin());
        match allowed {
            Err(code) => (Err(code), signer),
            Ok(()) if !named => (Err(ResponseCode::NotAuth), signer),
            Ok(()) if self.has_more_than(request.prerequisites()).await => {
                (Err(ResponseCode::NXRRSet), signer)
            }
            Ok(()) => self.apply(request, now).await,
        }
    }

    fn zone_type(&self) -> ZoneType {
        self.zone.zone_type()
    }

    fn axfr_policy(&self) -> AxfrPolicy {
        self.zone.axfr_policy()
    }

    fn origin(&self) -> &LowerName {
        self.zone.origin()
    }

    async fn lookup(
        &self,
        name: &LowerName,
        record_type: RecordType,
        request: Option<&RequestInfo<'_>>,
        options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        self.zone.lookup(name, record_type, request, options).await
    }

    async fn search(
        &self,
        request: &Request,
        options: LookupOptions,
    ) -> (LookupControlFlow<AuthLookup>, Option<TSigResponseContext>) {
        self.zone.search(request, options).await
    }

    async fn zone_transfer(
        &self,
        request: &Request,
        options: LookupOptions,
        now: u64,
    ) -> Option<(Result<ZoneTransfer, LookupError>, Option<TSigResponseContext>)> {
        self.zone.zone_transfer(request, options, now).await
    }

    async fn nsec_records(&self, name: &LowerName, options: LookupOptions) -> LookupControlFlow<AuthLookup> {
        self.zone.nsec_records(name, options).await
    }

    async fn nsec3_records(
        &self,
        info: Nsec3QueryInfo<'_>,
        options: LookupOptions,
    ) -> LookupControlFlow<AuthLookup> {
        self.zone.nsec3_records(info, options).await
    }

    fn nx_proof_kind(&self) -> Option<&NxProofKind> {
        self.zone.nx_proof_kind()
    }
}
