"""Runs a suite again inside a network namespace of its own, in which nothing but the suite answers.

Nothing survives the suite: what it starts lives in a process namespace that ends with it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROCESSES = ["--pid", "--fork", "--kill-child"]
# Without -r where root may not make user namespaces.
ONE_USER = (["unshare", "-rn"], ["unshare", "-n"])
# Real root needs no mapping; others need a range of users of their own.
SEVERAL_USERS = (["unshare", "-n"], ["unshare", "-n", "--map-root-user", "--map-auto"])
LOOPBACK = "ip link set lo up"


def enter(suite, find, limit=None, mode=0o700):
    """Runs this program again inside what `find` returns and ends with its exit code; there, returns a directory."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    # A shell starts what it puts into the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    inside = f"{suite.upper()}_INSIDE"
    place = os.environ.pop(inside, None)
    if place:
        subprocess.run(LOOPBACK.split(), check=True)
        return Path(place)
    unshare = find()
    place = Path(tempfile.mkdtemp(prefix=f"{suite}-"))
    child = None
    try:
        place.chmod(mode)
        environment = {**os.environ, inside: str(place), "PYTHONDONTWRITEBYTECODE": "1"}
        child = subprocess.Popen([*unshare, sys.executable, *sys.argv], env=environment, preexec_fn=die_with_parent)
        sys.exit(child.wait(timeout=limit))
    except subprocess.TimeoutExpired:
        sys.exit(f"not done after {limit} s")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if child:
            child.kill()
            child.wait()
        remove(place, unshare)


def find(suite, programs, ways=ONE_USER, probe=LOOPBACK, otherwise="unshare -rn is not possible here: no network namespace"):
    """How to make a namespace in which `probe` succeeds; the program ends here where something is missing."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        skip(f"no {', '.join(missing)}: run tests/{suite}/install")
    for way in ways:
        if subprocess.run([*way, *PROCESSES, "sh", "-c", probe], capture_output=True, check=False).returncode == 0:
            return [*way, *PROCESSES]
    return skip(otherwise)


def find_for_postfix(suite, programs):
    """How to make a namespace with several users, as Postfix is."""
    problem = "Postfix needs a network namespace and several users: be root, or have newuidmap (uidmap) and a range in /etc/subuid"
    with tempfile.TemporaryDirectory() as trial:
        probe = f"{LOOPBACK} && install -d -o postfix -g postdrop {trial}/probe && rmdir {trial}/probe"
        return find(suite, programs, SEVERAL_USERS, probe, problem)


def skip(problem):
    print(f"SKIPPED: {problem}", flush=True)
    sys.exit(1 if os.environ.get("CI") == "true" else 0)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def remove(place, unshare):
    """Removes the directory, as the root who made it; the last of the killed processes may still write for a moment."""
    for _ in range(30):
        subprocess.run([*unshare, "rm", "-rf", place], capture_output=True, check=False)
        if not place.exists():
            return
        time.sleep(0.1)
