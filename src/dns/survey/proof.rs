//! What DNSSEC says of an answer: validated here, from the trust anchor down (RFC 4033 §5).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::ResolverOpts;
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer as _};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{self, Name, RData, Record};
use hickory_resolver::{PoolContext, TlsConfig};
use tokio::time::timeout;

use super::Dnssec;
use super::asking::MAX_CNAMES;
use crate::dns::lookup::RecordType;
use crate::dns::system::pool;
use crate::dns::wire::{wire_name_of, wire_type};

/// Lets the resolver fetch and not judge (CD): one that validates keeps back what does not hold.
#[derive(Clone)]
struct Unjudged<H>(H);

impl<H: DnsHandle> DnsHandle for Unjudged<H> {
    type Response = H::Response;
    type Runtime = H::Runtime;

    fn send(&self, mut request: DnsRequest) -> H::Response {
        request.metadata.checking_disabled = true;
        self.0.send(request)
    }
}

/// What the records of this type at a name, or their absence, are worth. `patience` is for each answer, and the chain
/// to the root has some dozen.
pub(super) async fn of_answer(
    name: &str,
    kind: RecordType,
    resolver: SocketAddr,
    anchors: Arc<TrustAnchors>,
    patience: Duration,
) -> Dnssec {
    let mut options = ResolverOpts::default();
    options.timeout = patience;
    let (Ok(tls), Some(mut name)) = (TlsConfig::new(), wire_name_of(name)) else {
        return Dnssec::Unknown;
    };
    let context = Arc::new(PoolContext::new(options, tls));
    let handle = Unjudged(pool(resolver, &context));
    let validating = DnssecDnsHandle::with_trust_anchor(handle, anchors);
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    let mut known = None;
    for _ in 0..=MAX_CNAMES {
        let asked = validating.lookup(Query::query(name, wire_type(kind)), options);
        let found = match timeout(4 * patience, asked.first_answer()).await {
            Ok(Ok(answer)) => match answer.answers.as_slice() {
                [] => of_records(&answer.authorities),
                answers => of_records(answers),
            },
            // That something is not there is proven for the name that was asked for, not for the one to which
            // its CNAME leads.
            Ok(Err(NetError::Dns(DnsError::Nsec {
                response, proof, ..
            }))) => match target(&response.answers) {
                Some(target) => {
                    known = worse(known, of_records(&response.answers));
                    name = target;
                    continue;
                }
                None => of_proof(proof),
            },
            Ok(Err(NetError::Dns(DnsError::DnssecBogus))) => Dnssec::Bogus,
            Ok(Err(_)) | Err(_) => Dnssec::Unknown,
        };
        return worse(known, found).unwrap_or(found);
    }
    Dnssec::Unknown
}

/// The end of the CNAMEs of an answer, where no record follows it.
fn target(answers: &[Record]) -> Option<Name> {
    let mut targets = answers.iter().filter_map(|record| match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    });
    let end = |target: &&Name| answers.iter().all(|record| record.name != **target);
    targets.find(end).cloned()
}

/// The worst of the records; nothing at all is what an unsigned zone may say.
fn of_records(records: &[Record]) -> Dnssec {
    let judged = records
        .iter()
        .filter(|r| r.record_type() != rr::RecordType::RRSIG);
    let proofs = judged.map(|record| of_proof(record.proof));
    proofs.fold(None, worse).unwrap_or(Dnssec::Insecure)
}

fn of_proof(proof: Proof) -> Dnssec {
    match proof {
        Proof::Secure => Dnssec::Secure,
        Proof::Insecure => Dnssec::Insecure,
        Proof::Bogus => Dnssec::Bogus,
        Proof::Indeterminate => Dnssec::Unknown,
    }
}

/// An answer is as good as the worst of its records.
fn worse(known: Option<Dnssec>, new: Dnssec) -> Option<Dnssec> {
    let order = [Dnssec::Bogus, Dnssec::Unknown, Dnssec::Insecure];
    let found = order
        .into_iter()
        .find(|dnssec| known == Some(*dnssec) || new == *dnssec);
    Some(found.unwrap_or(Dnssec::Secure))
}
