"""The programs that build images, each told to keep to one folder and to 127.0.0.1: buildah, BuildKit, umoci, skopeo,
crane, regctl and ko.

buildah, BuildKit and umoci unpack layers with their owners, and so want root.
"""

import io
import json
import os
import random
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

KO = Path(__file__).resolve().parent / "ko"
NEEDED = ["buildah", "umoci", "skopeo", "crane", "regctl", "ko"]


def incompressible(seed, size):
    """Bytes that no compressor makes shorter, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def archive(path, files):
    """A tar file of files by path, with nothing in it that differs from run to run."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(data), 1_700_000_000, 0o644
            tar.addfile(entry, io.BytesIO(data))
    return path


class Programs:
    """The builders, with a home of their own; `registries` are those that they may use without TLS."""

    def __init__(self, folder, registries):
        self.folder, self.registries = Path(folder), registries
        self.home = self.folder / "home"
        for place in (self.home / ".config/containers", self.folder / "tmp"):
            place.mkdir(parents=True)
        (self.home / ".config/containers/policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.folder / "tmp"),
                            "XDG_RUNTIME_DIR": str(self.folder / "tmp")}
        self.numbers = 0
        for registry in registries:
            self.run("regctl", "registry", "set", "--tls", "disabled", registry.host)

    def run(self, *command, cwd=None, **environment):
        """What a program prints; an error where it fails."""
        return self.read(*command, cwd=cwd, **environment).decode()

    def read(self, *command, cwd=None, **environment):
        """The bytes that it prints."""
        done = self.tried(*command, cwd=cwd, **environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.decode('utf-8', 'replace')[-2000:]}")
        return done.stdout

    def tried(self, *command, cwd=None, **environment):
        """A program that may fail."""
        return subprocess.run(list(map(str, command)), env={**self.environment, **environment}, cwd=cwd,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=300)

    def place(self, what):
        """A new folder."""
        self.numbers += 1
        made = self.folder / f"{self.numbers}-{what}"
        made.mkdir()
        return made

    def context(self, lines, files):
        """A folder with a Dockerfile and files."""
        folder = self.tree(files)
        (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
        return folder

    def tree(self, files):
        """A folder with files."""
        folder = self.place("tree")
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    # buildah

    def buildah(self, *arguments, store="store"):
        """buildah with a store of that name, which is gone with the folder."""
        root = self.folder / store
        return self.run("buildah", "--storage-driver", "vfs", "--root", root / "root", "--runroot", root / "run",
                        *arguments)

    def bud(self, to, lines, files, *options, store="store"):
        """Build a Dockerfile with buildah, and push."""
        name = f"interop-{self.numbers}"
        context = self.context(lines, files)
        self.buildah("bud", "--isolation", "chroot", "--tls-verify=false", *options, "-t", name, context, store=store)
        self.buildah("push", "--tls-verify=false", name, f"docker://{to}", store=store)

    def commit(self, to, base, files, *options):
        """What is done step by step with buildah: from, copy, commit, push."""
        context, name = self.tree(files), f"interop-{self.numbers}"
        self.buildah("from", "--isolation", "chroot", "--tls-verify=false", "--name", name, base)
        self.buildah("copy", name, context, "/app/")
        self.buildah("commit", *options, name, name)
        self.buildah("push", "--tls-verify=false", name, f"docker://{to}")

    # umoci

    def umoci(self, to, base, files):
        """Unpack a base, put files beside it, pack it again, push."""
        folder = self.place("umoci")
        layout = folder / "layout"
        self.skopeo(f"docker://{base}", f"oci:{layout}:base")
        self.run("umoci", "unpack", "--image", f"{layout}:base", folder / "bundle")
        for name, data in files.items():
            path = folder / "bundle/rootfs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.run("umoci", "repack", "--image", f"{layout}:new", folder / "bundle")
        self.run("umoci", "config", "--image", f"{layout}:new", "--config.entrypoint", f"/{next(iter(files))}")
        self.skopeo(f"oci:{layout}:new", f"docker://{to}")

    def umoci_new(self, to, layers):
        """An image of nothing but these layers, each {path: bytes}, by umoci alone."""
        self._umoci_new(to, [["insert", self.tree(files), "/"] for files in layers])

    def umoci_raw(self, to, layer):
        """An image of nothing but a tar file."""
        self._umoci_new(to, [["raw", "add-layer", layer]])

    def _umoci_new(self, to, steps):
        layout = self.place("umoci") / "layout"
        self.run("umoci", "init", "--layout", layout)
        self.run("umoci", "new", "--image", f"{layout}:new")
        for step in steps:
            words = 2 if step[0] == "raw" else 1
            self.run("umoci", *step[:words], "--image", f"{layout}:new", *step[words:])
        self.run("umoci", "config", "--image", f"{layout}:new", "--architecture", "amd64", "--os", "linux")
        self.skopeo(f"oci:{layout}:new", f"docker://{to}")

    # skopeo

    def skopeo(self, source, to, *options):
        """Copy one image."""
        open_ways = [f"--{side}-tls-verify=false" for side, end in (("src", source), ("dest", to))
                     if end.startswith("docker://")]
        self.run("skopeo", "--insecure-policy", "copy", "--quiet", *open_ways, *options, source, to)

    def recompressed(self, to, source):
        """A copy whose layers are compressed by zstd."""
        # By way of a folder: to a registry that has the layers already, skopeo sends nothing, and so compresses nothing.
        folder = self.place("zstd")
        self.skopeo(f"docker://{source}", f"dir:{folder}", "--dest-compress", "--dest-compress-format=zstd")
        self.skopeo(f"dir:{folder}", f"docker://{to}", "--preserve-digests")

    # crane and regctl

    def crane(self, *arguments):
        """crane, which speaks plain HTTP to this machine by itself."""
        return self.run("crane", *arguments)

    def append(self, to, layers, *options):
        """Layers, each {path: bytes}, on a base or on nothing, by crane."""
        folder = self.place("append")
        files = [f"--new_layer={archive(folder / f'{number}.tar', layer)}" for number, layer in enumerate(layers)]
        self.crane("append", *files, "--new_tag", to, *options)

    def regctl(self, *arguments):
        """regctl."""
        return self.run("regctl", *arguments)

    def index(self, to, children):
        """One image of several platforms."""
        self.crane("index", "append", *(f"--manifest={child}" for child in children), "--tag", to)

    # ko

    def ko(self, to, base, *options):
        """The program in `ko/` on a base."""
        repository, tag = to.rsplit(":", 1)
        # Its own caches are kept: they are the compiler's.
        cache = {name: self.go(name) for name in ("GOCACHE", "GOMODCACHE")}
        self.run("ko", "build", "--bare", "--tags", tag, *options, ".", cwd=KO, KO_DEFAULTBASEIMAGE=base,
                 KO_DOCKER_REPO=repository, GOFLAGS="-mod=readonly", GOPROXY="off", GOTOOLCHAIN="local", **cache)

    @staticmethod
    def go(name):
        """A setting of the caller's Go."""
        return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True).stdout.strip()


class BuildKit:
    """A buildkitd of its own, with the one worker that needs no containerd."""

    def __init__(self, programs):
        self.programs, self.folder = programs, programs.place("buildkit")
        self.address = f"unix://{self.folder}/sock"
        config = f"""root = "{self.folder}/root"
[grpc]
address = ["{self.address}"]
[otel]
socketPath = "{self.folder}/otel"
[worker.containerd]
enabled = false
[worker.oci]
enabled = true
snapshotter = "native"
"""
        config += "".join(f'[registry."{registry.host}"]\nhttp = true\n' for registry in programs.registries)
        (self.folder / "config.toml").write_text(config)
        self.log = self.folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["buildkitd", "--config", self.folder / "config.toml"], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=programs.environment)
        for _ in range(200):
            if self.process.poll() is not None or (self.folder / "sock").exists():
                break
            time.sleep(0.05)

    @staticmethod
    def here():
        """Whether it can be run: with runc, which it looks for when it starts."""
        return all(shutil.which(name) for name in ("buildkitd", "buildctl", "runc"))

    def build(self, to, lines, files, *options):
        """Build a Dockerfile, and push."""
        context = self.programs.context(lines, files)
        done = self.programs.tried("buildctl", "--addr", self.address, "build", "--frontend", "dockerfile.v0",
                                   "--local", f"context={context}", "--local", f"dockerfile={context}",
                                   *(f"--opt={option}" for option in options),
                                   "--output", f"type=image,name={to},push=true")
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"buildctl: {said}\n{self.log.read_text()[-2000:]}")

    def stop(self):
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def manifests(programs, name):
    """The manifests of an image as crane shows them: {platform: manifest}, attestations left out."""
    top = json.loads(programs.crane("manifest", name))
    if "manifests" not in top:
        config = json.loads(programs.crane("config", name))
        return {platform(config): dict(top, config_read=config)}
    found = {}
    for child in top["manifests"]:
        if child["platform"]["os"] == "unknown":
            continue
        bare = f"{name.rsplit(':', 1)[0]}@{child['digest']}"
        found[platform(child["platform"])] = dict(json.loads(programs.crane("manifest", bare)),
                                                  config_read=json.loads(programs.crane("config", bare)))
    return found


def platform(said):
    """os/architecture[/variant] of a config or an entry."""
    return "/".join(said[key] for key in ("os", "architecture", "variant") if said.get(key))
