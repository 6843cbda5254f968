"""A certificate authority that nobody trusts, and what it signs, by openssl."""

import subprocess


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

    def sign(self, name, alternatives, use="serverAuth"):
        """A certificate for these alternative names and this use; the paths of certificate and key."""
        key, request, signed = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        config, extensions = self.folder / f"{name}.cnf", self.folder / f"{name}.ext"
        config.write_text(f"[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = {name}\n")
        extensions.write_text(
            f"basicConstraints = critical, CA:FALSE\nextendedKeyUsage = {use}\nsubjectAltName = {alternatives}\n")
        openssl("req", "-new", "-config", config, "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-sha256", "-days", "2", "-extfile", extensions, "-out", signed)
        return signed, key
