"""Real registries on this machine: Debian's docker-registry, distribution 3, zot, and the one that crane serves.

Each has its own folder, its own port on 127.0.0.1 and its own log of requests; all end with the script.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from logins import HTPASSWD
from tokens import ISSUER, SERVICE

# A name that only a proxy knows the way to: what is asked on this machine itself is asked without a proxy.
FAR = "registry.interop.test"


def free_port():
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One registry; `host` is what stands in references.

    `login` is None, "basic", or a token server; `authority` signs its certificate, and without one it speaks plain
    HTTP; `callers` is the authority whose certificates its clients must have.
    """

    program = None
    # method, path and status of a request in the log
    access = re.compile(r'"([A-Z]+) (\S+) HTTP/[0-9.]+" (\d{3})')

    def __init__(self, folder, name, login=None, realm="localhost", authority=None, callers=None, **more):
        self.name, self.folder, self.authority, self.callers = name, folder / name, authority, callers
        self.login, self.realm, self.more = login, realm, more
        self.tls = authority and authority.sign(name, f"DNS:localhost,IP:127.0.0.1,DNS:{FAR}")
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        self.process = None
        for _ in range(5):  # a free port may be taken before the registry has it
            self.port = free_port()
            if self._start():
                break
        else:
            raise RuntimeError(f"{name} does not start:\n{self.log.read_text()[-2000:]}")
        self.host = f"localhost:{self.port}"

    @classmethod
    def here(cls):
        """Whether this machine has the program."""
        return shutil.which(cls.program) is not None

    def command(self):
        """What starts it, after its settings are written."""
        raise NotImplementedError

    def htpasswd(self):
        """A file with the one user."""
        path = self.folder / "htpasswd"
        path.write_text(HTPASSWD)
        return str(path)

    def _start(self):
        # Settings can also come from the environment, so it gets none.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OTEL_TRACES_EXPORTER": "none"}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, cwd=self.folder)
        scheme = "https" if self.tls else "http"
        unverified = ssl._create_unverified_context()
        for _ in range(400):
            if self.process.poll() is not None:
                return False
            try:
                urllib.request.urlopen(f"{scheme}://127.0.0.1:{self.port}/v2/", timeout=5, context=unverified)
                return True
            except urllib.error.HTTPError:
                return True  # it asks for credentials
            except ssl.SSLError:
                return True  # it asks for a certificate
            except urllib.error.URLError as error:
                if isinstance(error.reason, ssl.SSLError):
                    return True
            except OSError:
                pass
            time.sleep(0.05)
        self.stop()
        return False

    def requests(self):
        """Every request so far, as (method, path, status)."""
        found = self.access.findall(self.log.read_text("utf-8", "replace"))
        return [(method, path, int(status or 200)) for method, path, status in found]

    def stop(self):
        """End it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class DockerRegistry(Server):
    """Debian's docker-registry: distribution 2.8, which has no referrers API. `proxy` makes it a mirror of another."""

    program = "docker-registry"

    def command(self):
        http = {"addr": f"127.0.0.1:{self.port}", "secret": "interop"}
        if self.tls:
            http["tls"] = {"certificate": str(self.tls[0]), "key": str(self.tls[1])}
            if self.callers:
                http["tls"]["clientcas"] = [str(self.callers.certificate)]
        if "prefix" in self.more:
            http["prefix"] = self.more["prefix"]
        config = {"version": 0.1, "log": {"level": "warn", "accesslog": {"disabled": False}}, "http": http,
                  "storage": {"filesystem": {"rootdirectory": str(self.folder / "store")}}}
        if self.login == "basic":
            config["auth"] = {"htpasswd": {"realm": "interop", "path": self.htpasswd()}}
        elif self.login:
            config["auth"] = {"token": {"realm": self.login.realm(self.realm), "service": SERVICE, "issuer": ISSUER,
                                        "rootcertbundle": str(self.login.certificate)}}
        if "proxy" in self.more:
            config["proxy"] = {"remoteurl": f"http://{self.more['proxy'].host}"}
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config))
        return [self.program, "serve", path]


class Distribution(DockerRegistry):
    """Distribution 3, whose program is called `registry`."""

    program = "registry"


class Zot(Server):
    """zot, which keeps OCI layouts and has the referrers API."""

    program = "zot"
    access = re.compile(r'"method":"([A-Z]+)","path":"([^"]*)","statusCode":(\d{3})')

    def command(self):
        http = {"address": "127.0.0.1", "port": str(self.port), "realm": "interop"}
        if self.tls:
            http["tls"] = {"cert": str(self.tls[0]), "key": str(self.tls[1])}
            if self.callers:
                http["tls"]["cacert"] = str(self.callers.certificate)
        if self.login == "basic":
            http["auth"] = {"htpasswd": {"path": self.htpasswd()}}
        elif self.login:
            http["auth"] = {"bearer": {"realm": self.login.realm(self.realm), "service": SERVICE,
                                       "cert": str(self.login.certificate)}}
        config = {"distSpecVersion": "1.0.1-dev", "log": {"level": "info"}, "http": http,
                  "storage": {"rootDirectory": str(self.folder / "store"), "gc": False, "dedupe": False}}
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        return [self.program, "serve", path]


class Crane(Server):
    """What `crane registry serve` serves: in memory, without logins and TLS."""

    program = "crane"
    access = re.compile(r"^\S+ \S+ ([A-Z]+) (/\S*)(?: (\d{3}) .*)?$", re.MULTILINE)

    def command(self):
        return [self.program, "registry", "serve", "--address", f"127.0.0.1:{self.port}"]
