"""The mail servers: Postfix, set up right or with one fault, and what only pretends to be one."""

import asyncio
import re
import shutil
import socket

from bind import must
from layout import MAIL, bracketed
from postfix import Postfix
from records import fill, place_of

# All mail ends here: nothing is sent, and nothing is kept.
SETTINGS = {
    "inet_protocols": "all",
    "myhostname": "{hostname}",
    "mydestination": "$myhostname",
    "local_recipient_maps": "regexp:{place}/conf/recipients",
    "virtual_mailbox_domains": "regexp:{place}/conf/domains",
    "virtual_mailbox_maps": "regexp:{place}/conf/recipients",
    "local_transport": "discard",
    "virtual_transport": "discard",
    "relay_transport": "discard",
    "default_transport": "discard",
    "mynetworks": "127.0.0.1",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_cert_file": "{place}/conf/server.pem",
    "smtpd_tls_key_file": "{place}/conf/server.key",
    "smtpd_tls_loglevel": "1",
    # A process that is done is not kept for long.
    "max_idle": "10s",
}
RECIPIENTS = "/^(postmaster|abuse|hostmaster|webmaster|security|anna)(@|$)/ here\n"


class Mail(Postfix):
    """A Postfix for some domains; `hosts` are (greeting, addresses) of each service."""

    def __init__(self, lab, name, domains, hosts, certificate="right", words=()):
        settings = {**SETTINGS, "myhostname": hosts[0][0]}
        services = [
            f"{bracketed(address)}:25 inet n - n - - smtpd" + (f" -o myhostname={host}" if host != hosts[0][0] else "")
            for host, addresses in hosts
            for address in addresses
        ]
        super().__init__(lab.place / "mail", name, settings, services)
        self.certificates = lab.certificates
        self.certificate = certificate
        self.domains = domains
        self.words = dict(words)

    def make_queue(self):
        """Lets Postfix make its queue, which takes a second; the others take it for a pattern."""
        (self.place / "queue").mkdir(parents=True)
        self.write_all()
        self.must("postfix", "check")
        return self.place / "queue"

    def start(self, pattern):
        self.write_all()
        if self.place / "queue" != pattern:
            must("cp", "-a", pattern, self.place)
        must(f"{self.settings['daemon_directory']}/master", "-w", "-c", self.conf)

    def write_all(self):
        conf = self.conf
        conf.mkdir(parents=True, exist_ok=True)
        (self.place / "data").mkdir(exist_ok=True)
        shutil.chown(self.place / "data", self.settings["mail_owner"])
        (conf / "recipients").write_text(RECIPIENTS)
        (conf / "domains").write_text(f"/^({'|'.join(map(re.escape, self.domains))})$/ here\n")
        self.show(self.certificate)
        self.write()

    def show(self, certificate):
        """Puts a certificate in place; a running server takes it when it is reloaded."""
        shutil.copy(self.certificates.path(certificate), self.place / "conf/server.pem")
        shutil.copy(self.certificates.key(), self.place / "conf/server.key")

    def give(self, setting):
        """Takes `NAME = VALUE`."""
        name, _, value = setting.partition("=")
        self.settings[name.strip()] = fill(value.strip(), {**self.words, "place": str(self.place)})


def shared(lab, cases):
    """The right Postfix: all domains, on the shared addresses, and on those of cases that have their own."""
    own = [(case.mx, place_of(case).both) for case in cases if case.server == "own" and not is_special(case)]
    return Mail(lab, "right", [case.domain for case in cases], [("mx.right.test", MAIL.both), *own])


def special(lab, case):
    """The Postfix of a case whose fault is its server."""
    mail = Mail(lab, case.name, [case.domain], [(case.mx, place_of(case).both)], case.certificate, lab.records.words(case))
    for setting in case.postfix:
        mail.give(setting)
    return mail


def is_special(case):
    return bool(case.postfix) or case.certificate != "right"


def greets(address):
    """Whether somebody who connects is greeted, and that soon."""
    try:
        with socket.create_connection((address, 25), timeout=5) as connection:
            return connection.recv(4).startswith((b"220", b"554"))
    except OSError:
        return False


class Fake:
    """What answers at port 25 and is no Postfix; `way` is the name of a method."""

    def __init__(self, case):
        self.case = case
        self.way = getattr(self, case.fake.replace("-", "_"))
        self.log = []

    async def start(self):
        for address in place_of(self.case).both:
            await asyncio.start_server(self.session, address, 25)

    async def session(self, reader, writer):
        try:
            await self.way(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def not_smtp(self, reader, writer):
        """Another protocol that speaks first."""
        writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        await reader.read(1024)

    async def no_service(self, reader, writer):
        """Takes no mail from anybody (RFC 5321 §3.1)."""
        writer.write(f"554 {self.case.mx} no SMTP service here\r\n".encode())
        await reader.read(1024)

    async def talker(self, reader, writer):
        """A banner that does not end."""
        line = f"220-{self.case.mx} " + "x" * 900 + "\r\n"
        for _ in range(100_000):
            writer.write(line.encode())
            await writer.drain()

    async def one_line(self, reader, writer):
        """A banner of a line that does not end."""
        for _ in range(100_000):
            writer.write(b"220 " + b"x" * 1000)
            await writer.drain()

    async def dripping(self, reader, writer):
        """A byte now and then."""
        for byte in f"220 {self.case.mx} ESMTP".encode() * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)

    async def escapes(self, reader, writer):
        """Words for a terminal and for a browser in each reply."""
        await self.smtp(reader, writer, extra=" \x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\u202e")

    async def right(self, reader, writer):
        """Nothing is the matter."""
        await self.smtp(reader, writer)

    async def percent(self, reader, writer):
        """Relays user%elsewhere@domain, and nothing else."""
        await self.smtp(reader, writer, relays=lambda recipient: "%" in recipient)

    async def bang(self, reader, writer):
        """Relays elsewhere!user, and nothing else."""
        await self.smtp(reader, writer, relays=lambda recipient: "!" in recipient)

    async def source_route(self, reader, writer):
        """Relays what comes with a route (RFC 5321 appendix C), and nothing else."""
        await self.smtp(reader, writer, relays=lambda recipient: recipient.startswith("@"))

    async def quoted(self, reader, writer):
        """Relays what is quoted before its own domain."""
        await self.smtp(reader, writer, relays=lambda recipient: recipient.startswith('"') and "@" in recipient.rpartition("@")[0])

    async def stripped(self, reader, writer):
        """Injects STARTTLS and then breaks off the handshake."""
        await self.smtp(reader, writer, offers=["STARTTLS"])

    async def smtp(self, reader, writer, extra="", relays=lambda recipient: False, offers=()):
        def say(line):
            writer.write((line + extra + "\r\n").encode())

        say(f"220 {self.case.mx} ESMTP")
        while True:
            line = (await reader.readuntil(b"\n")).decode("latin-1").strip()
            self.log.append(line)
            verb = line[:4].upper()
            if verb == "EHLO":
                for offer in [self.case.mx, *offers]:
                    say(f"250-{offer}")
                say("250 SIZE 1000")
            elif verb == "RCPT":
                say(self.rcpt(line.partition(":")[2].strip().split(">")[0].lstrip("<"), relays))
            elif verb == "STAR" and offers:
                say("220 go ahead")
                await writer.drain()
                writer.close()
                return
            elif verb == "QUIT":
                say("221 bye")
                await writer.drain()
                return
            else:
                say({"HELO": f"250 {self.case.mx}", "MAIL": "250 ok", "RSET": "250 ok", "NOOP": "250 ok", "DATA": "451 not here"}.get(verb, "502 unknown"))
            await writer.drain()

    def rcpt(self, recipient, relays):
        local, _, domain = recipient.rpartition("@")
        if relays(recipient):
            return "250 ok"
        if domain and domain.lower() != self.case.domain:
            return "550 relay not permitted"
        return "250 ok" if (local or recipient).lower() in ("postmaster", "abuse") else "550 no such user"
