"""A registry that has every image: whatever name and tag it is asked for, it answers with a tiny manifest of its own.

The manifest depends on repository and tag, so a digest at the wrong place is noticed. A HEAD for any digest says that
it is there, because real files are full of digests that nobody can make up a manifest for.
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
          "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest()}
PATH = re.compile(r"/v2/(.+)/manifests/([^/]+)")


def manifest(repository, tag):
    """The bytes of an image's manifest."""
    value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": CONFIG, "layers": [],
             "annotations": {"name": f"{repository}:{tag}"}}
    return json.dumps(value).encode()


def digest(repository, tag):
    """The digest of an image."""
    return "sha256:" + hashlib.sha256(manifest(repository, tag)).hexdigest()


class EveryImage:
    """The server; ends with `stop`."""

    def __init__(self):
        self.requests = []
        self.issued = {}  # (repository, digest) -> bytes
        registry = self

        class Handler(BaseHTTPRequestHandler):
            """GET and HEAD of manifests."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                registry.requests.append((self.command, self.path))
                match = PATH.fullmatch(self.path)
                if self.path == "/v2/":
                    self.answer(200, "application/json", b"{}")
                elif not match:
                    self.answer(404, "application/json", b"{}")
                elif ":" in match[2]:
                    data = registry.issued.get((match[1], match[2]))
                    if data or self.command == "HEAD":
                        self.answer(200, MANIFEST, data or b"-" * 300, match[2])
                    else:
                        self.answer(404, "application/json", b"{}")
                else:
                    data = registry.issue(match[1], match[2])
                    self.answer(200, MANIFEST, data, digest(match[1], match[2]))

            do_HEAD = do_GET

            def answer(self, status, media_type, data, its_digest=None):
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(data)))
                if its_digest:
                    self.send_header("Docker-Content-Digest", its_digest)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, *_arguments):
                """Silence; `requests` is the log."""

        ThreadingHTTPServer.request_queue_size = 128
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def issue(self, repository, tag):
        """Make an image, and remember it by its digest."""
        data = manifest(repository, tag)
        self.issued[repository, digest(repository, tag)] = data
        return data

    def settings(self):
        """A GateConfig that sends every registry here."""
        entry = {"prefix": "*", "mirrors": [f"http://{self.address}"], "only-mirrors": True, "insecure": True}
        return json.dumps({"apiVersion": "plimsoll.dev/v1", "kind": "GateConfig", "spec": {"registries": [entry]}})

    def stop(self):
        """End it."""
        self.http.shutdown()
        self.http.server_close()
