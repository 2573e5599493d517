use super::super::super::testing::{apply, judge, words};
use super::{chain, zone};

#[test]
fn several_records_become_one() {
    let zone = format!(
        "{}\nexample.org. TXT \"v=spf1 ip4:192.88.2.1 mx ~all\"",
        zone("v=spf1 mx -all")
    );
    let report = judge("spf", &zone);
    assert_eq!(words(&report), ["spf-several"]);
    assert_eq!(
        report.findings[0].publish[0].value,
        "v=spf1 mx ip4:192.88.2.1 ~all"
    );
    assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
}

#[test]
fn the_record_of_several_can_be_evaluated() {
    for (records, after) in [
        (
            [
                "v=spf1 mx exp=e.example.org -all",
                "v=spf1 a:mx.example.org exp=f.example.org -all",
            ],
            "v=spf1 mx a:mx.example.org -all exp=e.example.org",
        ),
        // What does not count comes to no life.
        (
            [
                "v=spf1 mx -all redirect=_spf.example.net",
                "v=spf1 mx -all ip4:192.88.2.1",
            ],
            "v=spf1 mx -all",
        ),
        (
            ["v=spf1 redirect=_spf.example.net", "v=spf1 mx -all"],
            "v=spf1 include:_spf.example.net mx ~all",
        ),
        // A redirect counts behind all else of its record, wherever it stands there.
        (
            [
                "v=spf1 redirect=_spf.example.net -ip4:192.88.2.7",
                "v=spf1 mx -all",
            ],
            "v=spf1 -ip4:192.88.2.7 include:_spf.example.net mx ~all",
        ),
        // Nobody might send.
        (["v=spf1 ?all", "v=spf1 -all"], ""),
        // Each alone needs ten lookups at most.
        (
            [
                "v=spf1 mx include:c6.example.net -all",
                "v=spf1 include:d6.example.net -all",
            ],
            "",
        ),
    ] {
        let others: String = (1..=6)
            .map(|at| {
                let next = if at == 1 {
                    "ip4:192.88.3.1".to_owned()
                } else {
                    format!("include:d{}.example.net", at - 1)
                };
                format!("d{at}.example.net. TXT \"v=spf1 {next} -all\"\n")
            })
            .collect();
        let zone = format!(
            "{}\n{}{others}example.org. TXT \"{}\"",
            zone(records[0]),
            chain(6),
            records[1]
        );
        let report = judge("spf", &zone);
        assert_eq!(words(&report), ["spf-several"], "{records:?}");
        let published = report.findings[0].publish.first();
        assert_eq!(published.map_or("", |one| &one.value), after, "{records:?}");
        if !after.is_empty() {
            assert_eq!(words(&judge("spf", &apply(&zone, &report))), [""; 0]);
        }
    }
}
