//! What the answer of a server says about a name.

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsResponse, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData};

use crate::dns::Cause;
use crate::dns::lookup::{DnsName, Record, RecordType};
use crate::dns::wire::{dns_name, record};

/// How many are followed, as in a [`Zone`](crate::dns::Zone).
pub(super) const MAX_CNAMES: usize = 8;
/// How many records of an answer are kept.
const MAX_RECORDS: usize = 128;

/// What an answer says about the name that was asked for.
pub(super) enum Said {
    Records {
        records: Vec<Record>,
        /// The names to which CNAMEs led.
        aliases: Vec<DnsName>,
        /// The lowest on the way, in seconds.
        ttl: u32,
    },
    /// The name is another name for `target`, about which the answer says no more.
    Alias {
        target: Name,
        aliases: Vec<DnsName>,
        ttl: u32,
    },
    Nothing {
        exists: bool,
        /// In seconds.
        negative_ttl: Option<u32>,
        aliases: Vec<DnsName>,
    },
}

impl Said {
    /// Reads the answer to `query`, or the reason why there is none.
    pub(super) fn read(
        query: &Query,
        kind: RecordType,
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
            ResponseCode::NoError => Said::read_answers(query, kind, &response),
            // RFC 6604 §2.1: the code is about the last name of a chain.
            ResponseCode::NXDomain => {
                let chain = response.answers.iter().map(|record| record.ttl).min();
                let negative = response.negative_ttl();
                Ok(Said::Nothing {
                    exists: false,
                    negative_ttl: negative.map(|ttl| ttl.min(chain.unwrap_or(ttl))),
                    aliases: chain_of(query, &response),
                })
            }
            _ => Err(Cause::ServerFailure),
        }
    }

    /// Follows the CNAMEs within the answer section, in whatever order they stand.
    fn read_answers(query: &Query, kind: RecordType, message: &Message) -> Result<Said, Cause> {
        let mut name = query.name();
        let mut aliases: Vec<DnsName> = Vec::new();
        let mut ttl = u32::MAX;
        loop {
            let own = message.answers.iter().filter(|record| record.name == *name);
            let mut records = Vec::new();
            let mut target = None;
            for answer in own {
                if let RData::CNAME(cname) = &answer.data {
                    target = Some(&cname.0);
                    ttl = ttl.min(answer.ttl);
                } else if let Some(record) = record(&answer.data, kind)
                    && records.len() < MAX_RECORDS
                {
                    records.push(record);
                    ttl = ttl.min(answer.ttl);
                }
            }
            match target {
                _ if !records.is_empty() => {
                    return Ok(Said::Records {
                        records,
                        aliases,
                        ttl,
                    });
                }
                Some(_) if aliases.len() == MAX_CNAMES => return Err(Cause::ServerFailure),
                Some(target) => {
                    aliases.push(dns_name(target).ok_or(Cause::ServerFailure)?);
                    name = target;
                }
                None if !aliases.is_empty() => {
                    let target = name.clone();
                    return Ok(Said::Alias {
                        target,
                        aliases,
                        ttl,
                    });
                }
                None => {
                    return Ok(Said::Nothing {
                        exists: true,
                        negative_ttl: None,
                        aliases,
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
            aliases: Vec::new(),
        })
    }
}

/// The names to which the CNAMEs of an answer lead.
fn chain_of(query: &Query, message: &Message) -> Vec<DnsName> {
    let mut name = query.name();
    let mut aliases = Vec::new();
    while aliases.len() < MAX_CNAMES {
        let target = message
            .answers
            .iter()
            .find_map(|record| match &record.data {
                RData::CNAME(cname) if record.name == *name => Some(&cname.0),
                _ => None,
            });
        let Some((target, alias)) = target.and_then(|target| Some((target, dns_name(target)?)))
        else {
            break;
        };
        aliases.push(alias);
        name = target;
    }
    aliases
}
