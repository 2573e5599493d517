"""Pages of hostile messages: nothing runs, nothing is loaded, nothing is built, and what they say can be read."""

import re
import subprocess
from pathlib import Path

import hostile
from browser import Browser
from dkimkit import ROOT
from witness import Witness

NOW = "2026-11-20T12:00:00Z"
MADE = (Path(__file__).parent / "made.js").read_text()
MOST = 2_000_000

# What a page does that does nothing: all else is a problem.
QUIET = {
    "DOM.documentUpdated",
    "Network.dataReceived",
    "Network.loadingFinished",
    "Network.policyUpdated",
    "Network.responseReceived",
    "Page.domContentEventFired",
    "Page.frameClearedScheduledNavigation",
    "Page.frameResized",
    "Page.frameStartedLoading",
    "Page.frameStartedNavigating",
    "Page.frameStoppedLoading",
    "Page.lifecycleEvent",
    "Page.loadEventFired",
    "Runtime.executionContextCreated",
    "Runtime.executionContextDestroyed",
    "Runtime.executionContextsCleared",
}


class Pages:
    """Makes pages with the program."""

    def __init__(self, dkimkit, place):
        self.dkimkit, self.place = dkimkit, place
        self.keys = place / "keys/test.example"
        self.keys.mkdir(parents=True)
        for file in (ROOT / "keys/test.example").iterdir():
            (self.keys / file.name).write_bytes(file.read_bytes())
            (self.keys / file.name).chmod(0o600)
        self.zone = place / "zone"
        self.zone.write_bytes(b"".join(file.read_bytes() for file in sorted(self.keys.glob("*.txt"))))

    def sign(self, message, selectors=("rsa2048",)):
        options = [option for selector in selectors for option in ("-s", selector)]
        done = self.dkimkit.run("sign", "-d", "test.example", *options, "--keys", self.keys.parent, "--now", NOW, input=message)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return done.stdout

    def explain(self, name, *files):
        """The page of these messages."""
        page = self.place / f"{name}.html"
        page.unlink(missing_ok=True)
        argv = ["explain", "--html", page, "--records", self.zone, "--now", NOW]
        if self.dkimkit.takes("explain", "--budget"):
            argv += ["--budget", "2s"]
        done = self.run_with(argv, files)
        if done.returncode not in (0, 1) or not page.exists():
            raise RuntimeError(f"exit {done.returncode}: {done.stderr.decode(errors='replace')}")
        return page

    def run_with(self, argv, files):
        """Names of files may be no text."""
        argv = [str(self.dkimkit.path), *map(str, argv)]
        return subprocess.run([arg.encode() for arg in argv] + list(files), stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)

    def of_message(self, name, message):
        return self.explain(name, hostile.write(self.place, f"{name}.eml", message))


def problems(browser, page, witness, title):
    """What a page has done."""
    own = page.resolve().as_uri()
    found = []
    for method, params in browser.events:
        if method == "Network.requestWillBeSent":
            if params["request"]["url"] != own:
                found.append(f"asks for {params['request']['url'][:100]}")
        elif method == "Page.frameNavigated":
            if params["frame"]["url"] != own:
                found.append(f"goes to {params['frame']['url'][:100]}")
        elif method == "Log.entryAdded":
            found.append(f"says {params['entry']['text'][:200]}")
        elif method not in QUIET:
            found.append(f"{method} {str(params)[:150]}")
    found += [f"the witness heard {said[:100]}" for said in witness.canaries()]
    witness.heard.clear()
    if title is not None and (now := browser.evaluate("document.title")) != title:
        found.append(f"the title became {now[:100]!r}")
    return found


def touch(browser, touched="label, summary, .t, h2"):
    """Does what a reader may do: chooses, opens, clicks on text, goes from one control to the next."""
    points = browser.evaluate(
        f"[...document.querySelectorAll('{touched}')]"
        """.filter((e) => e.checkVisibility()).slice(0, 40).map((e) => {
            e.scrollIntoView({block: 'center'});
            const box = e.getClientRects()[0];
            return [box.x + Math.min(box.width / 2, 40), box.y + box.height / 2];
        })"""
    )
    for x, y in points[:25]:
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        browser.click(x, y)
    for _ in range(5):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)


def without_policy(page):
    """The same page, which forbids nothing: what holds then holds by the escapes alone."""
    text, count = re.subn(rb"<meta http-equiv=.*?>\n", b"", page.read_bytes(), count=1)
    if count != 1:
        raise RuntimeError("there is no policy to take away")
    bare = page.with_name(f"{page.stem}.bare.html")
    bare.write_bytes(text)
    return bare


def try_page(browser, witness, report, name, page, present, title=": explained by dkimkit", made=MADE, touched="label, summary, .t, h2"):
    size = page.stat().st_size
    report.true(f"{name}: size", size <= MOST, f"{size} bytes")
    for kind, file in (("with policy", page), ("without policy", without_policy(page))):
        browser.size(390, phone=True)
        browser.open(file)
        shown = browser.evaluate("document.title")
        report.true(f"{name}, {kind}: title", shown.endswith(title), shown)
        touch(browser, touched)
        browser.settle(0.2)
        report.same(f"{name}, {kind}: what it did", problems(browser, file, witness, shown), [])
        report.same(f"{name}, {kind}: what it is made of", browser.evaluate(made), [])
        text = browser.evaluate("document.body.textContent")
        for wanted in present:
            report.true(f"{name}, {kind}: {wanted!r} can be read", wanted in text)
        unseen = [c for c in text if c in "\u202e\u202d\u2066\u2067\u200b\u200f\ufeff\0\x1b"]
        report.same(f"{name}, {kind}: characters that nobody sees", unseen[:5], [])


def run(pages, report, chosen):
    netlog = pages.place / "netlog.json"
    witness = Witness()
    browser = Browser(netlog)
    try:
        for case in hostile.cases():
            if chosen and case.name not in chosen:
                continue
            report.group(case.name)
            signed = pages.sign(case.message)
            came = case.came(signed) if case.came else signed
            try_page(browser, witness, report, case.name, pages.of_message(case.name, came), case.present)
        if not chosen or "names" in chosen:
            report.group("names")
            signed = pages.sign(next(hostile.cases()).message[:200] + b"\r\n\r\nx\r\n")
            place = pages.place / "names"
            place.mkdir()
            files = [hostile.write(place, name, signed) for name in hostile.file_names()]
            for number, file in enumerate(files):
                try_page(browser, witness, report, f"name {number}", pages.explain(f"name-{number}", file), ())
            try_page(browser, witness, report, "all names", pages.explain("names", *files), ())
    finally:
        browser.close()
        witness.close()
    report.group("the log of the network")
    report.true("no name of theirs in it", b"canary" not in netlog.read_bytes())
