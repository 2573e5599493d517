"""The milters of the laboratory: ours, and OpenDKIM, which shows that the laboratory itself works.

    signer = KINDS["dkimkit"](place, "signer", ("127.25.0.7", 9101), "127.25.0.53", tables={"signing": {…}})
    signer.start(); signer.reload(); signer.kill(); signer.stop()
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time


class Milter:
    """What both have in common: a process that listens, and a log."""

    kind = None
    # How long it may take to answer the messages in hand after SIGTERM.
    patience = 40

    def __init__(self, place, name, address, dns, **settings):
        self.place = place / name
        self.name = name
        self.address = address
        self.dns = dns
        self.settings = settings
        self.child = None
        self.place.mkdir(parents=True)

    @property
    def log(self):
        return self.place / "log"

    @property
    def socket_path(self):
        """The path of the socket, or None where it listens on an address."""
        return self.address if isinstance(self.address, str) else None

    @property
    def listen(self):
        return f"unix:{self.address}" if self.socket_path else f"inet:{self.address[1]}@{self.address[0]}"

    @property
    def for_postfix(self):
        return f"unix:{self.address}" if self.socket_path else f"inet:{self.address[0]}:{self.address[1]}"

    def start(self):
        self.configure()
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen([str(word) for word in self.argv()], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        end = time.monotonic() + 20
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.name}: {self.kind} does not come up:\n{self.said()[-2000:]}")
            time.sleep(0.02)

    def answers(self):
        family = socket.AF_UNIX if self.socket_path else socket.AF_INET
        with socket.socket(family) as probe:
            return probe.connect_ex(self.address) == 0

    def change(self, **settings):
        """Other settings, from now on."""
        self.settings.update(settings)
        if self.child:
            self.stop()
            self.start()

    def reload(self):
        self.configure()
        self.child.send_signal(signal.SIGHUP)

    def stop(self, by=signal.SIGTERM):
        if not self.child:
            return None
        self.child.send_signal(by)
        try:
            code = self.child.wait(timeout=self.patience)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = self.child.wait()
        self.child = None
        if self.socket_path and os.path.exists(self.socket_path):
            os.unlink(self.socket_path)
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Dkimkit(Milter):
    """`dkimkit milter`; `settings` are tables of milter.toml: {"": {…}, "signing": {…}, "verifying.actions": {…}}."""

    kind = "dkimkit"
    program = None

    def argv(self):
        return [self.program, "milter", "--config", self.place / "milter.toml"]

    def configure(self):
        tables = {name: dict(table) for name, table in self.settings["tables"].items()}
        top = tables.setdefault("", {})
        top.setdefault("listen", [self.listen])
        top.setdefault("log_to", "stderr")
        if self.socket_path:
            top.update(socket_mode="0660", socket_group="postfix")
        tables.setdefault("verifying", {}).setdefault("nameservers", [f"{self.dns}:53"])
        new = self.place / "milter.toml.new"
        new.write_text("".join(table_text(name, tables[name]) for name in sorted(tables)))
        # As an administrator should: the file is there whole or not at all.
        new.replace(self.place / "milter.toml")

    def wait_reloaded(self, seconds=10):
        """Waits until the log tells of one reload more; whether it came."""
        before = self.reloads
        end = time.monotonic() + seconds
        while len(re.findall("event=reloaded", self.said())) <= before:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def reload(self):
        self.reloads = len(re.findall("event=reloaded", self.said()))
        super().reload()


def table_text(name, table):
    lines = [f"{toml_key(key)} = {toml_value(value)}\n" for key, value in table.items() if not is_tables(value)]
    for key, rows in table.items():
        for row in rows if is_tables(value=rows) else []:
            lines.append(f"[[{name}.{key}]]\n" + "".join(f"{toml_key(k)} = {toml_value(v)}\n" for k, v in row.items()))
    return (f"[{name}]\n" if name else "") + "".join(lines) + "\n"


def is_tables(value):
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def toml_key(key):
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(one)}" for key, one in value.items()) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class OpenDkim(Milter):
    """Debian's OpenDKIM with the same duties, as far as it can have them."""

    kind = "opendkim"
    # It waits for idle connections, which Postfix keeps open.
    patience = 2
    program = shutil.which("opendkim", path="/usr/sbin:/usr/bin")

    def argv(self):
        return [self.program, "-f", "-x", self.place / "opendkim.conf"]

    def configure(self):
        tables = self.settings["tables"]
        signing, verifying = tables.get("signing", {}), tables.get("verifying", {})
        modes = tables[""].get("mode", ["sign", "verify"])
        keys = tables[""].get("keys")
        lines = {
            "Mode": "".join(mode[0] for mode in modes),
            "Socket": f"local:{self.address}" if self.socket_path else self.listen,
            "UMask": "000",
            "Nameservers": self.dns,
            "Canonicalization": signing.get("canonicalization", "relaxed/relaxed"),
            "AuthservID": verifying.get("authserv_id", "localhost"),
            "AlwaysAddARHeader": "yes",
            "LogWhy": "yes",
            "Syslog": "no",
            "UserID": "root",
            "RequireSafeKeys": "no",
            "OversignHeaders": "From",
        }
        if "sign" in modes:
            (self.place / "hosts").write_text("".join(f"{host}\n" for host in signing.get("trusted_networks", [])))
            pairs = [(domain.name, path.stem, path) for domain in sorted(keys.iterdir()) for path in sorted(domain.glob("rsa*.pem"))]
            (self.place / "keys").write_text("".join(f"{s}.{d} {d}:{s}:{path}\n" for d, s, path in pairs))
            (self.place / "signing").write_text("".join(f"*@{d} {s}.{d}\n*@*.{d} {s}.{d}\n" for d, s, _ in pairs))
            lines |= {"InternalHosts": f"file:{self.place}/hosts", "KeyTable": f"file:{self.place}/keys", "SigningTable": f"refile:{self.place}/signing"}
        actions = {"accept": "accept", "reject": "reject", "tempfail": "tempfail", "quarantine": "quarantine"}
        names = {"fail": "On-BadSignature", "none": "On-NoSignature", "temperror": "On-DNSError", "key-not-found": "On-KeyNotFound"}
        for result, action in tables.get("verifying.actions", {}).items():
            if result in names:
                lines[names[result]] = actions[action]
        (self.place / "opendkim.conf").write_text("".join(f"{key} {value}\n" for key, value in lines.items()))

    def reload(self):
        self.configure()
        self.child.send_signal(signal.SIGUSR1)

    @staticmethod
    def wait_reloaded(seconds=0.1):
        """OpenDKIM does not say when it has done it."""
        time.sleep(seconds)
        return True


KINDS = {kind.kind: kind for kind in (Dkimkit, OpenDkim)}
