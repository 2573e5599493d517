"""The two servers that no package has: one that relays UDP and refuses TCP, and one that never answers."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor


class Relay:
    """Hands UDP queries to another server and its answers back; nobody listens on TCP."""

    def __init__(self, address, target):
        self.target = target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.pool = ThreadPoolExecutor(max_workers=8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(65535)
                self.pool.submit(self.hand_over, query, client)
            except (OSError, RuntimeError):
                return

    def hand_over(self, query, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
            upstream.settimeout(2)
            try:
                upstream.sendto(query, (self.target, 53))
                self.socket.sendto(upstream.recv(65535), client)
            except OSError:
                pass

    def stop(self):
        self.socket.close()
        self.pool.shutdown(wait=False)


class Silent:
    """Takes queries over UDP and connections over TCP, and says nothing."""

    def __init__(self, address):
        self.sockets = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        for one in self.sockets:
            one.bind((address, 53))
        self.sockets[1].listen(64)

    def stop(self):
        for one in self.sockets:
            one.close()
