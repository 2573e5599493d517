"""A headless Chromium, driven over its debugging pipe, which needs no port and no library."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

# What Chromium would do by itself is turned off, so that each request that is seen is the page's. All names lead to
# the witness.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--disable-features=MediaRouter,OptimizationHints,Translate",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * 127.0.0.1",
    "--metrics-recording-only",
    "--password-store=basic",
    "--remote-debugging-pipe",
    "--use-mock-keychain",
)


class Browser:
    """One Chromium with one page. `events` holds all that the page did since the last `open`."""

    def __init__(self, netlog=None):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        # It reads from its descriptor 3 and writes to 4.
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        flags = [*FLAGS, f"--user-data-dir={self.profile}", *([f"--log-net-log={netlog}"] if netlog else [])]
        script = f'exec 3<&{to_read} 4>&{to_write}; exec "$@"'
        argv = ["bash", "-c", script, "bash", shutil.which("chromium"), *flags, "about:blank"]
        self.process = subprocess.Popen(
            argv,
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile, "XDG_CONFIG_HOME": self.profile, "XDG_CACHE_HOME": self.profile},
        )
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.last = 0
        self.events = []
        self.session = None
        pages = self.call("Target.getTargets", timeout=60)["targetInfos"]
        target = next(one["targetId"] for one in pages if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Network.setCacheDisabled", cacheDisabled=True)
        # Whatever runs can call it, or write to the console, or change the title.
        self.call("Runtime.addBinding", name="canary")

    def call(self, method, timeout=30, **params):
        self.last += 1
        request = {"id": self.last, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write_end, json.dumps(request).encode() + b"\0")
        number, deadline = self.last, time.monotonic() + timeout
        while True:
            message = self.receive(deadline)
            if message is None:
                raise TimeoutError(f"{method} was not answered")
            if message.get("id") != number:
                self.take(message)
            elif "error" in message:
                raise RuntimeError(f"{method}: {message['error']}")
            else:
                return message["result"]

    def take(self, message):
        if "method" not in message:
            return
        self.events.append((message["method"], message.get("params", {})))
        if message["method"] == "Page.javascriptDialogOpening":
            # Nobody waits for the answer: it would be a message with a number of its own.
            self.last += 1
            request = {"id": self.last, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}, "sessionId": self.session}
            os.write(self.write_end, json.dumps(request).encode() + b"\0")

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_end], [], [], left)[0]:
                return None
            read = os.read(self.read_end, 1 << 20)
            if not read:
                raise RuntimeError("Chromium ended")
            self.buffer += read
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def settle(self, seconds):
        """Lets the page do what it will for a while."""
        deadline = time.monotonic() + seconds
        while (message := self.receive(deadline)) is not None:
            self.take(message)

    def open(self, path, seconds=0.3):
        self.call("Page.navigate", url="about:blank")
        self.settle(0.1)
        self.events = []
        self.call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + 60
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            message = self.receive(deadline)
            if message is None:
                raise TimeoutError(f"{path.name} does not load")
            self.take(message)
        self.settle(seconds)

    def evaluate(self, expression):
        """The value of an expression of ours, which no policy of the page holds up."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, timeout=60)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"])
        return done["result"].get("value")

    def size(self, width, height=800, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)

    def media(self, kind="", dark=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=kind, features=[scheme])

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path, height):
        width = self.evaluate("innerWidth")
        height = min(height, self.evaluate("document.documentElement.scrollHeight"))
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip, timeout=60)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        try:
            self.session = None
            self.call("Browser.close", timeout=5)
        except (OSError, RuntimeError, TimeoutError):
            pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        shutil.rmtree(self.profile, ignore_errors=True)
