"""A token endpoint as the distribution project specifies it: basic credentials or a refresh token for a signed JWT."""

import base64
import json
import os
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from authority import openssl
from logins import REFRESH, USER, basic

SERVICE = "interop"
ISSUER = "interop"


class TokenServer:
    """Issues tokens for all that is asked for, with no more rights than that."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.certificate, self.key = folder / "token.pem", folder / "token.key"
        config = folder / "token.cnf"
        config.write_text("[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = interop tokens\n")
        openssl("req", "-x509", "-config", config, "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "2",
                "-keyout", self.key, "-out", self.certificate)
        self.der = base64.b64encode(openssl("x509", "-in", self.certificate, "-outform", "DER")).decode()
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
        return authorization == "Basic " + basic()

    def issue(self, scopes):
        """A signed token for all that is asked for."""
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self.der]}
        now = int(time.time())
        access = []
        for scope in " ".join(scopes).split():
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        claims = {"iss": ISSUER, "sub": USER, "aud": SERVICE, "iat": now, "nbf": now - 10, "exp": now + 300,
                  "jti": os.urandom(8).hex(), "access": access}
        signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
                          for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.key, stdin=signed.encode())
        token = signed + "." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        self.issued.append(token)
        return token

    def realm(self, host="localhost"):
        """Where a registry sends its clients to."""
        return f"http://{host}:{self.port}/token"

    def stop(self):
        """End it."""
        self.http.shutdown()
        self.http.server_close()
