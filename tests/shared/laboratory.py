"""What all laboratories of several servers have: a start, and an end whatever happens."""

from bind import Process


class Laboratory:
    """`start` adds to `running` what has to be stopped; all else ends with the namespace."""

    def __init__(self, place):
        self.place = place
        self.running = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for one in reversed(self.running):
            one.stop()
        self.running.clear()

    def processes(self):
        return [one for one in self.running if isinstance(one, Process)]
