"""The thread in which the laboratory's own servers run: DNS, sinks, and what stands before milters."""

import asyncio
import threading


class Background:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, seconds=30):
        """Runs it there, and waits for what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)
