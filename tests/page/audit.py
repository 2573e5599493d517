"""The pages of `dkimkit audit`: made of what a hostile name server says, tried, and looked at; and their button."""

import functools

import hostile
from browser import Browser
from liar import ALONE, Liar
from looks import LOOKS, sizes
from trial import MADE, try_page
from witness import Witness

SERVER = "127.0.0.53"
NOW = "2026-11-20T12:00:00Z"
# So many texts a page: each has an address of its own.
TEXTS = 12
LISTS = """\
[[list]]
name = "Example"
zone = "lists.example."
kind = "address"
listed = { "127.0.0.2" = "a source of spam" }
removal = "https://lists.example/removal"

[[list]]
name = "Names"
zone = "names.lists.example."
kind = "domain"
listed = { "127.0.0.2" = "in spam" }

[network]
ipv4 = "networks.example."
ipv6 = "networks.example."
names = "names.example."
"""
# What of a page may be touched.
TOUCHED = "summary, pre, h2, h3, button"


@functools.cache
def liar():
    """There is one, for as long as the program runs."""
    return Liar(SERVER)


class Audits:
    """Makes pages with the program."""

    def __init__(self, pages):
        self.dkimkit, self.place = pages.dkimkit, pages.place
        self.lists = self.place / "lists.toml"
        self.lists.write_text(LISTS)

    def page(self, name, texts, domain="victim.example"):
        page = self.place / f"{name}.html"
        addresses = [option for n in range(1, len(texts) + 1) for option in ("--ip", f"192.88.1.{n}")]
        asked = ("--nameserver", SERVER, "--timeout", "2s", "--budget", "10s", "--lists", self.lists, "--now", NOW)
        liar().say(texts)
        done = self.dkimkit.run("audit", domain, *addresses, *asked, "--html", page, "--force")
        if done.returncode not in (0, 1, 75) or not page.exists():
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.decode(errors='replace')}")
        return page


def cases():
    """(a name, texts, what of them has to be readable)"""
    texts = [text.replace("\n", " ") for text in hostile.markup()]
    for at in range(0, len(texts), TEXTS):
        part = texts[at : at + TEXTS]
        # What has no blank or bar stands somewhere as it is.
        yield f"audit-{at // TEXTS + 1}", part, [text for text in part if text.isprintable()]
    yield "audit-bytes", [text.replace(b"\n", b" ")[:250] for text in hostile.BYTES], []
    yield "audit-long", ["W" * 4000, "<b>" * 1000], []


NAMES = [name for name, *_ in cases()] + ["copy", "audit-looks"]


def run(pages, report, chosen):
    audits = Audits(pages)
    netlog = pages.place / "audit-netlog.json"
    witness = Witness()
    browser = Browser(netlog)
    made = MADE.replace("false /* copies */", "true")
    try:
        for name, texts, present in cases():
            if chosen and name not in chosen:
                continue
            report.group(name)
            try_page(browser, witness, report, name, audits.page(name, texts), present, title=": audited by dkimkit", made=made, touched=TOUCHED)
        if not chosen or "copy" in chosen:
            copy(audits, browser, report)
    finally:
        browser.close()
        witness.close()
    report.group("the log of the network, of audits")
    report.true("no name of theirs in it", b"canary" not in netlog.read_bytes())


def copy(audits, browser, report):
    """The buttons, with the clipboard of today and without it."""
    report.group("copy")
    page = audits.page("copy", ["x"], ALONE.decode())
    browser.call("Emulation.setFocusEmulationEnabled", enabled=True)
    for kind, before in (("with a clipboard", ""), ("without one", "Object.defineProperty(navigator, 'clipboard', {value: undefined})")):
        browser.size(390, phone=True)
        browser.open(page)
        browser.evaluate(before or "0")
        browser.evaluate("document.querySelectorAll('details').forEach((e) => e.open = true)")
        texts = browser.evaluate("[...document.querySelectorAll('.copied')].map((e) => e.querySelector('code').textContent)")
        report.true(f"{kind}: there are records", len(texts) >= 3, str(texts))
        for number, text in enumerate(texts[:12]):
            button = f"document.querySelectorAll('.copied button')[{number}]"
            point = browser.evaluate(f"{button}.scrollIntoView({{block: 'center'}}), (({{x, y, width, height}}) => [x + width / 2, y + height / 2])({button}.getBoundingClientRect())")
            browser.click(*point)
            browser.settle(0.1)
            report.same(f"{kind}: the words on button {number}", browser.evaluate(f"{button}.textContent"), "Copied")
            report.same(f"{kind}: what button {number} copies", pasted(browser), text)
        browser.settle(2.2)
        report.same(f"{kind}: the words after a while", browser.evaluate("[...new Set([...document.querySelectorAll('button')].map((e) => e.textContent))]"), ["Copy"])
    # Where no script runs there is no button, and the text can be selected.
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    report.same("without a script: buttons that are seen", browser.evaluate("[...document.querySelectorAll('button')].filter((e) => e.checkVisibility()).length"), 0)
    report.true("without a script: the record can be selected", browser.evaluate("getSelection().selectAllChildren(document.querySelector('.copied code')), getSelection().toString() !== ''"))
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def pasted(browser):
    """What the clipboard holds, as a reader would paste it; the clipboard holds something else then."""
    browser.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'})), document.getElementById('paste').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="v", code="KeyV", windowsVirtualKeyCode=86, modifiers=2, commands=["paste"])
    text = browser.evaluate("document.getElementById('paste').value")
    browser.evaluate("document.getElementById('paste').value = 'nothing', document.getElementById('paste').select(), document.execCommand('copy'), document.getElementById('paste').remove()")
    return text


def look(pages, report, shots):
    shots.mkdir(parents=True, exist_ok=True)
    audits = Audits(pages)
    browser = Browser()
    try:
        for name, texts, _ in cases():
            if name in ("audit-1", "audit-bytes", "audit-long"):
                report.group(f"{name}, as it looks")
                sizes(browser, report, name, audits.page(name, texts), shots)
        report.group("an ordinary audit, as it looks")
        sizes(browser, report, "audit", audits.page("audit", ["listed, see https://lists.example/why"], ALONE.decode()), shots, dark_shots=True)
        browser.size(1280)
        browser.evaluate("document.querySelectorAll('details').forEach((e) => e.open = true)")
        browser.screenshot(shots / "audit-opened.png", 3200)
        hidden = "[...document.querySelectorAll('.finding, .record, dl')].filter((e) => !e.checkVisibility()).length"
        browser.open(pages.place / "audit.html", 0)
        browser.media("print")
        report.same("what paper does not have", browser.evaluate(hidden), 0)
    finally:
        browser.close()
