"""Where the browser runs: a network namespace in which nothing but this suite answers."""

import namespace

PROGRAMS = ("chromium", "ip", "unshare")


def enter(limit):
    """Runs this program again inside a namespace and ends with its exit code; there, returns a directory for it."""
    return namespace.enter("page", lambda: namespace.find("page", PROGRAMS), limit)
