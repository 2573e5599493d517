"""A Postfix of its own: one directory with configuration, queue and log, from Debian's programs.

submit = Postfix(place, "submit", {"relayhost": "[127.25.0.3]"}, ["127.25.0.1:25 inet n - n - - smtpd"])
submit.start()
"""

import json
import os
import pty
import re
import shutil
import subprocess
import time

# Nothing that needs a name server, waits without need, or is left to a default that a release may change.
MAIN = {
    "compatibility_level": "3.6",
    "maillog_file": "{place}/log",
    "maillog_file_prefixes": "{place}",
    "queue_directory": "{place}/queue",
    "data_directory": "{place}/data",
    "daemon_directory": "/usr/lib/postfix/sbin",
    "shlib_directory": "/usr/lib/postfix",
    "meta_directory": "/etc/postfix",
    "command_directory": "/usr/sbin",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "inet_protocols": "ipv4",
    "myhostname": "{name}.test",
    "mydestination": "",
    "local_recipient_maps": "",
    "alias_maps": "",
    "mynetworks_style": "host",
    "smtp_host_lookup": "native",
    "smtpd_peername_lookup": "no",
    "biff": "no",
    "in_flow_delay": "0",
    "minimal_backoff_time": "2s",
    "queue_run_delay": "2s",
    "message_size_limit": "200000000",
    "mailbox_size_limit": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_error_sleep_time": "0",
    "smtpd_junk_command_limit": "1000",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
    "milter_protocol": "6",
    "milter_default_action": "tempfail",
    "milter_connect_timeout": "5s",
}

MASTER = """
pickup     unix  n       -       n       60      1       pickup
cleanup    unix  n       -       n       -       0       cleanup
qmgr       unix  n       -       n       300     1       qmgr
rewrite    unix  -       -       n       -       -       trivial-rewrite
bounce     unix  -       -       n       -       0       bounce
defer      unix  -       -       n       -       0       bounce
trace      unix  -       -       n       -       0       bounce
verify     unix  -       -       n       -       1       verify
flush      unix  n       -       n       1000?   0       flush
proxymap   unix  -       -       n       -       -       proxymap
smtp       unix  -       -       n       -       -       smtp
relay      unix  -       -       n       -       -       smtp
showq      unix  n       -       n       -       -       showq
error      unix  -       -       n       -       -       error
retry      unix  -       -       n       -       -       error
discard    unix  -       -       n       -       -       discard
anvil      unix  -       -       n       -       1       anvil
tlsmgr     unix  -       -       n       1000?   1       tlsmgr
scache     unix  -       -       n       -       1       scache
postlog    unix-dgram n  -       n       -       1       postlogd
"""


def replace(file, text):
    """Writes a file in one: a server that begins while half of its configuration is there ends at once, and Postfix then
    waits for a minute before it starts another."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


class Postfix:
    def __init__(self, place, name, settings, services):
        self.place = place / name
        # What is not configuration stays out of its directory: `postfix check` looks at all of it.
        self.conf = self.place / "conf"
        self.name = name
        self.settings = {key: value.format(place=self.place, name=name) for key, value in {**MAIN, **settings}.items()}
        self.services = [service.format(place=self.place) for service in services]

    def start(self):
        for name in ("conf", "data", "queue"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.place / "data", self.settings["mail_owner"])
        self.write()
        self.must("postfix", "start")

    def write(self):
        main = "".join(f"{key} = {value}\n" for key, value in self.settings.items())
        replace(self.conf / "main.cf", main)
        replace(self.conf / "master.cf", MASTER + "\n".join(self.services) + "\n")

    def set(self, **settings):
        """Changes settings and lets the running Postfix take them, processes at work included."""
        self.settings.update(settings)
        self.write()
        self.must("postfix", "reload")

    def version(self):
        return self.run("postconf", "-h", "mail_version").stdout.decode().strip()

    def run(self, program, *args, input=b""):
        argv = [program, *(("-C",) if program == "sendmail" else ("-c",)), str(self.conf), *map(str, args)]
        return subprocess.run(argv, input=input, capture_output=True, timeout=60, check=False)

    def must(self, program, *args, input=b""):
        """Runs it, and ends where that fails."""
        done = self.run(program, *args, input=input)
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: {program} {' '.join(map(str, args))}: {self.complaint(program, *args)}\n{self.log()[-2000:]}")
        return done.stdout

    def complaint(self, program, *args):
        """What is wrong is told to a terminal alone, as long as there is no log: so it is tried once more at one."""
        ours, theirs = pty.openpty()
        subprocess.run([program, "-c", self.conf, *args], stdin=theirs, stdout=theirs, stderr=theirs, timeout=60, check=False)
        os.close(theirs)
        return os.read(ours, 4096).decode(errors="replace").strip()

    def sendmail(self, message, *args):
        """Hands a message in as sendmail(1) does, with the line ends of Unix."""
        return self.run("sendmail", *args, input=message.replace(b"\r\n", b"\n"))

    def queue(self):
        """What is in the queue: {queue id: entry}."""
        lines = self.run("postqueue", "-j").stdout.decode("utf-8", "replace").splitlines()
        return {entry["queue_id"]: entry for entry in map(json.loads, lines)}

    def held(self, recipient):
        """The entries on hold for a recipient."""
        return [entry for entry in self.queue().values() if entry["queue_name"] == "hold" and addressed(entry, recipient)]

    def wait_empty(self, seconds=30):
        """Waits until nothing is left in the queue but what is on hold; whether that came to be."""
        end = time.monotonic() + seconds
        while any(entry["queue_name"] != "hold" for entry in self.queue().values()):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def log(self):
        try:
            return (self.place / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def troubles(self):
        """The lines of the log that ought not to be there."""
        return [line for line in self.log().splitlines() if re.search(r"\b(warning|error|fatal|panic): ", line)]


def addressed(entry, recipient):
    return any(one["address"] == recipient for one in entry["recipients"])
