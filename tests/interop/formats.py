"""Keys and records: what peers and openssl make must serve dkimkit, and the other way round."""

import base64
import os
import re

from ledger import Cell
from messages import MESSAGES
from programs import DOMAIN, Key, answer, ed25519_key, find_program, json_problem, last_line, must, record_of, rsa_key, run, verdict_problem, write_zone

PLAIN = MESSAGES[0]
CANON = "relaxed/relaxed"


def keys_of_others(bench, report):
    """dkimkit signs with each key; dkimkit and the peers verify with the record that came with it."""
    place = bench.place("foreign-keys")
    report.group("dkimkit signs with the keys of others")
    keys = foreign_keys(bench, report, place)
    zone = write_zone(place / "zone.json", keys)
    for key in keys:
        signed = place / f"{key.name}.mail"
        problem = bench.dkimkit.sign(key, CANON, bench.mail(PLAIN), signed)
        answers = bench.dkimkit.verify([signed], "--records", zone)[0] if not problem else {}
        report.add(Cell("dkimkit", "verify", key.name, CANON, PLAIN.name), problem or json_problem(answers.get(str(signed)), key, CANON))
        for peer in bench.peers:
            out = place / f"{key.name}.{peer.name}.verdict"
            peer.batch([peer.verify_job(zone, signed, out)], bench.work)
            report.add(Cell(peer.name, "verify", key.name, CANON, PLAIN.name), problem or verdict_problem(out))

    report.group("dkimkit reads the zone file of opendkim-genkey")
    for key in keys:
        if key.name.startswith("genkey"):
            signed = place / f"{key.name}.mail"
            answers, _ = bench.dkimkit.verify([signed], "--records", key.path.with_suffix(".txt"))
            report.add(Cell("opendkim-genkey", "record", key.name, CANON, PLAIN.name), json_problem(answers.get(str(signed)), key, CANON))

    report.group("dkimkit refuses an encrypted key")
    locked = place / "locked.pem"
    must("openssl", "pkey", "-in", keys[-1].path, "-aes256", "-passout", "pass:tide", "-out", locked)
    done = bench.dkimkit.run("sign", "-d", DOMAIN, "-s", "locked", "-k", locked, bench.mail(PLAIN))
    refused = done.returncode == 2 and not done.stdout
    report.add(Cell("openssl", "sign", "locked", CANON, PLAIN.name), None if refused else f"exit {done.returncode}, {len(done.stdout)} bytes")


def foreign_keys(bench, report, place):
    keys = []
    for bits in (1024, 2048) if has_tools(report) else ():
        name = f"genkey{bits}"
        must("opendkim-genkey", "-b", bits, "-d", DOMAIN, "-s", name, "-D", place, "--append-domain")
        text = (place / f"{name}.txt").read_text()
        keys.append(Key(name, place / f"{name}.private", "".join(re.findall(r'"([^"]*)"', text)), bits))
    for peer in bench.peers:
        if peer.name == "dkimpy":
            for kind, bits in (("rsa", 2048), ("ed25519", 256)):
                base = place / f"dknewkey-{kind}"
                must(peer.argv[0].parent / "dknewkey", "--ktype", kind, base)
                keys.append(Key(base.name, base.with_suffix(".key"), base.with_suffix(".dns").read_text().strip(), bits))
    pkcs8 = rsa_key(place, "pkcs8-rsa", 2048)
    pkcs1 = place / "pkcs1-rsa.pem"
    must("openssl", "rsa", "-in", pkcs8.path, "-traditional", "-out", pkcs1)
    if b"BEGIN RSA PRIVATE KEY" not in pkcs1.read_bytes():
        raise SystemExit("openssl did not write PKCS#1")
    pkcs8_ed25519 = ed25519_key(place, "pkcs8-ed25519")
    keys += [pkcs8._replace(name="pkcs1-rsa", path=pkcs1), pkcs8, pkcs8_version_2(pkcs8_ed25519, place), pkcs8_ed25519]
    for key in keys:
        key.path.chmod(0o600)
    return keys


def has_tools(report):
    """Whether OpenDKIM's programs are here; they come in one package."""
    if os.sep in find_program("opendkim-testkey"):
        return True
    report.skip("opendkim-tools is not installed: run tests/interop/install")
    return False


def pkcs8_version_2(key, place):
    """The same key as a OneAsymmetricKey with its public key (RFC 5958 section 2), which openssl does not write."""
    seed = must("openssl", "pkey", "-in", key.path, "-outform", "DER")[-32:]
    public = base64.b64decode(key.record.split("p=")[1])
    algorithm = bytes.fromhex("300506032b6570")
    parts = b"\x02\x01\x01" + algorithm + b"\x04\x22\x04\x20" + seed + b"\x81\x21\x00" + public
    text = base64.encodebytes(b"\x30" + bytes([len(parts)]) + parts).decode()
    path = place / "pkcs8v2-ed25519.pem"
    path.write_text(f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n")
    return key._replace(name="pkcs8v2-ed25519", path=path)


def keys_of_dkimkit(bench, report):
    """`dkimkit generate` makes keys; openssl reads them, opendkim-testkey compares them, the peers sign with them."""
    place = bench.place("own-keys")
    store = place / "keys"
    report.group("openssl reads the keys of dkimkit")
    keys = []
    for name, options, bits in [(f"own-rsa{bits}", ["-b", bits], bits) for bits in (1024, 2048, 3072, 4096)] + [
        ("own-ed25519", ["--algorithm", "ed25519"], 256)
    ]:
        done = bench.dkimkit.run("generate", "-d", DOMAIN, "-s", name, *options, "--keys", store, "--format", "value")
        key = Key(name, store / DOMAIN / f"{name}.pem", done.stdout.decode().strip(), bits)
        problem = generated_problem(done, key)
        report.add(Cell("openssl", "read", name, CANON, "key"), problem)
        if not problem:
            keys.append(key)

    testkey_compares(bench, report, place, keys)

    for peer in bench.peers:
        report.group(f"{peer.name} signs with the keys of dkimkit")
        for key in keys:
            signed = place / f"{key.name}.{peer.name}.mail"
            peer.batch([peer.sign_job(key, CANON, bench.mail(PLAIN), signed)], bench.work)
            _, problem = answer(signed)
            answers = bench.dkimkit.verify([signed], "--keys", store)[0] if not problem else {}
            report.add(Cell(peer.name, "sign", key.name, CANON, PLAIN.name), problem or json_problem(answers.get(str(signed)), key, CANON))


def generated_problem(done, key):
    """None if openssl finds in the private key what the record publishes."""
    if done.returncode != 0:
        return f"generate: exit {done.returncode}: {last_line(done.stderr)}"
    mode = key.path.stat().st_mode & 0o777
    if mode != 0o600:
        return f"mode {mode:o}"
    check = run(["openssl", "pkey", "-in", key.path, "-noout", *([] if "ed25519" in key.name else ["-check"])])
    if check.returncode != 0:
        return f"openssl: {last_line(check.stderr)}"
    published, held = (tag_p(record) for record in (key.record, record_of(key.path)))
    return None if published == held else f"the record has p={published[:24]}…, openssl finds {held[:24]}…"


def tag_p(record):
    return re.sub(r"\s", "", record.split("p=")[1].split(";")[0])


def testkey_compares(bench, report, place, keys):
    """opendkim-testkey, offline: its resolver library takes records from a configuration file."""
    report.group("opendkim-testkey compares the keys of dkimkit")
    if not has_tools(report):
        return
    resolver, conf = place / "resolver.conf", place / "testkey.conf"
    lines = [f"server:\n  local-zone: \"{DOMAIN}.\" static\n"]
    for key in keys:
        strings = " ".join(f'"{part}"' for part in re.findall(".{1,250}", key.record))
        lines.append(f"  local-data: '{key.name}._domainkey.{DOMAIN}. 60 IN TXT {strings}'\n")
    resolver.write_text("".join(lines))
    conf.write_text(f"ResolverConfiguration {resolver}\n")

    def compare(key, path):
        done = run(["opendkim-testkey", "-x", conf, "-d", DOMAIN, "-s", key.name, "-k", path, "-vvv"])
        said = (done.stderr + done.stdout).decode(errors="replace").split()
        return " ".join([*said, f"exit {done.returncode}"])

    rsa = [key for key in keys if key.algorithm == "rsa-sha256"]
    for key in rsa:
        said = compare(key, key.path)
        report.add(Cell("opendkim-testkey", "read", key.name, CANON, "key"), None if said.endswith("key OK exit 0") else said)
    for key, other in zip(rsa[:1], rsa[1:]):
        said = compare(key, other.path)
        report.add(Cell("opendkim-testkey", "read", key.name, CANON, "other-key"), None if "keys do not match" in said else f"not refused: {said}")


def rsa_sha1(bench, report):
    """opendkim-testmsg signs with rsa-sha1 alone, which only the policy for archives lets through (RFC 8301)."""
    report.group("opendkim-testmsg signs with rsa-sha1")
    if not has_tools(report):
        return
    key = bench.keys["rsa2048"]
    signed = bench.place("rsa-sha1") / "signed.mail"
    with open(bench.mail(PLAIN), "rb") as message:
        text = message.read().replace(b"\r\n", b"\n")
    # Without -C the end of b= is garbled.
    done = run(["opendkim-testmsg", "-C", "-d", DOMAIN, "-s", key.name, "-k", key.path], input=text)
    if done.returncode != 0 or b"a=rsa-sha1" not in done.stdout:
        report.add(Cell("opendkim-testmsg", "sign", key.name, "relaxed/simple", PLAIN.name), f"no rsa-sha1 signature: {last_line(done.stderr)}")
        return
    signed.write_bytes(done.stdout.replace(b"\r\n", b"\n"))
    for policy, want in (("rfc", False), ("strict", False), ("legacy", True)):
        answers, _ = bench.dkimkit.verify([signed], "--records", bench.zone, policy=policy)
        one = answers.get(str(signed)) or {"result": "no answer", "reason": None}
        problem = None if (one["result"] == "pass") == want and one["result"] != "no answer" else f"{one['result']} {one['reason']}"
        report.add(Cell("opendkim-testmsg", "sign", key.name, "relaxed/simple", f"policy-{policy}"), problem)
