"""The web server of all policies of MTA-STS; what it does for a domain is said by a few words.

    right              the policy, as text/plain, with a certificate of the lab's authority
    certificate KIND   another certificate
    status CODE        nothing but that
    redirect           leads to the policy of the right domain
    type TYPE          the policy under another type
    large              a policy that does not end for a megabyte
    slow               the policy, a byte a second
"""

import asyncio
import ssl

from layout import WEB

PATH = "/.well-known/mta-sts.txt"
BIMI = {"/logo.svg": "image/svg+xml", "/logo.pem": "application/x-pem-file"}


class Web:
    def __init__(self, certificates):
        self.contexts = {}
        for kind in ("right", "expired", "wrong-name", "self-signed"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.path(kind), certificates.key())
            context.sni_callback = self.choose
            self.contexts[kind] = context
        # What it does for a domain, and the text of its policy.
        self.ways = {}
        self.policies = {}
        # Who was asked for what.
        self.asked = []

    def serve(self, domain, way, policy):
        self.ways[domain] = way
        self.policies[domain] = policy

    async def start(self):
        for address in WEB.both:
            await asyncio.start_server(self.session, address, 443, ssl=self.contexts["right"])

    def choose(self, connection, name, _):
        words = self.ways.get(domain_of(name or ""), "").split()
        if words[:1] == ["certificate"]:
            connection.context = self.contexts[words[1]]

    async def session(self, reader, writer):
        try:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
            path = head.split()[1]
            host = next((line.split(":", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("host:")), "")
            self.asked.append((host, path))
            await self.answer(writer, domain_of(host.partition(":")[0]), path)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, ConnectionError, IndexError):
            pass
        finally:
            writer.close()

    async def answer(self, writer, domain, path):
        if path in BIMI:
            return await write(writer, 200, BIMI[path], "<svg/>")
        word, _, rest = self.ways.get(domain, "").partition(" ")
        text = self.policies.get(domain, "")
        if path != PATH or not word:
            return await write(writer, 404, "text/plain", "nothing here\n")
        if word == "status":
            return await write(writer, int(rest), "text/plain", text)
        if word == "redirect":
            return await write(writer, 301, "text/plain", "", f"Location: https://mta-sts.right.test{PATH}\r\n")
        if word == "slow":
            return await drip(writer, text)
        if word == "large":
            text += "".join(f"mx: mx{number}.{domain}\r\n" for number in range(40_000))
        return await write(writer, 200, rest if word == "type" else "text/plain", text)


async def write(writer, status, kind, text, more=""):
    body = text.encode()
    writer.write(f"HTTP/1.1 {status} lab\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n".encode() + body)
    await writer.drain()


async def drip(writer, text):
    writer.write(b"HTTP/1.1 200 lab\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
    for byte in text.encode():
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


def domain_of(host):
    return host.lower().removeprefix("mta-sts.")
