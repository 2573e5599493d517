"""The suite against itself: what is hostile stands in a page as it is, and has to be seen; and our policy has to hold
it up even so."""

import audit
import hostile
from browser import Browser
from looks import LOOKS
from trial import MADE, problems, touch
from witness import Witness

# What does nothing in a browser of today even so, and is no element either: it is text, or would be a part of another.
HARMLESS = (
    "` onmouseover=",
    "&lt;script",
    "&#60;img",
    "\\u003cimg",
    "javascript:",
    "{{constructor",
    "<frameset>",
)
# What runs nothing and loads nothing: it is seen as an element.
ELEMENTS = ("<plaintext>", "<xmp>")
# What the policy does not stop: these lead away from the page, and load nothing into it.
LEADS_AWAY = ("<meta http-equiv=refresh", "<a href='http:")


def run(pages, report):
    real = pages.of_message("real", pages.sign(hostile.simple("Subject: x", body=b"Hello.\r\n"))).read_bytes()
    audited = audit.Audits(pages).page("audited", ["x"]).read_bytes()
    heads = {"explain": real.split(b"<body>", 1)[0], "audit": audited.split(b"<body>", 1)[0]}
    policed = heads["explain"]
    bare = b"<!DOCTYPE html><html><head><title>x</title><style></style></head>"
    netlog = pages.place / "netlog.json"
    witness = Witness()
    browser = Browser(netlog)
    browser.size(390, phone=True)

    def show(head, text):
        page = pages.place / "planted.html"
        page.write_bytes(head + b"<body><h1>x</h1>" + text + b"<footer></footer></body></html>")
        browser.open(page)
        browser.evaluate("document.querySelector('a, button')?.click()")
        touch(browser)
        browser.settle(0.2)
        ran = any(method in ("Runtime.bindingCalled", "Runtime.exceptionThrown") for method, _ in browser.events)
        heard = bool(witness.canaries())
        return problems(browser, page, witness, None), ran, heard, browser.evaluate(MADE)

    try:
        report.group("nothing planted")
        for head in (bare, policed):
            report.same("nothing is seen", show(head, b"<p>x</p>"), ([], False, False, []))
        report.group("planted without a policy")
        for text in hostile.markup():
            places = [f"<p>{text}</p>", f'<p class="{text}">x</p>', f"<p class='{text}'>x</p>"]
            seen = [show(bare, place.encode()) for place in (places if text[0] in "\"'`" else places[:1])]
            harmless = text.startswith(HARMLESS)
            elements = text.startswith(ELEMENTS)
            report.same(f"{text!r} does something", any(problem for problem, *_ in seen), not harmless and not elements)
            report.same(f"{text!r} is something", any(made for *_, made in seen), not harmless)
        report.true("the log of the network has it", b"canary" in netlog.read_bytes())
        for verb, head in heads.items():
            report.group(f"planted in our page of {verb}, with its policy")
            for text in hostile.markup():
                problem, ran, heard, _ = show(head, f"<p>{text}</p>".encode())
                report.same(f"{text!r} does not run", ran, False)
                report.same(f"{text!r} loads something", heard, text.startswith(LEADS_AWAY))
        report.group("what cannot be read well")
        wide = b"<p style='white-space:pre;color:#999'>" + b"W" * 500 + b"</p>"
        show(bare, wide)
        wrong = " ".join(browser.evaluate(LOOKS))
        report.true("a page that is too wide is seen", " wide in a window of " in wrong, wrong)
        report.true("a low contrast is seen", "contrast of 2.8" in wrong, wrong)
    finally:
        browser.close()
        witness.close()
