"""Small base images, and images on them by every builder, each with the truth: what it was built on, and whether the
base's layers still stand in it."""

import gzip
import json
from dataclasses import dataclass, field

from builders.programs import BuildKit, incompressible, manifests
from raw import Pusher

DEBIAN = "library/debian:12-slim"
GOLANG, SIBLING = "library/golang:1.25", "library/golang:1.26"
STATIC, ALPINE = "library/static:latest", "library/alpine:3.20"
REDHAT, DECOY = "library/redhat:9", "library/ubuntu:24.04"
# An image's own word makes plimsoll ask the image's own registry alone, and buildah packs a base's layers anew for another.
FAR = ["buildah-far", "buildah-recompressed"]
BASES = [DEBIAN, GOLANG, SIBLING, STATIC, ALPINE, REDHAT, DECOY]
AMD64, ARM64 = "linux/amd64", "linux/arm64"
NAME, DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"


@dataclass
class Base:
    """What a base's tag named at one time."""

    tag: str
    digest: str
    parts: dict  # platform: manifest


@dataclass
class Made:
    """One image; `on` has the base of each platform that has one."""

    name: str
    how: str
    on: dict
    kept: bool = True
    parts: dict = field(default_factory=dict)  # platform: manifest, as crane shows it

    def truth(self):
        """The base in words."""
        words = sorted({base.tag.partition("/")[2] for base in self.on.values()}) or ["none"]
        return " and ".join(words) + ("" if self.kept else ", squashed")


class Factory:
    """Builds everything into two registries: `hub` has the bases and most of what was built on them, `far` the rest."""

    def __init__(self, programs, hub, far, stack):
        self.programs, self.hub, self.far = programs, hub, far
        self.made = {}
        self.buildkit = None
        if BuildKit.here():
            self.buildkit = BuildKit(programs)
            stack.callback(self.buildkit.stop)

    def base(self, tag):
        """The reference of a base."""
        return f"{self.hub.host}/{tag}"

    def app(self, name):
        """The reference of an image."""
        return f"{(self.far if name in FAR else self.hub).host}/app/{name}:1"

    def now(self, tag):
        """What a base's tag names now."""
        return Base(tag, self.programs.crane("digest", self.base(tag)).strip(), manifests(self.programs, self.base(tag)))

    def keep(self, name, how, on, kept=True):
        """Note what was built; `on` is a tag, nothing, or {platform: base}."""
        parts = manifests(self.programs, self.app(name))
        if isinstance(on, str):
            on = self.now(on)
        if isinstance(on, Base):
            on = {platform: on for platform in parts}
        self.made[name] = Made(name, how, on or {}, kept, parts)

    def build(self):
        """Everything, in the order of time: `ALPINE` moves in the middle."""
        self.bases()
        self.by_buildah()
        self.by_buildkit()
        self.by_others()
        self.by_conversion()
        self.by_ko()
        self.by_liars()
        self.across_time()
        return self.made

    def bases(self):
        """The bases, by three builders, in both media types, for one and two platforms."""
        programs, children = self.programs, []
        for processor in ("amd64", "arm64"):
            child = f"{self.base(DEBIAN)}-{processor}"
            files = {"etc/os-release": b"ID=debian\n", "bin/sh": incompressible(f"debian {processor}", 200_000)}
            programs.bud(child, ["FROM scratch", "COPY etc /etc", "COPY bin /bin", 'CMD ["/bin/sh"]'], files,
                         "--arch", processor)
            children.append(child)
        programs.index(self.base(DEBIAN), children)
        for tag in (GOLANG, SIBLING):
            files = {"lib/go": incompressible(f"golang {tag}", 300_000), "etc/go": tag.encode()}
            programs.bud(self.base(tag), [f"FROM {self.base(DEBIAN)}", "COPY lib /usr/lib", "COPY etc /usr/etc"], files,
                         "--layers")
        children = []
        for processor in ("amd64", "arm64"):
            child = f"{self.base(STATIC)}-{processor}"
            layers = [{"etc/passwd": b"root:x:0:0::/:/sbin/nologin\n"}, {"usr/share/zoneinfo": incompressible("zones", 90_000)},
                      {"lib/libc": incompressible(f"static {processor}", 60_000)}]
            programs.append(child, layers, "--oci-empty-base")
            programs.crane("mutate", child, "--set-platform", f"linux/{processor}", "--tag", child)
            children.append(child)
        programs.index(self.base(STATIC), children)
        programs.umoci_new(self.base(ALPINE), [{"etc/os-release": b"ID=alpine\n",
                                                "lib/musl": incompressible("alpine", 120_000)}])
        programs.bud(self.base(REDHAT), ["FROM scratch", "COPY bin /bin"], {"bin/bash": incompressible("redhat", 150_000)},
                     "--format", "docker")
        programs.append(self.base(DECOY), [{"bin/decoy": incompressible("decoy", 70_000)}], "--oci-empty-base")
        programs.crane("mutate", self.base(DECOY), "--set-platform", AMD64, "--tag", self.base(DECOY))

    def by_buildah(self):
        """What buildah makes of one Dockerfile, by each way that it has."""
        for name, how, base, options in (
                ("buildah", "buildah bud", DEBIAN, []),
                ("buildah-layers", "buildah bud --layers", DEBIAN, ["--layers"]),
                ("buildah-squash", "buildah bud --squash", DEBIAN, ["--squash"]),
                ("buildah-docker", "buildah bud --format docker", DEBIAN, ["--format", "docker"]),
                ("buildah-recompressed", "buildah bud, the base compressed by crane", STATIC, []),
                ("buildah-far", "buildah bud, to another registry than the base's", DEBIAN, []),
                ("buildah-two-levels", "buildah bud on a base with a base", GOLANG, []),
                ("buildah-docker-two-levels", "the same with --format docker", GOLANG, ["--format", "docker"]),
                ("buildah-on-docker", "buildah bud on a base of Docker's media types", REDHAT, []),
                ("buildah-scratch", "buildah bud, FROM scratch", None, [])):
            where = self.base(base) if base else "scratch"
            self.programs.bud(self.app(name), [f"FROM {where}", "COPY app /app", 'ENTRYPOINT ["/app/run"]'],
                              self.content(name), *options)
            self.keep(name, how, base, kept="--squash" not in options)
        self.programs.commit(self.app("buildah-commit"), self.base(DEBIAN), self.content("commit"))
        self.keep("buildah-commit", "buildah from, copy, commit", DEBIAN)

    def by_buildkit(self):
        """BuildKit, with the provenance that it writes and does not sign."""
        if not self.buildkit:
            return
        final = ["COPY app /app", 'ENTRYPOINT ["/app/run"]']
        stages = [f"FROM {self.base(GOLANG)} AS build", "COPY app /built", f"FROM {self.base(DEBIAN)}",
                  "COPY --from=build /built /app"]
        for name, how, lines, options, base in (
                ("buildkit", "BuildKit without provenance", [f"FROM {self.base(DEBIAN)}", *final], [], DEBIAN),
                ("buildkit-provenance", "BuildKit with provenance", [f"FROM {self.base(DEBIAN)}", *final],
                 ["attest:provenance=mode=max"], DEBIAN),
                ("buildkit-provenance-1", "BuildKit with SLSA 1 provenance, two platforms",
                 [f"FROM {self.base(DEBIAN)}", *final], ["attest:provenance=mode=min,version=v1",
                                                         f"platform={AMD64},{ARM64}"], DEBIAN),
                ("buildkit-stages", "BuildKit with provenance, two stages", stages, ["attest:provenance=mode=max"], DEBIAN)):
            self.buildkit.build(self.app(name), lines, self.content(name), *options)
            self.keep(name, how, base)

    def by_others(self):
        """Layers put on a base by umoci and crane; a base that nothing was added to."""
        self.programs.umoci(self.app("umoci"), f"{self.base(DEBIAN)}", self.content("umoci"))
        self.keep("umoci", "umoci repack", DEBIAN)
        self.programs.umoci(self.app("umoci-two-levels"), self.base(GOLANG), self.content("umoci"))
        self.keep("umoci-two-levels", "umoci repack on a base with a base", GOLANG)
        layers = [self.content("crane-1"), self.content("crane-2")]
        for name, how, base, options in (
                ("crane-append", "crane append", DEBIAN, []),
                ("crane-append-annotated", "crane append --set-base-image-annotations", DEBIAN,
                 ["--set-base-image-annotations"]),
                ("crane-append-two-levels", "crane append on a base with a base", GOLANG, []),
                ("crane-append-docker", "crane append on a base of Docker's media types", REDHAT, [])):
            self.programs.append(self.app(name), layers, "--base", self.base(base), *options)
            self.keep(name, how, base)
        self.programs.append(self.app("crane-scratch"), layers)
        self.keep("crane-scratch", "crane append on nothing", None)
        self.programs.crane("mutate", f"{self.base(STATIC)}-amd64", "--label", "a=b", "--tag", self.app("nothing-added"))
        self.keep("nothing-added", "crane mutate of a base", STATIC)

    def by_conversion(self):
        """Images made of images: other media types, other compression, other settings, one layer."""
        programs, source = self.programs, self.app("buildah")
        programs.skopeo(f"docker://{source}", f"docker://{self.app('skopeo-docker')}", "--format=v2s2")
        self.keep("skopeo-docker", "skopeo copy --format v2s2", DEBIAN)
        programs.recompressed(self.app("skopeo-zstd"), source)
        self.keep("skopeo-zstd", "skopeo copy --dest-compress-format zstd", DEBIAN)
        programs.regctl("image", "mod", self.app("buildah-docker"), "--create", self.app("regctl-zstd"),
                        "--layer-compress", "zstd")
        self.keep("regctl-zstd", "regctl image mod --layer-compress zstd, not annotated", DEBIAN)
        programs.crane("mutate", source, "--label", "a=b", "--entrypoint", "/other", "--tag", self.app("crane-mutate"))
        self.keep("crane-mutate", "crane mutate --label --entrypoint", DEBIAN)
        programs.crane("flatten", source, "--tag", self.app("crane-flatten"))
        self.keep("crane-flatten", "crane flatten", DEBIAN, kept=False)
        programs.crane("flatten", self.app("buildah-docker"), "--tag", self.app("crane-flatten-docker"))
        self.keep("crane-flatten-docker", "crane flatten, not annotated", DEBIAN, kept=False)

    def by_ko(self):
        """ko, on an index and on one platform of it."""
        self.programs.ko(self.app("ko"), self.base(DEBIAN), f"--platform={AMD64},{ARM64}")
        self.keep("ko", "ko build for two platforms", DEBIAN)
        self.programs.ko(self.app("ko-static"), self.base(STATIC), f"--platform={AMD64}", "--sbom=none")
        self.keep("ko-static", "ko build for one platform", STATIC)

    def by_liars(self):
        """Annotations and platforms that say what is not so."""
        decoy, redhat = self.now(DECOY), self.now(REDHAT)
        self.programs.append(self.app("honest"), [self.content("honest")], "--base", self.base(REDHAT))
        for name, how, annotations in (
                ("liar", "annotated with another base's name and digest",
                 {NAME: self.base(DECOY), DIGEST: decoy.digest}),
                ("liar-name", "annotated with another base's name", {NAME: self.base(DECOY)}),
                ("liar-name-own-digest", "annotated with another base's name and its own base's digest",
                 {NAME: self.base(DECOY), DIGEST: redhat.digest}),
                ("liar-digest", "annotated with its own base's name and another's digest",
                 {NAME: self.base(REDHAT), DIGEST: decoy.digest})):
            said = [f"--annotation={key}={value}" for key, value in annotations.items()]
            self.programs.crane("mutate", self.app("honest"), *said, "--tag", self.app(name))
            self.keep(name, f"crane mutate --annotation: {how}", REDHAT)
        self.programs.crane("mutate", self.app("buildah"), "--set-platform", ARM64, "--tag", self.app("other-platform"))
        self.keep("other-platform", "crane mutate --set-platform: amd64's layers called arm64", None)
        self.programs.crane("mutate", self.app("buildah-docker"), "--set-platform", ARM64, "--tag",
                            self.app("other-platform-docker"))
        self.keep("other-platform-docker", "the same, not annotated", None)
        self.mixed()
        self.without_it()

    def mixed(self):
        """An index whose platforms stand on different bases."""
        child = f"{self.hub.host}/app/mixed:arm64"
        self.programs.append(child, [self.content("mixed")], "--base", f"{self.base(STATIC)}-arm64")
        self.programs.index(self.app("mixed"), [self.app("buildah-docker"), child])
        self.keep("mixed", "crane index append: each platform on another base",
                  {AMD64: self.now(DEBIAN), ARM64: self.now(STATIC)})

    def without_it(self):
        """Images whose builder was given no base, but its layer; one that only says so."""
        programs, debian = self.programs, self.now(DEBIAN)
        part, folder = debian.parts[AMD64], programs.place("layer")
        packed, name = folder / "layer.tar.gz", self.base(DEBIAN).rpartition(":")[0]
        packed.write_bytes(programs.read("crane", "blob", f"{name}@{part['layers'][0]['digest']}"))
        programs.crane("append", f"--new_layer={packed}", "--new_tag", self.app("same-layer"), "--oci-empty-base")
        programs.crane("mutate", self.app("same-layer"), "--set-platform", AMD64, "--tag", self.app("same-layer"))
        self.keep("same-layer", "crane append of a base's own layer on nothing, which writes no history", debian)
        (folder / "layer.tar").write_bytes(gzip.decompress(packed.read_bytes()))
        programs.umoci_raw(self.app("same-layer-told"), folder / "layer.tar")
        self.keep("same-layer-told", "umoci raw add-layer of a base's own layer on nothing", None)
        folder = programs.place("diff-ids")
        programs.skopeo(f"docker://{self.app('honest')}", f"dir:{folder}")
        manifest = json.loads((folder / "manifest.json").read_bytes())
        config = json.loads((folder / manifest["config"]["digest"].split(":")[1]).read_bytes())
        config["rootfs"]["diff_ids"][0] = diff_ids(part)[0]
        config["history"] = []
        pusher = Pusher(self.hub)
        for blob in manifest["layers"]:
            pusher.blob("app/liar-diff-ids", (folder / blob["digest"].split(":")[1]).read_bytes())
        manifest["config"].update(pusher.blob("app/liar-diff-ids", json.dumps(config).encode()))
        pusher.manifest("app/liar-diff-ids", "1", manifest)
        self.keep("liar-diff-ids", "a config by hand that says its layer unpacks to another base's", REDHAT)

    def across_time(self):
        """What was built on a tag before it moved, and what was moved on with it."""
        programs, built = self.programs, self.now(ALPINE)
        lines = [f"FROM {self.base(ALPINE)}", "COPY app /app"]
        programs.bud(self.app("stale"), lines, self.content("stale"))
        programs.bud(self.app("stale-docker"), lines, self.content("stale"), "--format", "docker")
        programs.append(self.app("stale-append"), [self.content("stale")], "--base", self.base(ALPINE),
                        "--set-base-image-annotations")
        programs.umoci_new(self.base(ALPINE), [{"etc/os-release": b"ID=alpine\nPATCHED=1\n",
                                                "lib/musl": incompressible("alpine, patched", 125_000)}])
        self.keep("stale", "buildah bud, then the tag moved", built)
        self.keep("stale-docker", "the same with --format docker", built)
        self.keep("stale-append", "crane append --set-base-image-annotations, then the tag moved", built)
        old = f"{self.base(ALPINE).rpartition(':')[0]}@{built.digest}"
        programs.crane("rebase", self.app("stale"), "--old_base", old, "--new_base", self.base(ALPINE), "--tag",
                       self.app("crane-rebase"))
        self.keep("crane-rebase", "crane rebase", ALPINE)
        programs.regctl("image", "mod", self.app("stale"), "--create", self.app("regctl-rebase"), "--rebase-ref",
                        f"{old},{self.base(ALPINE)}")
        self.keep("regctl-rebase", "regctl image mod --rebase-ref, which leaves the annotations", ALPINE)

    @staticmethod
    def content(seed):
        """What an application adds."""
        return {"app/run": incompressible(seed, 40_000)}


def diff_ids(manifest):
    """The layers of a manifest, uncompressed, as its config names them."""
    return manifest["config_read"]["rootfs"]["diff_ids"]


def layers(manifest):
    """The layers of a manifest, as (digest, size)."""
    return [(one["digest"], one["size"]) for one in manifest["layers"]]
