"""Pushes small images of our own making, by the requests themselves: hundreds of them, where a client would take long."""

import http.client
import json
from hashlib import sha256
from urllib.parse import urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()


def digest(data):
    """How a registry names these bytes."""
    return "sha256:" + sha256(data).hexdigest()


class Pusher:
    """One connection to a registry that speaks plain HTTP; `tokens` is the token server where it wants tokens."""

    def __init__(self, registry, tokens=None):
        self.connection, self.tokens = http.client.HTTPConnection("localhost", registry.port, timeout=30), tokens
        self.issued = {}

    def ask(self, method, path, repository, data=b"", kind="application/octet-stream"):
        """One request that must do what it should; where it sends us on to."""
        headers = {"Content-Type": kind, "Content-Length": str(len(data))}
        if self.tokens:
            if repository not in self.issued:
                self.issued[repository] = self.tokens.issue([f"repository:{repository}:pull,push"])
            headers["Authorization"] = "Bearer " + self.issued[repository]
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said[:300]!r}")
        return answer.getheader("Location", "")

    def blob(self, repository, data):
        """A blob; its descriptor but for the media type."""
        place = urlsplit(self.ask("POST", f"/v2/{repository}/blobs/uploads/", repository))
        query = "&".join(part for part in (place.query, f"digest={digest(data)}") if part)
        self.ask("PUT", f"{place.path}?{query}", repository, data)
        return {"digest": digest(data), "size": len(data)}

    def manifest(self, repository, tag, manifest):
        """A manifest of that tag; its digest."""
        data = json.dumps(manifest).encode()
        self.ask("PUT", f"/v2/{repository}/manifests/{tag}", repository, data, manifest.get("mediaType", MANIFEST))
        return digest(data)

    def push(self, repository, tag):
        """An image that no other repository and tag has; its digest."""
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(repository, CONFIG)}
        return self.manifest(repository, tag, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
                                               "annotations": {"name": f"{repository}:{tag}"}})
