"""OpenDKIM's `miltertest` as a foreign client: each Lua script of `miltertest/` speaks to one of the milters."""

import re
import subprocess
from pathlib import Path

from inbound import signed
from messages import plain

SCRIPTS = Path(__file__).resolve().parent / "miltertest"
# Which milter a script wants.
MILTERS = {
    "abort": "signer",
    "negotiate": "signer",
    "sign": "signer",
    "trusted": "signer",
    "unknown": "signer",
    "forged": "verifier",
    "verify": "verifier",
    "judge": "judge",
}


def run(lab, report):
    report.group("miltertest")
    names = {path.stem for path in SCRIPTS.glob("*.lua")} - {"common", "main"}
    report.same("every script has its milter", names, set(MILTERS))
    message = lab.place / "message.lua"
    message.write_text(lua_message(signed(lab, plain("bob@sink.test"))))
    for name in sorted(names):
        report.add(name, problem(lab, name, lab.milters[MILTERS[name]].listen, message))
    # A script can fail: the verifier does not sign.
    report.true("sign, at the verifier, fails", problem(lab, "sign", lab.milters["verifier"].listen, message), "it does not")


def problem(lab, name, listen, message):
    """What a script complains of, or None."""
    defines = {"SCRIPT": SCRIPTS / f"{name}.lua", "SOCKET": listen, "COMMON": SCRIPTS / "common.lua", "MESSAGE": message}
    argv = ["miltertest", "-s", str(SCRIPTS / "main.lua")]
    for key, value in defines.items():
        argv += ["-D", f"{key}={value}"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "no end after two minutes"
    return None if done.returncode == 0 else " ".join((done.stdout + done.stderr).split()) or f"exit {done.returncode}"


def lua_message(raw):
    """The message as a table of Lua, with values as an MTA hands them over: LF within folds, no blank in front."""
    header, _, body = raw.partition(b"\r\n\r\n")
    rows = []
    for field in re.split(rb"\r\n(?![ \t])", header):
        name, _, value = field.replace(b"\r\n", b"\n").partition(b":")
        rows.append(f"{{ {quoted(name)}, {quoted(value.removeprefix(b' '))} }}")
    return f"message = {{ fields = {{ {', '.join(rows)} }}, body = {quoted(body)} }}\n"


def quoted(data):
    return '"' + "".join(f"\\{byte:03}" for byte in data) + '"'
