"""Who sees what a page asks for: servers that take every connection and keep what is said."""

import socket
import threading

PORTS = (80, 443)


class Witness:
    """Every name leads here; what Chromium asks for itself is told apart by the name that it asks for."""

    def __init__(self):
        self.heard = []
        self.sockets = []
        for port in PORTS:
            server = socket.create_server(("127.0.0.1", port))
            self.sockets.append(server)
            threading.Thread(target=self.serve, args=(server,), daemon=True).start()

    def serve(self, server):
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self.hear, args=(peer,), daemon=True).start()

    def hear(self, peer):
        with peer:
            peer.settimeout(2)
            try:
                said = peer.recv(4096)
                self.heard.append(said)
                if said.startswith(b"GET "):
                    peer.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            except OSError:
                pass

    def canaries(self):
        """The requests to servers below canary.test; the name is also seen where TLS begins."""
        return [said for said in list(self.heard) if b"canary" in said]

    def close(self):
        for server in self.sockets:
            # Without this the thread that waits in accept() keeps the port.
            server.shutdown(socket.SHUT_RDWR)
            server.close()
