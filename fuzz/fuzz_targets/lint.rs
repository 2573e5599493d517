//! What will break in transit: the same findings at every cut, each at a place that there is; bytes and lines
//! counted as a model counts them; no word at more than three places; what is said can be printed and read.

#![no_main]

use dkimkit::canon::Canonicalization;
use dkimkit::lint::{Fault, Finding, LineEnd, LintOptions, LintReport, Linter, Origin, Planned};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::signature::{FIELD_NAME, Signature, SignatureLimits};
use dkimkit_fuzz::{chunks, steered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (message, mut steering) = steered(data);
    let steps = steering.steps();
    let Ok((header, body)) = split(message, HeaderLimits::default()) else {
        return;
    };
    let body_at = (message.len() - body.len()) as u64;
    let canons = ["simple/simple", "relaxed/relaxed"];
    let line_end = [LineEnd::CrLf, LineEnd::Lf][steering.below(2)];
    let mut options = LintOptions {
        planned: Vec::new(),
        canonicalization: Canonicalization::from_tag(canons[steering.below(2)]),
        origin: Origin {
            lines_before: 0,
            body_at: Some(body_at),
            line_end,
            bare_lf_in_header: 0,
        },
    };
    if steering.flag() {
        // What stands there is what is about to be made.
        let fields = header.fields().filter(|f| f.is(FIELD_NAME)).take(3);
        options.planned.extend(fields.filter_map(|field| {
            let parsed = Signature::parse(field.value(), SignatureLimits::default());
            let claims = (&parsed.ok()?.0).into();
            Some(Planned {
                claims,
                key_bits: 1024,
            })
        }));
    }
    let mut whole = Linter::new(&header, &options);
    whole.write(body);
    let whole = whole.finish();
    let mut chunked = Linter::new(&header, &options);
    chunks(body, steps).for_each(|chunk| chunked.write(chunk));
    assert_eq!(chunked.finish(), whole);

    let lines = message.iter().filter(|b| **b == b'\n').count() as u64 + 1;
    for finding in &whole {
        assert!(finding.line.is_none_or(|line| (1..=lines).contains(&line)));
        let byte = |byte| (body_at..=message.len() as u64).contains(&byte);
        assert!(finding.byte.is_none_or(byte));
        assert!(!finding.to_string().contains(|c: char| c.is_ascii_control()));
        let same = whole.iter().filter(|f| f.fault == finding.fault);
        assert!(same.count() <= 3);
    }
    counted(header.as_bytes(), body, line_end, &whole);

    let report = LintReport::new("a".to_owned(), whole);
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json, serde_json::to_value(&report).unwrap());
});

/// What can be counted in one line of code is so.
fn counted(header: &[u8], body: &[u8], line_end: LineEnd, findings: &[Finding]) {
    let told = |fault: Fault| {
        let same = findings.iter().filter(|f| f.fault == fault);
        same.map(|f| 1 + f.more).sum::<u64>()
    };
    let in_header = |byte: u8| {
        let header = header.strip_suffix(b"\r\n").unwrap_or(header);
        // The CR before each LF belongs to the line end.
        let ends = |at: usize| header[at] == b'\r' && header.get(at + 1) == Some(&b'\n');
        let kept = (0..header.len()).filter(|at| !ends(*at));
        let kept: Vec<u8> = kept.map(|at| header[at]).collect();
        let lines = kept.split(|b| *b == b'\n');
        lines.filter(|line| line.contains(&byte)).count()
    };
    let nul = body.iter().filter(|b| **b == 0).count() + in_header(0);
    assert_eq!(told(Fault::NulByte), nul as u64);
    let bare = |at: &usize| body[*at] == b'\r' && body.get(at + 1) != Some(&b'\n');
    let bare = (0..body.len()).filter(bare).count();
    assert_eq!(told(Fault::BareCr), (bare + in_header(b'\r')) as u64);
    if line_end == LineEnd::CrLf {
        let lf = |at: &usize| body[*at] == b'\n' && (*at == 0 || body[at - 1] != b'\r');
        let count = (0..body.len()).filter(lf).count();
        assert_eq!(told(Fault::BareLf), count as u64);
    } else {
        assert_eq!(told(Fault::BareLf), 0);
    }
    let lines = body.split(|b| *b == b'\n');
    let ended = |(at, line): (usize, &[u8])| {
        let end = body.get(at + line.len()) == Some(&b'\n');
        line.len() - usize::from(end && line.ends_with(b"\r"))
    };
    let mut at = 0;
    let mut long = 0;
    for line in lines {
        long += u64::from(ended((at, line)) > 998);
        at += line.len() + 1;
    }
    assert_eq!(told(Fault::LineTooLong), long);
}
