"""Messages of people who want the page to run, load or show what it should not, and names of files like them.

Whatever of theirs runs calls `canary`, changes the title or asks a server below canary.test: each of the three is
seen. `{n}` numbers them, so that it is known which one it was.
"""

import os
from typing import NamedTuple

# What a page might run or load where it is not escaped.
MARKUP = (
    "<script>canary(String({n}))</script>",
    "<script src=http://canary.test/{n}.js></script>",
    "<ScRiPt\n>canary(String({n}))</sCrIpT\t>",
    "<img src=x onerror=canary(String({n}))>",
    "<img src=http://canary.test/{n}.png width=1 height=1>",
    "<img srcset='http://canary.test/{n}.png 1x' src=x>",
    "<svg onload=canary(String({n}))><animate onbegin=canary(String({n})) attributeName=x dur=1s></svg>",
    "<svg><style><img src=x onerror=canary(String({n}))></style></svg>",
    "<svg><image href=http://canary.test/{n}.svg /><use href=http://canary.test/{n}.svg#x /></svg>",
    "<math><mi xlink:href=http://canary.test/{n}><mglyph><style><img src=x onerror=canary(String({n}))>",
    "<body onload=canary(String({n})) background=http://canary.test/{n}.png>",
    "<iframe src=http://canary.test/{n}></iframe>",
    "<iframe srcdoc='<script>parent.canary(String({n}))</script>'></iframe>",
    "<object data=http://canary.test/{n}></object><embed src=http://canary.test/{n}>",
    "<link rel=stylesheet href=http://canary.test/{n}.css><link rel=preload as=image href=http://canary.test/{n}.png>",
    "<link rel=dns-prefetch href=//canary{n}.canary.test><link rel=prefetch href=http://canary.test/{n}>",
    "<style>body{{background:url(http://canary.test/{n}.png)}} div{{display:none!important}}</style>",
    "<style>@import 'http://canary.test/{n}.css';</style>",
    "</style><style>@font-face{{font-family:x;src:url(http://canary.test/{n}.woff)}} body{{font-family:x}}</style>",
    "<div style='background:url(http://canary.test/{n}.png);position:fixed;inset:0;z-index:9'>covers all</div>",
    "<meta http-equiv=refresh content='0;url=http://canary.test/{n}'>",
    "<meta http-equiv=Content-Security-Policy content=\"default-src * 'unsafe-inline'\"><script>canary(String({n}))</script>",
    "<base href=http://canary.test/{n}/><img src=base.png>",
    "<video poster=http://canary.test/{n}.png><source src=http://canary.test/{n}.mp4 onerror=canary(String({n}))></video>",
    "<audio src=http://canary.test/{n}.ogg autoplay onerror=canary(String({n}))></audio>",
    "<input autofocus onfocus=canary(String({n}))>",
    "<details open ontoggle=canary(String({n}))><summary>x</summary></details>",
    "<a href='javascript:canary(String({n}))' autofocus onfocus=canary(String({n}))>click</a>",
    "<a href='http://canary.test/{n}' ping='http://canary.test/{n}/ping'>click</a>",
    "<form action=http://canary.test/{n}><button>send</button></form>",
    "<template shadowrootmode=open><img src=http://canary.test/{n}.png></template>",
    "<style>@keyframes x{{}}</style><x style='animation:x 1s' onanimationstart=canary(String({n}))></x>",
    "--><img src=x onerror=canary(String({n}))><!--",
    "]]><img src=x onerror=canary(String({n}))><![CDATA[",
    "<!--><img src=x onerror=canary(String({n}))>-->",
    "</title></textarea></noscript></template></select><img src=x onerror=canary(String({n}))>",
    "</span></div></section></main></body></html><script>canary(String({n}))</script>",
    "\"><img src=x onerror=canary(String({n}))>",
    "'><img src=x onerror=canary(String({n}))>",
    "` onmouseover=canary(String({n})) x=`",
    "\" onmouseover=\"canary(String({n}))\" tabindex=0 autofocus onfocus=\"canary(String({n}))\" x=\"",
    "&lt;script&gt;canary(String({n}))&lt;/script&gt;",
    "&#60;img src=x onerror=canary(String({n}))&#62;",
    "\\u003cimg src=x onerror=canary(String({n}))\\u003e",
    "javascript:canary(String({n}))",
    "data:text/html,<script>canary(String({n}))</script>",
    "{{{{constructor.constructor('canary(String({n}))')()}}}}",
    "<plaintext>",
    "<xmp>",
    "<frameset><frame src=http://canary.test/{n}></frameset>",
)

# Bytes that readers disagree about.
BYTES = (
    b"+ADw-script+AD4-canary(String(900))+ADw-/script+AD4-",
    b"\xff\xfe<\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00",
    b"\xc0\xbcscript\xc0\xbecanary(String(901))\xc0\xbc/script\xc0\xbe",
    b"\xe0\x80\xbcimg src=x onerror=canary(String(902))\xe0\x80\xbe",
    b"\x1b$B<img src=x onerror=canary(String(903))>\x1b(B",
    b"<\x00img src=x onerror=canary(String(904))>",
    b"<img\x0bsrc=x\x0conerror=canary(String(905))>",
    b"\xe2\x80\xae<moc.live//:ptth> gepj.exe\xe2\x80\xac \xe2\x81\xa6\xe2\x81\xa9 \xe2\x80\x8f\xe2\x80\x8b\xef\xbb\xbf\xc2\xad",
    b"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d <b> 123 \xd7\xa2\xd7\x95\xd7\x9c\xd7\x9d",
    b"Z" + b"\xcd\xa7\xcc\x81\xcc\xb8" * 300,
    b"\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 \xef\xbf\xbf\xf4\x8f\xbf\xbf",
    bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256)),
    b"tabs\there\t and blanks   \t ",
)

ENCODED = "=?utf-8?B?PHNjcmlwdD5jYW5hcnkoU3RyaW5nKDkxMCkpPC9zY3JpcHQ+?= =?utf-8?Q?=3Cimg_src=3Dx_onerror=3Dcanary(String(911))=3E?="


class Case(NamedTuple):
    """A message as it is signed, and as it came; `present` is text that has to be readable on the page."""

    name: str
    message: bytes
    came: object  # a function from the signed message to the one that came, or None
    present: tuple


def markup():
    return [text.format(n=number) for number, text in enumerate(MARKUP)]


def simple(*fields, body):
    fields = ["From: Anna <anna@test.example>", "Date: Fri, 20 Nov 2026 10:00:00 +0000", "Message-ID: <1@test.example>", *fields]
    return "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body


def append(text):
    return lambda signed: signed + text


def cases():
    lines = markup()
    body = "".join(f"{line}\r\n" for line in lines).encode()
    one_line = [line.replace("\n", "\r\n ").replace("\r\r", "\r") for line in lines]
    fields = [f"X-Hostile-{n}: {line}" for n, line in enumerate(one_line)]
    harmless = b"Hello.\r\n\r\nGoodbye.\r\n"
    yield Case("in-the-body", simple("Subject: x", body=body), None, tuple(lines[:2]))
    yield Case("added-to-the-body", simple("Subject: x", body=harmless), append(body), tuple(lines[:2]))
    yield Case("taken-from-subject", simple(f"Subject: {lines[0]}", body=harmless), lambda m: m.replace(lines[0].encode(), b"gone"), ("gone",))
    yield Case("subject-tagged", simple("Subject: x", body=harmless), lambda m: m.replace(b"Subject: ", b"Subject: [<img src=x onerror=canary(String(920))>] "), ("[<img src=x onerror=canary(String(920))>] ",))
    yield Case("in-fields", simple(f"Subject: {ENCODED}", *fields, body=harmless), append(b"-- \r\nfooter\r\n"), tuple(lines[3:5]))
    yield Case("in-from", simple("Subject: x", body=harmless).replace(b"Anna <", b'"<script>canary(String(921))</script>" <'), lambda m: m.replace(b"anna@", b"<svg/onload=canary(String(922))>@", 1), ())
    yield Case("field-names", simple("<img/src=x/onerror=canary(String(923))>: y", "\"onmouseover=canary(String(924)): y", body=harmless), append(b"x\r\n"), ("<img/src=x/onerror=canary(String(923))>",))
    yield Case("bytes", simple("Subject: x", body=b"".join(line + b"\r\n" for line in BYTES)), append(b"\r\n".join(BYTES)), ())
    yield Case("bytes-in-fields", simple("Subject: x", body=harmless), lambda m: b"".join(b"X-B: " + line.replace(b"\n", b" ").replace(b"\r", b" ") + b"\r\n" for line in BYTES) + m, ())
    yield Case("long-line", simple("Subject: x", body=b"<img src=x onerror=canary(String(930))>" * 30_000 + b"\r\n" + b"W" * 100_000 + b"\r\n"), append(b"W" * 1_000_000 + b"<script>canary(String(931))</script>\r\n"), ())
    yield Case("long-word", simple("Subject: " + "W" * 5000, body=harmless), append(b"x\r\n"), ())
    yield Case("many-lines", simple("Subject: x", body=body * 200), lambda m: m.replace(b"</title>", b"</TITLE>").replace(b"body", b"Body", 7), ())
    yield Case("tracking-pixel", simple("MIME-Version: 1.0", "Content-Type: text/html", body=b'<html><body>Hi<img src="http://canary.test/pixel.gif" width=1></body></html>\r\n'), append(b'<img src="https://canary.test/pixel.gif">\r\n'), ("http://canary.test/pixel.gif",))
    yield Case("links", simple("MIME-Version: 1.0", "Content-Type: text/html", body=b'<a href="https://bank.test/?a=1">bank</a> https://bank.test\r\n'), lambda m: m.replace(b"https://bank.test/?a=1", b"https://canary.test/?url=https%3A%2F%2Fbank.test%2F%3Fa%3D1"), ())
    yield Case("mime", simple("MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="</pre><script>canary(String(932))</script>"', body=b'--</pre><script>canary(String(932))</script>\r\nContent-Type: text/plain\r\n\r\nx\r\n--</pre><script>canary(String(932))</script>--\r\n'), append(b"y\r\n"), ())
    for name, field in signatures():
        yield Case(f"signature-{name}", field + simple("Subject: x", body=harmless), append(b"<script>canary(String(940))</script>\r\n"), ())


def signatures():
    """DKIM-Signature fields that nobody would write; each stands above one that is in order."""
    start = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; "
    end = b"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
    evil = b"<img/src=x/onerror=canary(String(950))>"
    yield "domain", start + b"d=" + evil + b"; s=rsa2048; h=from; " + end
    yield "selector", start + b"d=test.example; s=" + evil + b"; h=from; " + end
    yield "identity", start + b'd=test.example; s=rsa2048; i="' + evil + b'"@test.example; h=from; ' + end
    yield "names", start + b"d=test.example; s=rsa2048; h=from:" + evil + b":\"onfocus=canary(String(951)):x; " + end
    yield "copied", start + b"d=test.example; s=rsa2048; h=from; z=From:" + evil + b"|Subject:=3Cscript=3Ecanary(String(952))=3C/script=3E; " + end
    yield "algorithm", b"DKIM-Signature: v=1; a=" + evil + b"; d=test.example; s=rsa2048; h=from; " + end
    yield "query", start + b"q=" + evil + b"; d=test.example; s=rsa2048; h=from; " + end
    yield "tags", start + evil.replace(b"=", b"-") + b"=1; " + evil + b"; d=test.example; s=rsa2048; h=from; " + end
    yield "hash", start + b"d=test.example; s=rsa2048; h=from; bh=" + evil + b"; b=" + evil + b"\r\n"
    yield "many", (start + b"d=test.example; s=rsa2048; h=from:subject; " + end) * 60
    yield "long", start + b"d=test.example; s=rsa2048; h=from" + b":x-" + b"y" * 200_000 + b"; " + end


def file_names():
    """Names that a file system takes: everything but a slash and NUL."""
    for number, text in enumerate(markup()):
        name = text.replace("/", "\\")[:100].encode()
        if number % 4 == 0:
            yield name + b".eml"
    yield b"\xff\xfe<svg onload=canary(String(960))>.eml"
    yield "\u202e<svg onload=canary(String(961))>lme.".encode()
    yield b"a\nb\r<svg onload=canary(String(962))>\t.eml"
    yield b"W" * 250


def write(place, name, bytes_):
    path = os.path.join(os.fsencode(place), name if isinstance(name, bytes) else name.encode())
    with open(path, "wb") as file:
        file.write(bytes_)
    return path
