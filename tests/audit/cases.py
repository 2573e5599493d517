"""The domains under audit: each is the right domain with one change.

They are described in testdata/audit/*.txt, whose README says how. A case is `[name]` and lines of `key: value`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CASES = ROOT / "testdata/audit"
TLD = "test"

# Every word of the audit, under its check, with the result that it has; those under `*` may stand under any.
WORDS = {
    "*": {"unknown": "no-answer no-connection no-sending-address no-authorities recipient-unclear client-refused"},
    "reverse-dns": {"fail": "ptr-missing ptr-not-confirmed", "warning": "ptr-generic ptr-not-greeting"},
    "greeting": {
        "fail": "greeting-not-qualified greeting-unresolvable greeting-refused not-smtp",
        "warning": "greeting-not-leading-back greeting-names-differ",
    },
    "starttls": {
        "fail": "starttls-missing starttls-broken certificate-expired certificate-not-yet-valid certificate-wrong-name certificate-untrusted",
        "warning": "starttls-nothing-common certificate-other-name certificate-unproven certificate-expires-soon",
    },
    "mx": {"fail": "mx-none mx-null-not-alone mx-unresolvable mx-cname mx-address mx-private", "warning": "mx-null-sends mx-missing"},
    "spf": {
        "fail": """spf-missing spf-several spf-syntax spf-too-many-lookups spf-too-many-voids spf-include-missing spf-loop spf-too-many-mx
            spf-allows-all spf-address-refused""",
        "warning": "spf-long spf-near-limit spf-void spf-ptr spf-wide spf-no-end spf-after-all spf-redirect-ignored spf-type99 spf-unknown-modifier",
    },
    "sender-id": {"warning": "sender-id-obsolete"},
    "dkim": {"fail": "dkim-no-key dkim-record-wrong", "warning": "dkim-none-found dkim-record-doubtful"},
    "domainkeys": {"warning": "domainkeys-policy domainkeys-granularity"},
    "dmarc": {
        "fail": "dmarc-missing dmarc-several dmarc-syntax dmarc-destination-refused",
        "warning": """dmarc-invalid-tag dmarc-unknown-tag dmarc-obsolete-tag dmarc-policy-none dmarc-subdomain-policy-weaker dmarc-testing
            dmarc-no-reports dmarc-doubtful dmarc-psd""",
    },
    "arc": {"warning": "arc-no-key"},
    "mta-sts": {
        "fail": """mta-sts-several mta-sts-syntax mta-sts-unreachable mta-sts-certificate mta-sts-redirect mta-sts-policy-syntax
            mta-sts-mx-not-covered""",
        "warning": "mta-sts-missing mta-sts-policy-type mta-sts-mx-left-out mta-sts-mode-none mta-sts-mode-testing mta-sts-short",
    },
    "tls-rpt": {"fail": "tls-rpt-several tls-rpt-syntax", "warning": "tls-rpt-missing"},
    "dane": {"fail": "dane-insecure dane-syntax dane-mismatch", "warning": "dane-usage dane-partial"},
    "bimi": {"fail": "bimi-several bimi-syntax bimi-not-https bimi-dmarc-weak", "warning": "bimi-no-certificate"},
    "dnssec": {"fail": "dnssec-bogus", "warning": "dnssec-unsigned"},
    "caa": {"warning": "caa-forbids caa-critical"},
    "block-lists": {"fail": "listed-address listed-domain", "warning": "listed-backscatter listed-minor", "unknown": "lists-silent"},
    "network": {"warning": "address-not-announced"},
    "open-relay": {"fail": "relay-open"},
    "backscatter": {"warning": "unknown-recipient-accepted"},
    "role-addresses": {"fail": "postmaster-refused", "warning": "abuse-refused"},
    "providers": {},
}
# A word, with the check that it belongs to and its result.
KNOWN = {word: (check, result) for check, some in WORDS.items() for result, words in some.items() for word in words.split()}

ONCE = {"why", "server", "certificate", "web", "dnssec", "fake", "says", "args", "selectors"}
REPEATED = {"postfix", "policy", "set", "add", "del", "expect", "mend", "after"}


@dataclass
class Case:
    name: str
    group: str
    number: int = 0
    why: str = ""
    # `shared`, `own` (a greeting, addresses and PTR records of its own), or none of ours (the zone says where).
    server: str = "shared"
    certificate: str = "right"
    web: str = "right"
    dnssec: str = "signed"
    fake: str = ""
    says: str = ""
    args: str = ""
    selectors: str = "mail ed"
    postfix: list = field(default_factory=list)
    policy: list = field(default_factory=list)
    # (verb, rest) in the order of the file.
    changes: list = field(default_factory=list)
    expect: list = field(default_factory=list)
    mend: list = field(default_factory=list)
    after: list = field(default_factory=list)

    @property
    def domain(self):
        return f"{self.name}.{TLD}"

    @property
    def mx(self):
        return f"mx.{self.domain}"

    @property
    def own(self):
        """Whether it has a server with addresses of its own."""
        return self.server == "own" or bool(self.postfix or self.fake) or self.certificate != "right"

    @property
    def findings(self):
        return {(one.check, one.word) for one in self.expect}

    @property
    def result(self):
        results = {KNOWN[word][1] for _, word in self.findings}
        return next((result for result in ("fail", "unknown", "warning") if result in results), "pass")

    @property
    def exit(self):
        return {"fail": 1, "unknown": 75}.get(self.result, 0)


@dataclass(frozen=True)
class Finding:
    check: str
    word: str
    reason: str = ""


def load():
    cases = [case for path in sorted(CASES.glob("*.txt")) for case in parse(path)]
    names = [case.name for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SystemExit(f"two cases of one name: {', '.join(sorted(twice))}")
    for number, case in enumerate(cases):
        case.number = number
    return cases


def parse(path):
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[([a-z0-9-]+)\]", line):
            cases.append(Case(match[1], path.stem))
            continue
        match = re.fullmatch(r"([a-z]+)(?:\*([0-9]+))?:(.*)", line)
        require(where, cases and match, "neither [name] nor key: value")
        for turn in range(int(match[2] or 1)):
            value = match[3].strip()
            read(where, cases[-1], match[1], value.replace("{n}", str(turn)) if match[2] else value)
    for case in cases:
        require(path.name, case.why, f"{case.name} has no why")
    return cases


def read(where, case, key, value):
    require(where, key in ONCE | REPEATED, f"unknown key {key}")
    if key in ("set", "add", "del"):
        case.changes.append((key, value))
    elif key in ("expect", "after"):
        getattr(case, key).append(finding(where, value))
    elif key in REPEATED:
        getattr(case, key).append(value)
    else:
        require(where, getattr(case, key) == getattr(Case("", ""), key), f"{key} stands twice, or says what is so anyhow")
        setattr(case, key, value)


def finding(where, value):
    """`WORD`, or `CHECK/WORD` where it does not stand in the check that it belongs to; behind a blank why it comes with the fault."""
    name, _, reason = value.partition(" ")
    check, slash, word = name.rpartition("/")
    require(where, word in KNOWN, f"unknown word {word}")
    own = KNOWN[word][0]
    require(where, check in WORDS if slash else own != "*", f"the check of {name}")
    return Finding(check if slash else own, word, reason.strip())


def require(where, holds, problem):
    if not holds:
        raise SystemExit(f"{where}: {problem}")
