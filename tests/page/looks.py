"""What the pages look like: nothing is cut or too wide, contrasts are those of WCAG AA, and pictures for people."""

from pathlib import Path

import hostile
from browser import Browser

LOOKS = (Path(__file__).parent / "looks.js").read_text()
BODY = """\
Dear all,\r
\r
we meet on Thursday at ten. Please bring the figures of the last month, and tell me\r
until Wednesday if you cannot come. Größe: 12 €. See https://test.example/agenda?day=thursday\r
\r
> From the minutes of the last meeting:\r
>\tthe budget is to be spent before the end of the year.\r
\r
Anna\r
""".encode()
PLAIN = hostile.simple(
    "To: list@lists.example",
    "Subject: The meeting on Thursday",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    body=BODY,
)


def by_list(message):
    """What a mailing list does: a tag in Subject, a footer, and fields of its own."""
    message = message.replace(b"Subject: The", b"Subject: [team] The")
    fields = b"Received: from list by mx; Fri, 20 Nov 2026 10:00:09 +0000\r\nList-Id: <team.lists.example>\r\n"
    footer = b"-- \r\nThe list of the team\r\nTo leave it: https://lists.example/options/team\r\n"
    return fields + message + footer


def by_gateway(message):
    """What a gateway does: a banner, and fields that are folded in another way."""
    head, body = message.split(b"\r\n\r\n", 1)
    return head.replace(b"text/plain; charset", b"text/plain;\r\n\tcharset") + b"\r\n\r\n[EXTERNAL] Take care with links.\r\n\r\n" + body


def messages(pages):
    """(a name, a message) for each page to be looked at."""
    both = pages.sign(PLAIN, ("rsa2048", "ed"))
    yield "list", by_list(both)
    yield "gateway", by_gateway(both)
    yield "holds", both
    yield "unexplained", both.replace(b"Thursday at ten", b"Friday at nine").replace(b"12 ", b"94 ").replace(b"Wednesday", b"then").replace(b"Dear all", b"Hello")
    yield "no-signature", PLAIN
    yield "removed", both.replace(b"MIME-Version: 1.0\r\n", b"").replace(b"Cc", b"Cc")
    yield "lines-wrapped", pages.sign(PLAIN + b"word " * 400 + b"\r\n").replace(b"word " * 190, b"word " * 190 + b"\r\n ", 1)
    yield "two-froms", b"From: Mallory <mallory@evil.example>\r\n" + both
    cases = {case.name: case for case in hostile.cases()}
    for name in ("bytes", "added-to-the-body", "many-lines", "in-fields", "long-line", "signature-many"):
        signed = pages.sign(cases[name].message)
        yield name, cases[name].came(signed) if cases[name].came else signed


def run(pages, report, shots):
    shots.mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        for name, message in messages(pages):
            report.group(f"{name}, as it looks")
            page = pages.of_message(f"looks-{name}", message)
            look(browser, report, name, page, shots)
        report.group("several messages, as they look")
        files = [hostile.write(pages.place, f"message-{number}.eml", message) for number, (_, message) in enumerate(messages(pages))]
        look(browser, report, "several", pages.explain("looks-several", *files), shots)
    finally:
        browser.close()
    print(f"pictures: {shots}")


def look(browser, report, name, page, shots):
    sizes(browser, report, name, page, shots, dark_shots=name == "list")
    browser.media("print")
    hidden = browser.evaluate("[...document.querySelectorAll('.panel')].filter((e) => !e.checkVisibility()).length")
    report.same("panels that paper does not have", hidden, 0)
    browser.media()


def sizes(browser, report, name, page, shots, dark_shots=False):
    """A page at all sizes, and pictures of it."""
    for dark in (False, True):
        browser.media(dark=dark)
        for width in (320, 360, 390, 768, 1280):
            browser.size(width, phone=width < 768)
            browser.open(page, 0)
            for choice in range(browser.evaluate("Math.max(1, Math.min(4, document.querySelectorAll('input').length))")):
                browser.evaluate(f"document.querySelectorAll('input')[{choice}]?.click(); document.querySelectorAll('details').forEach((e) => e.open = true)")
                what = f"{width} wide, {'dark' if dark else 'light'}, choice {choice + 1}"
                report.same(what, browser.evaluate(LOOKS), [])
            if width in (390, 1280) and (not dark or dark_shots):
                browser.open(page, 0)
                browser.screenshot(shots / f"{name}-{width}{'-dark' if dark else ''}.png", 3200)
    browser.media("print")
    browser.size(700)
    browser.open(page, 0)
    report.same("on paper", browser.evaluate(LOOKS), [])
    browser.media()
