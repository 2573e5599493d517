"""The program that is tested."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Dkimkit:
    def __init__(self):
        named = os.environ.get("DKIMKIT")
        choices = [Path(named)] if named else [ROOT / "target/release/dkimkit", ROOT / "target/debug/dkimkit"]
        self.path = next((path.resolve() for path in choices if path.exists()), None)

    def run(self, *args, input=b"", timeout=60):
        argv = [str(arg) for arg in (self.path, *args)]
        return subprocess.run(argv, input=input, capture_output=True, timeout=timeout, check=False)

    def start(self, *args):
        """In the background, for `--wait` and for kills."""
        argv = [str(arg) for arg in (self.path, *args)]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def takes(self, verb, option):
        return option.encode() in self.run(verb, "--help").stdout


def objects(done):
    """The JSON objects on standard output, one a line; None where a line is none."""
    found = []
    for line in done.stdout.decode(errors="replace").splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            one = None
        found.append(one if isinstance(one, dict) else None)
    return found


def last_line(stream):
    lines = stream.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "(nothing)"
