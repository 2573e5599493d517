"""A milter that stops, dies, comes back and changes its keys, while mail flows: nothing is lost, and nothing doubled.

Each message is sent until it is accepted; a 4xx in between is what `milter_default_action = tempfail` is for.
"""

import re
import signal
import threading
import time

import layout
from messages import plain
from outbound import signers, tags

# So many messages between two faults.
STEP = 40
WORKERS = 8
# Without a spy between Postfix and the milter.
PORT = 2500


class Flow:
    """Clients that send one message after the other until they are told to end, `count` at least, and keep what they heard."""

    def __init__(self, lab, what, count):
        self.lab = lab
        self.what = what
        self.count = count
        self.begun = 0
        self.released = False
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
        self.released = True
        for thread in self.threads:
            thread.join(timeout=120)

    def work(self):
        while True:
            with self.lock:
                if self.released and self.begun >= self.count:
                    return
                self.begun += 1
                recipient = self.lab.fresh(self.what)
            self.send(recipient)

    def send(self, recipient):
        """Until it is accepted or refused for good."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
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

    def wait_for_more(self, messages, seconds=30):
        """Waits until so many more have been accepted; whether they were."""
        goal, end = len(self.accepted) + messages, time.monotonic() + seconds
        while len(self.accepted) < goal:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


def run(lab, report):
    times = 20 if lab.full else 4
    signer = lab.milters["signer"]
    report.group("faults")
    for what, disturb in (("stop", lambda: restart(signer, signer.stop)), ("kill", lambda: restart(signer, signer.kill)), ("reload", lambda: reload(signer))):
        with Flow(lab, what, times * STEP) as flow:
            went_on = [flow.wait_for_more(STEP) and disturb() for _ in range(times)] + [flow.wait_for_more(STEP)]
        report.true(f"{what}: mail goes on", all(went_on), went_on)
        settle(lab, report, what, flow)
        if what != "reload":
            report.true(f"{what}: somebody was told to come back", flow.deferrals > 0, "no 4xx was seen")
    rotated(lab, report, times * STEP)
    broken(lab, report)
    down(lab, report)


def restart(signer, by):
    """Ends the milter and starts it again; whether it ended as it should."""
    code = by()
    time.sleep(0.3)
    signer.start()
    # OpenDKIM sometimes ends with an error; ours must not.
    return code in (0, -signal.SIGKILL) or signer.kind == "opendkim"


def reload(signer):
    signer.reload()
    return signer.wait_reloaded()


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
        flow.wait_for_more(STEP)
        layout.make_key(lab.keys, lab.dkimkit, lab.dns, "example.com", "rsa2")
        retired = lab.dkimkit.run("keys", "retire", "example.com", "rsa", "--keys", lab.keys)
        report.true("rotated: the old key is retired", retired.returncode == 0, retired.stderr.decode(errors="replace"))
        signer.reload()
        report.true("rotated: the milter says that it has reloaded", signer.wait_reloaded(), signer.said()[-500:])
        done = time.time()
        flow.wait_for_more(STEP)
    settle(lab, report, "rotated", flow)
    selectors = {True: set(), False: set()}
    for recipient, started in flow.accepted.items():
        for mail in lab.sinks["sink"].for_recipient(recipient):
            selectors[started > done] |= {tags(field, "s")[0] for field in mail.fields("DKIM-Signature")}
    report.true("rotated: the old key signed before", "rsa" in selectors[False], selectors)
    report.true("rotated: there was mail after it", selectors[True], "none was sent after the reload")
    report.true("rotated: the retired key signs no more", "rsa" not in selectors[True], selectors)


def broken(lab, report):
    """A new configuration that cannot be used: the old one stays, and the log says why."""
    if not lab.ours:
        return
    signer = lab.milters["signer"]
    times = 0
    for what, text in (("an unknown key", "\nsingning = true\n"), ("no TOML", "[[["), ("nothing", None)):
        path = signer.place / "milter.toml"
        good = path.read_text()
        path.write_text("" if text is None else good + text)
        times += 1
        signer.child.send_signal(signal.SIGHUP)
        wait_for_words(signer, "event=reload-refused", times)
        path.write_text(good)
        recipient = lab.fresh("broken")
        with lab.relay(PORT) as smtp:
            reply = smtp.send("anna@example.com", [recipient], plain(recipient))
        mail = lab.sinks["sink"].wait(recipient)
        report.true(f"after {what}: signed as before", mail and signers(mail), reply)
    signer.reload()
    report.true("a good one is taken again", signer.wait_reloaded(), signer.said()[-500:])


def wait_for_words(milter, words, times, seconds=10):
    """Waits until the log has these words so many times."""
    end = time.monotonic() + seconds
    while milter.said().count(words) < times:
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s in vain for {words}:\n{milter.said()[-1000:]}")
        time.sleep(0.02)


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
