"""Proxies between a client and a registry."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from logins import USER, basic


class Proxy:
    """A proxy for TLS (CONNECT) that wants a password of its own; every name leads to this machine."""

    PASSWORD = "proxy-word-of-the-interop-suite"

    def __init__(self):
        self.asked = []  # (host and port, whether the password was right)
        proxy, right = self, "Basic " + basic(self.PASSWORD)

        class Handler(BaseHTTPRequestHandler):
            """One tunnel a connection."""

            def do_CONNECT(self):
                known = self.headers.get("Proxy-Authorization") == right
                proxy.asked.append((self.path, known))
                if not known:
                    self.send_error(407)
                    return
                with socket.create_connection(("127.0.0.1", int(self.path.rsplit(":", 1)[1])), timeout=10) as far:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=pour, args=(far, self.connection), daemon=True)
                    back.start()
                    pour(self.connection, far)
                    back.join(10)
                self.close_connection = True

            def log_message(self, *_arguments):
                """Silence; `asked` is the log."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, password=PASSWORD):
        """What stands in the environment."""
        return f"http://{USER}:{password}@127.0.0.1:{self.port}"

    def stop(self):
        """End it."""
        self.http.shutdown()
        self.http.server_close()


def pour(source, target):
    """Copy one direction of a tunnel until its end."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has gone, and so does this one
