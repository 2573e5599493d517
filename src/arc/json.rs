//! Reports on chains as JSON, in the form of `arc verify --json`.

use serde::Serialize;

use super::fields::ChainStatus;
use super::report::{ArcReport, FieldFailure, FieldReport, SetReport, unreadable};
use crate::header::FieldNames;
use crate::message::SplitError;
use crate::report::{Failure, finite, lower_case, spaced_json};

/// The report on the chain of a message, in the form of `arc verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// The file that it came from.
    pub file: String,
    /// Its number in an mbox, counted from 1.
    pub message: Option<u64>,
    /// `none`, `pass`, `fail`, `temperror`; `permerror` for a message that cannot be read.
    pub result: &'static str,
    /// Why it does not pass.
    pub reason: Option<&'static str>,
    /// The same in words.
    pub detail: String,
    /// See [`ArcReport::oldest_pass`].
    pub oldest_pass: Option<u8>,
    /// The sets, from 1 to N.
    pub instances: Vec<InstanceReport>,
}

/// A set in the form of `arc verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceReport {
    /// i=
    pub instance: u8,
    /// ARC-Seal
    pub seal: Option<SealReport>,
    /// ARC-Message-Signature
    pub message_signature: Option<MessageSignatureReport>,
    /// ARC-Authentication-Results, behind i=
    pub authentication_results: Option<String>,
}

/// A signature of a set in the form of `arc verify --json`; what is not known is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetSignatureReport {
    /// `pass`, `fail`, `policy`, `temperror`, `permerror` or `neutral`.
    pub result: &'static str,
    /// Why it does not pass.
    pub reason: Option<&'static str>,
    /// The same in words.
    pub detail: Option<String>,
    /// d=
    pub domain: Option<String>,
    /// s=
    pub selector: Option<String>,
    /// a=
    pub algorithm: Option<&'static str>,
    /// The size of the key in bits.
    pub key_bits: Option<usize>,
    /// t=
    pub timestamp: Option<u64>,
}

/// A seal in the form of `arc verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealReport {
    /// What both signatures of a set have.
    #[serde(flatten)]
    pub signature: SetSignatureReport,
    /// cv=
    pub cv: Option<&'static str>,
}

/// A message signature in the form of `arc verify --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageSignatureReport {
    /// What both signatures of a set have.
    #[serde(flatten)]
    pub signature: SetSignatureReport,
    /// c=
    pub canonicalization: Option<String>,
    /// h=, in lower case
    #[serde(serialize_with = "lower_case")]
    pub signed_fields: Option<FieldNames>,
}

impl ChainReport {
    /// The report on a message whose header could be read.
    pub fn new(file: String, report: &ArcReport) -> ChainReport {
        ChainReport {
            file,
            message: None,
            result: report.result().as_str(),
            reason: report.reason(),
            detail: report.detail(),
            oldest_pass: report.oldest_pass,
            instances: report.sets.iter().map(InstanceReport::new).collect(),
        }
    }

    /// The report on a message that could not be cut into header and body.
    ///
    /// ```
    /// use dkimkit::arc::ChainReport;
    /// use dkimkit::message::SplitError;
    /// let report = ChainReport::unreadable("a.eml".to_owned(), SplitError::NotAField { line: 1 });
    /// assert!(report.to_json().starts_with(r#"{"file": "a.eml", "message": null, "result": "permerror","#));
    /// ```
    pub fn unreadable(file: String, error: SplitError) -> ChainReport {
        let failure = Failure::Message(error);
        ChainReport {
            file,
            message: None,
            result: unreadable(error).as_str(),
            reason: Some(failure.reason()),
            detail: failure.to_string(),
            oldest_pass: None,
            instances: Vec::new(),
        }
    }

    /// The report as one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        spaced_json(self)
    }
}

impl InstanceReport {
    fn new(set: &SetReport) -> InstanceReport {
        InstanceReport {
            instance: set.instance,
            seal: set.seal.as_ref().map(|seal| SealReport {
                signature: SetSignatureReport::new(seal),
                cv: set.status.map(ChainStatus::as_str),
            }),
            message_signature: set.message_signature.as_ref().map(|signature| {
                MessageSignatureReport {
                    signature: SetSignatureReport::new(signature),
                    canonicalization: signature.claims.canonicalization.map(|c| c.to_string()),
                    signed_fields: signature.claims.signed_headers.clone(),
                }
            }),
            authentication_results: set.authentication_results.clone(),
        }
    }
}

impl SetSignatureReport {
    fn new(field: &FieldReport) -> SetSignatureReport {
        let claims = &field.claims;
        let failure = field.failure.as_ref();
        SetSignatureReport {
            result: field.result().as_str(),
            reason: failure.map(FieldFailure::reason),
            detail: failure.map(FieldFailure::detail),
            domain: claims.domain.as_ref().map(|d| d.as_str().to_owned()),
            selector: claims.selector.as_ref().map(|s| s.as_str().to_owned()),
            algorithm: claims.algorithm.map(|a| a.as_str()),
            key_bits: field.key.and_then(|k| k.bits),
            timestamp: claims.timestamp.and_then(finite),
        }
    }
}
