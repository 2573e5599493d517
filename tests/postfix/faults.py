"""A milter that stops, dies, comes back and changes its keys, while mail flows: nothing is lost, and nothing doubled.

Each message is sent until it is accepted; a 4xx in between is what `milter_default_action = tempfail` is for.
"""

import re
import threading
import time

import layout
from messages import plain
from outbound import signers, tags

SMOKE, FULL = 500, 5000
WORKERS = 8
# Without a spy between Postfix and the milter.
PORT = 2500


class Flow:
    """Clients that send one message after the other, and keep what they were told."""

    def __init__(self, lab, what, count):
        self.lab = lab
        self.what = what
        self.waiting = [lab.fresh(what) for _ in range(count)]
        self.accepted = {}
        self.refused = []
        self.deferrals = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(WORKERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join(timeout=120)

    def work(self):
        while True:
            with self.lock:
                if not self.waiting:
                    return
                recipient = self.waiting.pop()
            self.send(recipient)

    def send(self, recipient):
        """Until it is accepted or refused for good."""
        for _ in range(400):
            started = time.time()
            try:
                with self.lab.relay(PORT) as smtp:
                    reply = smtp.send("anna@example.com", [recipient], plain(recipient))
            except OSError as error:
                reply = f"4 {error}"
            if reply[0] == "2":
                self.accepted[recipient] = started
                return
            if reply[0] == "5":
                self.refused.append((recipient, reply))
                return
            with self.lock:
                self.deferrals += 1
            time.sleep(0.05)
        self.refused.append((recipient, "never accepted"))

    def progress(self):
        return len(self.accepted)


def run(lab, report):
    count = FULL if lab.full else SMOKE
    signer = lab.milters["signer"]
    report.group("faults")
    for what, disturb in (("stop", lambda: restart(signer, signer.stop)), ("kill -9", lambda: restart(signer, signer.kill)), ("reload", lambda: reload(signer))):
        with Flow(lab, what.replace(" ", ""), count // 4) as flow:
            times = disturbed(flow, disturb, count // 4)
        report.true(f"{what}: it happened while mail was flowing", times >= 2, f"{times} times")
        settle(lab, report, what, flow)
        if what != "reload":
            report.true(f"{what}: somebody was told to come back", flow.deferrals > 0, "no 4xx was seen")
    rotated(lab, report, count // 4)
    down(lab, report)


def disturbed(flow, disturb, count):
    """Does it again and again while less than most of the messages are through; how often."""
    times = 0
    while flow.progress() + len(flow.refused) < count * 0.9:
        before = flow.progress()
        disturb()
        times += 1
        end = time.monotonic() + 10
        while flow.progress() < min(before + count // 8, count * 0.9) and time.monotonic() < end:
            time.sleep(0.01)
    return times


def restart(signer, by):
    by()
    time.sleep(0.3)
    signer.start()


def reload(signer):
    signer.reload()
    signer.wait_reloaded()


def settle(lab, report, what, flow):
    """Every accepted message has arrived once, signed; what arrived was accepted."""
    report.same(f"{what}: refused", flow.refused, [])
    lab.submit.wait_empty()
    arrived = {recipient: lab.sinks["sink"].for_recipient(recipient) for recipient in flow.accepted}
    report.same(f"{what}: lost", [recipient for recipient, mails in arrived.items() if not mails], [])
    report.same(f"{what}: doubled", [recipient for recipient, mails in arrived.items() if len(mails) > 1], [])
    unsigned = [recipient for recipient, mails in arrived.items() if mails and not signers(mails[0])]
    report.same(f"{what}: left without a signature", unsigned, [])
    for recipient in list(arrived)[:3]:
        if arrived[recipient]:
            lab.verifiers.expect(report, f"{what}: {recipient}", arrived[recipient][0].raw, "pass", by=("dkimkit",))
    lab.verifiers.settle()


def rotated(lab, report, count):
    """A new key takes over: after the reload nothing is signed with the retired one."""
    if not lab.ours:
        return
    signer = lab.milters["signer"]
    with Flow(lab, "rotated", count) as flow:
        while flow.progress() < count // 4:
            time.sleep(0.01)
        layout.make_key(lab.keys, lab.dkimkit, lab.dns, "example.com", "rsa2")
        retired = lab.dkimkit.run("keys", "retire", "example.com", "rsa", "--keys", lab.keys)
        report.true("rotated: the old key is retired", retired.returncode == 0, retired.stderr.decode(errors="replace"))
        signer.reload()
        report.true("rotated: the milter says that it has reloaded", signer.wait_reloaded(), signer.said()[-500:])
        done = time.time()
    settle(lab, report, "rotated", flow)
    selectors = {True: set(), False: set()}
    for recipient, started in flow.accepted.items():
        for mail in lab.sinks["sink"].for_recipient(recipient):
            selectors[started > done] |= {tags(field, "s")[0] for field in mail.fields("DKIM-Signature")}
    report.true("rotated: the old key signed before", "rsa" in selectors[False], selectors)
    report.true("rotated: there was mail after it", selectors[True], "none was sent after the reload")
    report.true("rotated: the retired key signs no more", "rsa" not in selectors[True], selectors)


def down(lab, report):
    """While no milter answers, nothing is taken in; the control for all of the above."""
    signer = lab.milters["signer"]
    signer.stop()
    recipient = lab.fresh("down")
    with lab.relay(PORT) as smtp:
        reply = smtp.send("anna@example.com", [recipient], plain(recipient))
    report.true("without a milter: 4xx", re.match("4", reply), reply)
    signer.start()
    with lab.relay(PORT) as smtp:
        reply = smtp.send("anna@example.com", [recipient], plain(recipient))
    mail = lab.sinks["sink"].wait(recipient)
    report.true("with it again: signed", mail and signers(mail), reply)
