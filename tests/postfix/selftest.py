"""The laboratory against itself: OpenDKIM does what our milter is to do, but for what stands here.

A check that is named here has to fail, so that the list stays true.
"""

import re

from report import Report

# Patterns of checks, and why OpenDKIM 2.11 fails them.
DIFFERS = {
    r"forged, (nested comments|a final dot|no result|no semicolon)": "it does not see that this is its own id",
    r"forged, another of our names": "it is not told of further ids here",
    r"all at once: (ours|none is left)": "as above",
    r"(servfail|silent) is tried later": "a message with an Ed25519 signature is accepted",
    r"none is quarantined|and not delivered": "it quarantines only what fails",
    r"utf8-(author|local-part)(: signed| \(.*\))": "a U-label is not looked up as its A-label",
    r"bare-cr, at port 2502: pass": "it hashes a bare CR as a line end",
    r"judge": "it quarantines only what fails",
    r"negotiate": "it takes steps that are not on offer",
}


class SelfTest(Report):
    def add(self, what, problem):
        reason = next((reason for pattern, reason in DIFFERS.items() if re.fullmatch(pattern, what)), None)
        if reason is None:
            super().add(what, problem)
        else:
            super().add(f"{what}, where OpenDKIM differs ({reason})", None if problem else "it does not differ")
