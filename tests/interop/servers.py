"""Real registries on this machine: Debian's docker-registry, plain, with passwords, with TLS and with tokens.

Each has its own folder, its own port on 127.0.0.1 and its own access log; all end with the script.
"""

import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER = "gate"
PASSWORD = "correct-horse-of-the-interop-suite"
WRONG = "wrong-horse-of-the-interop-suite"
REFRESH = "refresh-token-of-the-interop-suite"
# `htpasswd -nbB -C 5 gate PASSWORD`, written down because not every machine can make bcrypt
HTPASSWD = "gate:$2y$05$plimsollinteropsuite.upXzEUC0cB34MfHaAlac3tvW6gcfJnKi\n"
SERVICE = "interop"
ACCESS = re.compile(r'"([A-Z]+) (\S+) HTTP/[0-9.]+" (\d{3})')


def free_port():
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def openssl(*arguments, stdin=None):
    """Run openssl; its standard output."""
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=True, capture_output=True).stdout


class Authority:
    """A certificate authority that nobody trusts, and what it signs."""

    def __init__(self, folder, name):
        folder.mkdir(parents=True)
        self.folder, self.certificate, self.key = folder, folder / "ca.pem", folder / "ca.key"
        config = folder / "ca.cnf"
        config.write_text(
            f"[req]\ndistinguished_name = name\nx509_extensions = ca\nprompt = no\n[name]\nCN = {name}\n"
            "[ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n"
            "subjectKeyIdentifier = hash\n")
        openssl("req", "-x509", "-config", config, "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "2",
                "-keyout", self.key, "-out", self.certificate)

    def sign(self, name, alternatives):
        """A certificate for these alternative names; the paths of certificate and key."""
        key, request, signed = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        config, extensions = self.folder / f"{name}.cnf", self.folder / f"{name}.ext"
        config.write_text(f"[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = {name}\n")
        extensions.write_text(
            f"basicConstraints = critical, CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = {alternatives}\n")
        openssl("req", "-new", "-config", config, "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-sha256", "-days", "2", "-extfile", extensions, "-out", signed)
        return signed, key


class Registry:
    """One docker-registry; `host` is what stands in references."""

    def __init__(self, folder, name, extra="", authority=None):
        self.name, self.folder, self.authority = name, folder / name, authority
        self.tls = authority and authority.sign(name, "DNS:localhost,IP:127.0.0.1")
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        self.extra = extra
        self.process = None
        for _ in range(5):  # a free port may be taken before the registry has it
            self.port = free_port()
            if self._start():
                break
        else:
            raise RuntimeError(f"docker-registry does not start:\n{self.log.read_text()[-2000:]}")
        self.host = f"localhost:{self.port}"

    def _start(self):
        http = {"addr": f"127.0.0.1:{self.port}", "secret": "interop"}
        if self.tls:
            http["tls"] = {"certificate": str(self.tls[0]), "key": str(self.tls[1])}
        config = self.folder / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: warn, accesslog: {disabled: false}}\n"
            f"storage: {{filesystem: {{rootdirectory: {json.dumps(str(self.folder / 'store'))}}}}}\n"
            f"http: {json.dumps(http)}\n{self.extra}")
        # Its settings can also come from the environment, so it gets none.
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
        scheme = "https" if self.tls else "http"
        unverified = ssl._create_unverified_context()
        for _ in range(200):
            if self.process.poll() is not None:
                return False
            try:
                urllib.request.urlopen(f"{scheme}://127.0.0.1:{self.port}/v2/", timeout=5, context=unverified)
                return True
            except urllib.error.HTTPError:
                return True  # it asks for credentials
            except OSError:
                time.sleep(0.05)
        self.stop()
        return False

    def requests(self):
        """Every request so far, as (method, path, status)."""
        found = ACCESS.findall(self.log.read_text("utf-8", "replace"))
        return [(method, path, int(status)) for method, path, status in found]

    def stop(self):
        """End it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class TokenServer:
    """A token endpoint as the distribution project specifies it: basic credentials or a refresh token for a JWT."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.certificate, self.key = folder / "token.pem", folder / "token.key"
        config = folder / "token.cnf"
        config.write_text("[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = interop tokens\n")
        openssl("req", "-x509", "-config", config, "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "2",
                "-keyout", self.key, "-out", self.certificate)
        self.asked = []  # (method, whether credentials came along, scope)
        self.issued = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            """GET with basic credentials, POST with a refresh token."""

            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                self.answer("token", query, server.knows(self.headers.get("Authorization", "")))

            def do_POST(self):
                length = int(self.headers.get("Content-Length", "0"))
                form = urllib.parse.parse_qs(self.rfile.read(length).decode())
                known = form.get("grant_type") == ["refresh_token"] and form.get("refresh_token") == [REFRESH]
                self.answer("access_token", form, known)

            def answer(self, field, asked, known):
                scopes = asked.get("scope", [])
                credentials = "Authorization" in self.headers or "refresh_token" in asked
                server.asked.append((self.command, credentials, scopes))
                body = {field: server.issue(scopes), "expires_in": 300} if known else {"errors": [{"code": "DENIED"}]}
                data = json.dumps(body).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments):
                """Silence; `asked` is the log."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def knows(self, authorization):
        """Whether these are the right basic credentials."""
        return authorization == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def issue(self, scopes):
        """A signed token for all that is asked for."""
        der = openssl("x509", "-in", self.certificate, "-outform", "DER")
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        now = int(time.time())
        access = []
        for scope in " ".join(scopes).split():
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        claims = {"iss": "interop", "sub": USER, "aud": SERVICE, "iat": now, "nbf": now - 10, "exp": now + 300,
                  "jti": os.urandom(8).hex(), "access": access}
        signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
                          for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.key, stdin=signed.encode())
        token = signed + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        self.issued.append(token)
        return token

    def settings(self, realm_host="localhost"):
        """The auth section of a docker-registry that sends its clients here."""
        token = {"realm": f"http://{realm_host}:{self.port}/token", "service": SERVICE, "issuer": "interop",
                 "rootcertbundle": str(self.certificate)}
        return f"auth: {json.dumps({'token': token})}\n"

    def stop(self):
        """End it."""
        self.http.shutdown()
        self.http.server_close()


class Proxy:
    """A proxy for TLS (CONNECT) that wants a password of its own."""

    PASSWORD = "proxy-word-of-the-interop-suite"

    def __init__(self):
        self.asked = []  # (host and port, whether the password was right)
        proxy, right = self, "Basic " + base64.b64encode(f"{USER}:{self.PASSWORD}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            """One tunnel a connection."""

            def do_CONNECT(self):
                known = self.headers.get("Proxy-Authorization") == right
                proxy.asked.append((self.path, known))
                if not known:
                    self.send_error(407)
                    return
                host, port = self.path.rsplit(":", 1)
                with socket.create_connection((host, int(port)), timeout=10) as far:
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


def htpasswd(folder):
    """The auth section of a docker-registry with one user."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "htpasswd"
    path.write_text(HTPASSWD)
    return f"auth: {json.dumps({'htpasswd': {'realm': 'interop', 'path': str(path)}})}\n"


class Client:
    """skopeo, and crane where it is to be had, as other people's word on the same registries."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.crane = shutil.which("crane")

    def _options(self, registry, side=""):
        if registry.tls:
            certificates = self.folder / f"certificates-{registry.name}"
            if not certificates.exists():
                certificates.mkdir()
                shutil.copy(registry.authority.certificate, certificates / "ca.crt")
            options = [f"--{side}cert-dir={certificates}"]
        else:
            options = [f"--{side}tls-verify=false"]
        return options + ([f"--{side}creds={USER}:{PASSWORD}"] if registry.extra else [])

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
            (config / "config.json").write_text(json.dumps(auths(registry.host) if registry.extra else {}))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_CONFIG": str(config)}
        if registry.tls:
            environment["SSL_CERT_FILE"] = str(registry.authority.certificate)
        command = [self.crane, "digest", f"{registry.host}/{name}"]
        if platform:
            command.append(f"--platform={platform}")
        return subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout.decode().strip()


def auths(host, password=PASSWORD):
    """Docker's config.json with a password in it."""
    return {"auths": {host: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}}}
