"""Other people's word on the same registries: skopeo, and crane and regctl where they are to be had."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from logins import PASSWORD, USER, auths


class Client:
    """skopeo, and crane where it is to be had, as other people's word on the same registries."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.crane = shutil.which("crane")

    def certificates(self, registry, certificate, key):
        """The certificate to show to a registry."""
        folder = self.folder / f"certificates-{registry.name}"
        folder.mkdir()
        for path, name in ((registry.authority.certificate, "ca.crt"), (certificate, "client.cert"), (key, "client.key")):
            shutil.copy(path, folder / name)

    def _options(self, registry, side=""):
        if registry.tls:
            certificates = self.folder / f"certificates-{registry.name}"
            if not certificates.exists():
                certificates.mkdir()
                shutil.copy(registry.authority.certificate, certificates / "ca.crt")
            options = [f"--{side}cert-dir={certificates}"]
        else:
            options = [f"--{side}tls-verify=false"]
        return options + ([f"--{side}creds={USER}:{PASSWORD}"] if registry.login else [])

    def _skopeo(self, *arguments):
        return subprocess.run(["skopeo", "--insecure-policy", *map(str, arguments)], check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout

    def push(self, registry, source, name):
        """Copy `source` (in skopeo's spelling), all of it and unchanged, to `name` in a registry."""
        self._skopeo("copy", "--quiet", "--all", "--preserve-digests", *self._options(registry, "dest-"),
                     source, f"docker://{registry.host}/{name}")

    def raw(self, registry, name):
        """The bytes of the manifest."""
        return self._skopeo("inspect", "--raw", *self._options(registry), f"docker://{registry.host}/{name}")

    def digest(self, registry, name):
        """The digest as `skopeo inspect` reports it."""
        # The platform is named because skopeo looks for the image of the machine it runs on.
        return self._skopeo("--override-os=linux", "--override-arch=amd64", "inspect", "--no-tags",
                            "--format={{.Digest}}", *self._options(registry),
                            f"docker://{registry.host}/{name}").decode().strip()

    def crane_digest(self, registry, name, platform=None):
        """The digest as crane reports it."""
        config = self.folder / f"crane-{registry.name}"
        if not config.exists():
            config.mkdir()
            (config / "config.json").write_text(json.dumps(auths(registry.host) if registry.login else {}))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_CONFIG": str(config)}
        if registry.tls:
            environment["SSL_CERT_FILE"] = str(registry.authority.certificate)
        command = [self.crane, "digest", f"{registry.host}/{name}"]
        if platform:
            command.append(f"--platform={platform}")
        return subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout.decode().strip()
