"""Where the browser runs: a network namespace in which nothing but this suite answers."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

INSIDE = "PAGE_INSIDE"
# Without -r where root may not make user namespaces.
UNSHARES = (["unshare", "-rn", "--pid", "--fork", "--kill-child"], ["unshare", "-n", "--pid", "--fork", "--kill-child"])


def enter(limit):
    """Runs this program again inside a namespace and ends with its exit code; there, returns a directory for it."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = os.environ.pop(INSIDE, None)
    if place:
        must("ip", "link", "set", "lo", "up")
        return Path(place)
    unshare, problem = find_unshare()
    if problem:
        print(f"SKIPPED: {problem}", flush=True)
        sys.exit(1 if os.environ.get("CI") == "true" else 0)
    place = Path(tempfile.mkdtemp(prefix="page-"))
    child = None
    try:
        environment = {**os.environ, INSIDE: str(place), "PYTHONDONTWRITEBYTECODE": "1"}
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
        shutil.rmtree(place, ignore_errors=True)


def find_unshare():
    missing = [program for program in ("chromium", "ip", "unshare") if not shutil.which(program)]
    if missing:
        return None, f"no {', '.join(missing)}: run tests/page/install"
    for unshare in UNSHARES:
        if subprocess.run([*unshare, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode == 0:
            return unshare, None
    return None, "unshare -rn is not possible here: no network namespace for the browser"


def must(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {done.stderr.strip()}")


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
