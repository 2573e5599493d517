"""The neighbours of DKIM: chains of ARC, each verified by the others, and DomainKeys, which dkimkit verifies alone.

A peer gets the messages that it signs and verifies as the others do: how it treats the rest, the cells of DKIM show.
"""

from ledger import Cell
from messages import as_mail
from programs import CANONS, DOMAIN, answer, last_line, verdict_problem

ID = "mx.example.com"
MAIN_KEY = "rsa2048"
# What the sealers of others take their results from, dkimpy even the status of the chain.
RESULTS = {"none": f"Authentication-Results: {ID}; arc=none; dkim=none\r\n", "pass": f"Authentication-Results: {ID}; arc=pass; dkim=none\r\n"}
SEALERS = ("maildkim", "dkimpy")


def seal_with_dkimkit(bench, key, canon, source, out, status):
    done = bench.dkimkit.run(
        "arc", "seal", "-d", DOMAIN, "-s", key.name, "-k", key.path, "--canon", canon, "--authserv-id", ID, "--cv", status, source
    )
    if done.returncode != 0:
        return f"refused exit {done.returncode}: {last_line(done.stderr)}"
    out.write_bytes(as_mail(done.stdout))
    return None


def seal_with_peer(bench, peer, key, source, out, status):
    job = ["seal", "--domain", DOMAIN, "--selector", key.name, "--key", key.path, "--algorithm", key.algorithm]
    peer.batch([job + ["--id", ID, "--status", status, "--in", source, "--out", out]], bench.work)
    return answer(out)[1]


def chain_problem(bench, source):
    """What keeps the chain of a message from passing, to dkimkit."""
    done = bench.dkimkit.run("arc", "verify", "--json", "--policy", "rfc", "--records", bench.zone, source)
    return None if done.returncode == 0 else f"exit {done.returncode}: {done.stdout.decode(errors='replace')[:300]}"


def with_results(place, source, status, name):
    """The same message with what was found of it, in place of what was found of it before."""
    out = place / name
    message = source.read_bytes()
    for other in RESULTS.values():
        message = message.replace(other.encode(), b"")
    out.write_bytes(RESULTS[status].encode() + message)
    return out


def changed(place, source):
    out = place / f"{source.name} changed"
    out.write_bytes(source.read_bytes().replace(b"high water", b"high Water"))
    return out


def read_alike(report, peer, messages):
    return [message for message in messages if not report.ledger.tells_of(peer.name, message.name)]


def chains(bench, report, messages):
    """dkimkit and each peer seal, alone and above one another, and all of them verify."""
    place = bench.place("chains")
    key = bench.keys[MAIN_KEY]
    for peer in (peer for peer in bench.peers if peer.name in SEALERS):
        report.group(f"chains of ARC, with {peer.name}")
        for message in read_alike(report, peer, messages):
            for canon in CANONS:
                one_and_another(bench, report, place, peer, key, canon, message)


def one_and_another(bench, report, place, peer, key, canon, message):
    stem = f"{peer.name} {canon.replace('/', ' ')} {message.name}"
    mail = with_results(place, bench.mail(message), "none", f"{stem} mail")
    ours, both, theirs, other = (place / f"{stem} {what}" for what in ("ours", "both", "theirs", "other"))

    def asked(source, what):
        out = place / f"{source.name} verdict"
        peer.batch([["chain", "--records", bench.zone, "--in", source, "--out", out]], bench.work)
        return out

    # dkimkit seals, the peer verifies; and a changed byte does not pass.
    problem = seal_with_dkimkit(bench, key, canon, mail, ours, "none")
    found = problem or verdict_problem(asked(ours, "ours"))
    report.add(Cell(peer.name, "chain", key.name, canon, message.name), found, ours=problem is not None)
    if not problem and b"high water" in ours.read_bytes():
        data, wrong = answer(asked(changed(place, ours), "changed"))
        refused = data is not None and data.startswith(b"fail ")
        report.add(Cell(peer.name, "chain", key.name, canon, f"{message.name}+changed"), wrong or (None if refused else "not refused"))
    # The peer seals above that, and dkimkit verifies.
    if not problem:
        sealed = with_results(place, ours, "pass", f"{stem} sealed")
        refusal = seal_with_peer(bench, peer, key, sealed, both, "pass")
        report.add(Cell(peer.name, "seal", key.name, canon, f"{message.name}+above"), refusal or chain_problem(bench, both))
    # The peer seals, dkimkit verifies, seals above it, and the peer verifies.
    refusal = seal_with_peer(bench, peer, key, mail, theirs, "none")
    report.add(Cell(peer.name, "seal", key.name, canon, message.name), refusal or chain_problem(bench, theirs))
    if not refusal:
        problem = seal_with_dkimkit(bench, key, canon, theirs, other, "pass")
        found = problem or verdict_problem(asked(other, "other")) or chain_problem(bench, other)
        report.add(Cell(peer.name, "chain", key.name, canon, f"{message.name}+above"), found, ours=problem is not None)


def domainkeys(bench, report, messages):
    """Mail::DKIM signs as in 2004, and dkimkit verifies under legacy."""
    peer = next((peer for peer in bench.peers if peer.name == "maildkim"), None)
    if peer is None:
        return
    report.group("maildkim signs DomainKeys, dkimkit verifies")
    place = bench.place("domainkeys")
    key = bench.keys["rsa1024"]
    for message in read_alike(report, peer, messages):
        for form in ("simple", "nofws"):
            for headers in ([], ["--headers", "all"]):
                out = place / f"{form} {message.name} {'listed' if headers else 'all'}"
                job = ["domainkeys", "--domain", DOMAIN, "--selector", key.name, "--key", key.path, "--canon", form, *headers]
                peer.batch([job + ["--in", bench.mail(message), "--out", out]], bench.work)
                name = message.name + ("+listed" if headers else "")
                _, problem = answer(out)
                report.add(Cell(peer.name, "domainkeys", key.name, form, name), problem or domainkeys_problem(bench, out, "pass"))
                if not problem and b"high water" in out.read_bytes():
                    found = domainkeys_problem(bench, changed(place, out), "fail")
                    report.add(Cell(peer.name, "domainkeys", key.name, form, f"{name}+changed"), found)


def domainkeys_problem(bench, source, wanted):
    answers, _ = bench.dkimkit.verify([source], "--records", bench.zone, policy="legacy")
    found = [(one["result"], one["reason"]) for one in answers.get(str(source), {}).get("domainkeys", [])]
    return None if [result for result, _ in found] == [wanted] else f"{found} instead of {wanted}"
