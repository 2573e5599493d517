//! What the large providers ask of those who send to them, filled in from what the other checks have found.
//!
//! It has no findings of its own: what is wrong was told once. As of the rules of 2024 and 2025; who sends some 5,000
//! messages a day to one of them counts as a bulk sender.

use serde_json::{Value, json};

use super::Grade;
use super::finding::CheckReport;

const NAME: &str = "providers";

const GMAIL: &str = "Gmail";
const YAHOO: &str = "Yahoo";
const MICROSOFT: &str = "Microsoft";
const APPLE: &str = "Apple";

/// Something that providers ask for.
struct Item {
    /// Who.
    providers: &'static [&'static str],
    /// What.
    item: &'static str,
    /// Whether only of bulk senders.
    bulk: bool,
    /// How it can be known.
    seen: Seen,
}

/// How it can be known whether it is met.
enum Seen {
    /// A check knows.
    By(&'static By),
    /// One of two is enough.
    Either(&'static By, &'static By),
    /// Not from outside: where to look instead.
    Elsewhere(&'static str),
}

/// A check that knows, and by which of its words.
struct By {
    check: &'static str,
    /// With one of these it is not met.
    fails: &'static [&'static str],
    /// With one of these it nearly is.
    nearly: &'static [&'static str],
    /// With one of these nobody can tell.
    unknown: &'static [&'static str],
}

static SPF: By = By {
    check: "spf",
    fails: &[
        "spf-missing",
        "spf-several",
        "spf-syntax",
        "spf-too-many-lookups",
        "spf-too-many-voids",
        "spf-include-missing",
        "spf-loop",
        "spf-too-many-mx",
        "spf-address-refused",
    ],
    nearly: &["spf-allows-all"],
    unknown: &["no-answer"],
};

static DKIM: By = By {
    check: "dkim",
    fails: &["dkim-no-key", "dkim-record-wrong"],
    nearly: &["dkim-record-doubtful"],
    unknown: &["dkim-none-found", "no-answer"],
};

static ITEMS: [Item; 15] = [
    Item {
        providers: &[GMAIL, YAHOO],
        item: "SPF or DKIM vouches for the mail, whoever sends it",
        bulk: false,
        seen: Seen::Either(&SPF, &DKIM),
    },
    Item {
        providers: &[GMAIL, YAHOO, MICROSOFT, APPLE],
        item: "SPF lets all addresses send that do, and can be evaluated",
        bulk: true,
        seen: Seen::By(&SPF),
    },
    Item {
        providers: &[GMAIL, YAHOO, MICROSOFT, APPLE],
        item: "mail is signed with DKIM, and the key is published, with 1024 bits at least",
        bulk: true,
        seen: Seen::By(&DKIM),
    },
    Item {
        providers: &[GMAIL, YAHOO, MICROSOFT, APPLE],
        item: "there is a DMARC policy, p=none at least",
        bulk: true,
        seen: Seen::By(&By {
            check: "dmarc",
            fails: &["dmarc-missing", "dmarc-several", "dmarc-syntax"],
            nearly: &[],
            unknown: &["no-answer"],
        }),
    },
    Item {
        providers: &[GMAIL, YAHOO, MICROSOFT],
        item: "the domain in From is that of SPF or DKIM, as DMARC wants it (alignment)",
        bulk: true,
        seen: Seen::Elsewhere("`dkimkit verify` tells it of a message that was received"),
    },
    Item {
        providers: &[GMAIL, YAHOO, APPLE],
        item: "each sending address has a name (PTR) that leads back to it",
        bulk: false,
        seen: Seen::By(&By {
            check: "reverse-dns",
            fails: &["ptr-missing", "ptr-not-confirmed"],
            nearly: &[],
            unknown: &["no-answer", "no-sending-address"],
        }),
    },
    Item {
        providers: &[YAHOO],
        item: "the name of a sending address does not look like one of a dial-up",
        bulk: false,
        seen: Seen::By(&By {
            check: "reverse-dns",
            fails: &[],
            nearly: &["ptr-missing", "ptr-generic"],
            unknown: &["no-answer", "no-sending-address"],
        }),
    },
    Item {
        providers: &[GMAIL],
        item: "mail is handed over with TLS",
        bulk: false,
        seen: Seen::Elsewhere("the Received field of a message that they got tells it"),
    },
    Item {
        providers: &[GMAIL, YAHOO, APPLE],
        item: "messages have the form of RFC 5322",
        bulk: false,
        seen: Seen::Elsewhere("`dkimkit lint` tells it of a message"),
    },
    Item {
        providers: &[GMAIL, APPLE],
        item: "who forwards mail seals it with ARC",
        bulk: false,
        seen: Seen::By(&By {
            check: "arc",
            fails: &[],
            nearly: &[],
            unknown: &["arc-no-key"],
        }),
    },
    Item {
        providers: &[MICROSOFT],
        item: "the address in From or Reply-To can get answers",
        bulk: true,
        seen: Seen::By(&By {
            check: "mx",
            fails: &["mx-none", "mx-unresolvable"],
            nearly: &["mx-missing", "mx-null-sends"],
            unknown: &["no-answer"],
        }),
    },
    Item {
        providers: &[GMAIL, YAHOO],
        item: "lists and advertising can be left with one click (RFC 8058), and that counts within two days",
        bulk: true,
        seen: Seen::Elsewhere(
            "List-Unsubscribe with https: and List-Unsubscribe-Post stand in the message, and DKIM signs both",
        ),
    },
    Item {
        providers: &[MICROSOFT, APPLE],
        item: "lists and advertising have a link in plain sight to leave them",
        bulk: true,
        seen: Seen::Elsewhere("look at a message"),
    },
    Item {
        providers: &[GMAIL, YAHOO],
        item: "fewer than 0.3 % of the messages are called spam by those who get them; 0.1 % is the aim",
        bulk: true,
        seen: Seen::Elsewhere("the Postmaster Tools of Google and the Sender Hub of Yahoo show it"),
    },
    Item {
        providers: &[MICROSOFT, APPLE],
        item: "mail goes only to those who want it, and addresses that do not exist are no longer written to",
        bulk: true,
        seen: Seen::Elsewhere("their error replies in the logs of the mail server tell it"),
    },
];

/// Where providers tell of what they think of a sender: whose, what for, where.
const LINKS: [(&str, &str, &str); 23] = [
    (GMAIL, "rules", "https://support.google.com/a/answer/81126"),
    (
        GMAIL,
        "questions about the rules",
        "https://support.google.com/a/answer/14229414",
    ),
    (
        GMAIL,
        "postmaster tools, with the feedback loop by Feedback-ID",
        "https://postmaster.google.com/",
    ),
    (
        GMAIL,
        "help for bulk senders whose mail is refused",
        "https://support.google.com/mail/contact/gmail_bulk_sender_escalation",
    ),
    (
        YAHOO,
        "rules",
        "https://senders.yahooinc.com/best-practices/",
    ),
    (YAHOO, "postmaster tools", "https://senders.yahooinc.com/"),
    (
        YAHOO,
        "feedback loop, by the domain that signs",
        "https://senders.yahooinc.com/complaint-feedback-loop/",
    ),
    (
        YAHOO,
        "error codes",
        "https://senders.yahooinc.com/smtp-error-codes",
    ),
    (YAHOO, "help", "https://senders.yahooinc.com/contact-us/"),
    (
        MICROSOFT,
        "services for senders to Outlook.com",
        "https://sendersupport.olc.protection.outlook.com/pm/services.aspx",
    ),
    (
        MICROSOFT,
        "what errors mean",
        "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting.aspx",
    ),
    (
        MICROSOFT,
        "postmaster tools, by address (SNDS)",
        "https://sendersupport.olc.protection.outlook.com/snds/",
    ),
    (
        MICROSOFT,
        "feedback loop, by address (JMRP)",
        "https://sendersupport.olc.protection.outlook.com/snds/JMRP.aspx",
    ),
    (
        MICROSOFT,
        "delisting at Outlook.com",
        "https://support.microsoft.com/supportrequestform/8ad563e3-288e-2a61-8122-3ba03d6b8d75",
    ),
    (
        MICROSOFT,
        "delisting at Microsoft 365",
        "https://sender.office.com/",
    ),
    (
        APPLE,
        "rules; there is no feedback loop",
        "https://support.apple.com/en-us/102322",
    ),
    ("Comcast", "postmaster", "https://postmaster.comcast.net/"),
    (
        "Comcast, Gandi, La Poste, SFR and others",
        "feedback loops, by way of Validity",
        "https://fbl.validity.com/",
    ),
    (
        "GMX and WEB.DE",
        "rules",
        "https://postmaster.gmx.net/en/requirements-and-recommendations",
    ),
    (
        "GMX and WEB.DE",
        "help and delisting",
        "https://postmaster.gmx.net/en/contact",
    ),
    ("Mail.ru", "postmaster tools", "https://postmaster.mail.ru/"),
    (
        "Orange",
        "postmaster",
        "https://postmaster.orange.fr/index.html",
    ),
    (
        "Yandex",
        "postmaster tools",
        "https://postmaster.yandex.ru/",
    ),
];

/// Fills the list in. It always passes: what is wrong counts where it was found.
pub(super) fn judge(reports: &[CheckReport]) -> CheckReport {
    let mut items = Vec::new();
    let mut results = Vec::new();
    for item in &ITEMS {
        let (result, because) = item.judge(reports);
        results.push(result);
        let look = match item.seen {
            Seen::By(_) | Seen::Either(..) => None,
            Seen::Elsewhere(look) => Some(look),
        };
        items.push(json!({
            "providers": item.providers,
            "item": item.item,
            "bulk": item.bulk,
            "result": result,
            "because": because,
            "look": look,
        }));
    }
    let count = |grade| results.iter().filter(|result| **result == grade).count();
    let (failed, unknown) = (count(Grade::Fail), count(Grade::Unknown));
    let all = results.len();
    let sentence = match failed {
        0 => format!(
            "of {all} things that the large providers ask for, none is missing that can be seen from outside; {unknown} cannot"
        ),
        _ => format!(
            "of {all} things that the large providers ask for, {failed} are missing, and {unknown} cannot be seen from outside"
        ),
    };
    let links =
        LINKS.map(|(provider, what, url)| json!({"provider": provider, "what": what, "url": url}));
    CheckReport::new(NAME, sentence, Vec::new())
        .fact("items", items)
        .fact("links", Value::from(links.to_vec()))
}

impl Item {
    /// Whether it is met, and the findings for which it is not.
    fn judge(&self, reports: &[CheckReport]) -> (Grade, Vec<String>) {
        match &self.seen {
            Seen::By(by) => by.judge(reports),
            Seen::Either(one, other) => {
                let (one, other) = (one.judge(reports), other.judge(reports));
                if one.0 <= other.0 { one } else { other }
            }
            Seen::Elsewhere(_) => (Grade::Unknown, Vec::new()),
        }
    }
}

impl By {
    fn judge(&self, reports: &[CheckReport]) -> (Grade, Vec<String>) {
        let check = self.check;
        let Some(report) = reports.iter().find(|report| report.check == check) else {
            return (Grade::Unknown, Vec::new());
        };
        let words = [
            (Grade::Fail, self.fails),
            (Grade::Unknown, self.unknown),
            (Grade::Warning, self.nearly),
        ];
        for (grade, words) in words {
            let found = report
                .findings
                .iter()
                .filter(|found| words.contains(&found.finding));
            let mut because: Vec<String> = found
                .map(|found| format!("{check}/{}", found.finding))
                .collect();
            because.dedup();
            if !because.is_empty() {
                return (grade, because);
            }
        }
        (Grade::Pass, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::super::WORDS;
    use super::super::finding::Finding;
    use super::*;

    fn report(check: &'static str, words: &[&'static str]) -> CheckReport {
        let finding = |word: &&'static str| Finding::new(word, "x", "x", "x");
        CheckReport::new(check, "", words.iter().map(finding).collect())
    }

    #[test]
    fn what_others_found_is_told_and_not_counted_twice() {
        let found = judge(&[
            report("spf", &["spf-near-limit"]),
            report("dkim", &["dkim-none-found"]),
            report("dmarc", &["dmarc-missing"]),
            report("reverse-dns", &["ptr-generic"]),
        ]);
        let results: Vec<&str> = found.facts["items"].as_array().unwrap()[..7]
            .iter()
            .map(|item| item["result"].as_str().unwrap())
            .collect();
        assert_eq!(
            results,
            [
                "pass", "pass", "unknown", "fail", "unknown", "pass", "warning"
            ]
        );
        assert_eq!(found.facts["items"][3]["because"][0], "dmarc/dmarc-missing");
        assert_eq!(found.result, Grade::Pass);
        assert!(found.findings.is_empty());
        assert_eq!(judge(&[]).result, Grade::Pass);
    }

    #[test]
    fn who_sends_little_needs_one_of_two() {
        let first = |spf: &'static str, dkim: &'static str| {
            let found = judge(&[report("spf", &[spf]), report("dkim", &[dkim])]);
            let item = &found.facts["items"][0];
            (
                item["bulk"].clone(),
                item["result"].as_str().unwrap().to_owned(),
            )
        };
        assert_eq!(first("spf-missing", "dkim-record-doubtful").1, "warning");
        assert_eq!(first("spf-missing", "dkim-no-key").1, "fail");
        assert_eq!(first("spf-missing", "dkim-none-found").1, "unknown");
        assert_eq!(
            first("spf-near-limit", "dkim-no-key"),
            (false.into(), "pass".to_owned())
        );
    }

    #[test]
    fn the_words_are_those_of_the_checks() {
        for item in &ITEMS {
            let by = match &item.seen {
                Seen::By(by) => vec![*by],
                Seen::Either(one, other) => vec![*one, *other],
                Seen::Elsewhere(_) => continue,
            };
            for word in by
                .iter()
                .flat_map(|by| [by.fails, by.nearly, by.unknown].concat())
            {
                let row = WORDS.iter().find(|row| row.0 == word);
                let row = row.unwrap_or_else(|| panic!("{word} is in no table"));
                assert!(
                    row.1 == "*" || by.iter().any(|by| row.1 == by.check),
                    "{word}"
                );
            }
            let fails = by.iter().flat_map(|by| by.fails);
            // What is missing was told as a failure.
            assert!(fails.into_iter().all(|word| {
                WORDS
                    .iter()
                    .any(|row| row.0 == *word && row.2 == Grade::Fail)
            }));
        }
    }
}
