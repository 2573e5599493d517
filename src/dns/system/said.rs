//! What the answer of a server says about a name.

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsResponse, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData};

use crate::dns::Cause;

/// How many are followed, as in a [`Zone`](crate::dns::Zone).
pub(super) const MAX_CNAMES: usize = 8;
/// How many records of an answer are kept; RFC 6376 §3.6.2.2 allows one.
const MAX_RECORDS: usize = 32;

/// What an answer says about the name that was asked for.
pub(super) enum Said {
    Txt {
        txt: Vec<Vec<u8>>,
        /// How many CNAMEs led there.
        hops: usize,
        /// The lowest on the way, in seconds.
        ttl: u32,
    },
    /// The name is another name for `target`, about which the answer says no more.
    Alias { target: Name, hops: usize, ttl: u32 },
    Nothing {
        exists: bool,
        /// In seconds.
        negative_ttl: Option<u32>,
    },
}

impl Said {
    /// Reads the answer to `query`, or the reason why there is none.
    pub(super) fn read(
        query: &Query,
        result: Result<DnsResponse, NetError>,
    ) -> Result<Said, Cause> {
        let response = match result {
            Ok(response) => response,
            Err(NetError::Timeout) => return Err(Cause::Timeout),
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                return Said::read_nothing(query, &nothing);
            }
            Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused))) => {
                return Err(Cause::Refused);
            }
            Err(NetError::Dns(DnsError::ResponseCode(_))) => return Err(Cause::ServerFailure),
            Err(_) => return Err(Cause::Network),
        };
        // Over TCP, hickory compares the number of the question, and not the question.
        if response.queries != [query.clone()] {
            return Err(Cause::Network);
        }
        match response.metadata.response_code {
            ResponseCode::NoError => Said::read_answers(query, &response),
            // RFC 6604 §2.1: the code is about the last name of a chain.
            ResponseCode::NXDomain => {
                let chain = response.answers.iter().map(|record| record.ttl).min();
                let negative = response.negative_ttl();
                Ok(Said::Nothing {
                    exists: false,
                    negative_ttl: negative.map(|ttl| ttl.min(chain.unwrap_or(ttl))),
                })
            }
            _ => Err(Cause::ServerFailure),
        }
    }

    /// Follows the CNAMEs within the answer section, in whatever order they stand.
    fn read_answers(query: &Query, message: &Message) -> Result<Said, Cause> {
        let mut name = query.name();
        let mut hops = 0;
        let mut ttl = u32::MAX;
        loop {
            let own = message.answers.iter().filter(|record| record.name == *name);
            let mut txt = Vec::new();
            let mut target = None;
            for record in own {
                match &record.data {
                    RData::TXT(strings) if txt.len() < MAX_RECORDS => {
                        // RFC 6376 §3.6.2.2: the strings of a record are joined without anything between.
                        txt.push(strings.txt_data.concat());
                        ttl = ttl.min(record.ttl);
                    }
                    RData::CNAME(cname) => {
                        target = Some(&cname.0);
                        ttl = ttl.min(record.ttl);
                    }
                    _ => {}
                }
            }
            match target {
                _ if !txt.is_empty() => return Ok(Said::Txt { txt, hops, ttl }),
                Some(_) if hops == MAX_CNAMES => return Err(Cause::ServerFailure),
                Some(target) => {
                    hops += 1;
                    name = target;
                }
                None if hops > 0 => {
                    let target = name.clone();
                    return Ok(Said::Alias { target, hops, ttl });
                }
                None => {
                    return Ok(Said::Nothing {
                        exists: true,
                        negative_ttl: None,
                    });
                }
            }
        }
    }

    fn read_nothing(query: &Query, nothing: &NoRecords) -> Result<Said, Cause> {
        if *nothing.query != *query {
            return Err(Cause::Network);
        }
        let exists = match nothing.response_code {
            ResponseCode::NXDomain => false,
            // RFC 2308 §2.2: name servers without a SOA are a referral. This server does not resolve.
            ResponseCode::NoError if nothing.ns.is_some() && nothing.soa.is_none() => {
                return Err(Cause::ServerFailure);
            }
            ResponseCode::NoError => true,
            _ => return Err(Cause::ServerFailure),
        };
        Ok(Said::Nothing {
            exists,
            negative_ttl: nothing.negative_ttl,
        })
    }
}
