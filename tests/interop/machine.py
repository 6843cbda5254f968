"""The files of other tools that say how this machine reaches registries: `certs.d` and `registries.conf`."""

import shutil

import servers
from authority import Authority
from suite import FEW, LENIENT, Scene, undecided


def home_of(scene, *, configs=(), certificates=()):
    """Give a scene a home of its own with `registries.conf` and folders of `certs.d`: {host: {name: file}}."""
    home = scene.tree.parent / "home"
    containers = home / ".config" / "containers"
    containers.mkdir(parents=True)
    for text in configs:
        (containers / "registries.conf").write_text(text)
    for host, files in dict(certificates).items():
        folder = containers / "certs.d" / host
        folder.mkdir(parents=True)
        for name, file in files.items():
            shutil.copy(file, folder / name)
    scene.environment["HOME"] = str(home)


def client_certificates(suite, kind):
    """A registry that answers only those who show a certificate of an authority that it knows."""
    callers = Authority(suite.servers / f"callers-{kind.__name__}", "callers")
    registry = suite.start(kind, f"{kind.__name__.lower()}-mutual", authority=suite.authority, callers=callers)
    certificate, key = callers.sign("client", "DNS:client", use="clientAuth")
    stranger, stranger_key = suite.stranger.sign("client", "DNS:client", use="clientAuth")
    names = [name for name in FEW if kind is not servers.Zot or "docker" not in suite.images[name]["mediaType"]]
    suite.client.certificates(registry, certificate, key)
    suite.push(registry, names)
    ca = suite.authority.certificate
    texts = [f"{registry.host}/{name}" for name in names]
    right = {"ca.crt": ca, "client.cert": certificate, "client.key": key}
    scene = Scene(suite, rules=LENIENT)
    home_of(scene, certificates={registry.host: right})
    scene.manifest(texts)
    scene.expect(0, f"{registry.name}: check with the certificate of certs.d", "check")
    scene.expect(0, f"{registry.name}: pin", "pin")
    suite.checks.equal([text.split("@")[1] for text in scene.images()], [suite.images[name]["digest"] for name in names],
                       f"{registry.name}: pinned")
    wrong = {"no certificate": {"ca.crt": ca}, "a stranger's certificate": {**right, "client.cert": stranger,
                                                                           "client.key": stranger_key},
             "no authority": {"client.cert": certificate, "client.key": key}}
    if kind is not servers.DockerRegistry:  # a refused certificate is tried again, with pauses: once more is enough
        wrong = {"no certificate": wrong["no certificate"]}
    for case, files in wrong.items():
        scene = Scene(suite, rules=LENIENT)
        home_of(scene, certificates={registry.host: files})
        scene.manifest(texts)
        undecided(scene, f"{registry.name}: {case}")
    scene = Scene(suite, rules=LENIENT)
    home_of(scene, certificates={f"localhost:{servers.free_port()}": right})
    scene.manifest(texts)
    undecided(scene, f"{registry.name}: another host's certificate")


def registries_conf(suite, registry, other):
    """podman's mirrors, locations, `insecure` and `blocked`, against the registries that they lead to."""
    image, digest = "library/nginx:1.25", suite.images["library/nginx:1.25"]["digest"]
    suite.client.push(registry, suite.source(image), image)
    suite.client.push(registry, suite.source(image), f"deep/hub/{image}")
    down = f"localhost:{servers.free_port()}"
    mirror = '[[registry]]\nprefix = "docker.io"\nlocation = "{}"\n'
    place = '[[registry.mirror]]\nlocation = "{}"\ninsecure = true\n'
    insecure = "insecure = true\n"
    good = {
        "another location": mirror.format(registry.host) + insecure,
        "another location below a path": mirror.format(f"{registry.host}/deep/hub") + insecure,
        "a mirror": mirror.format(down) + place.format(registry.host),
        "the second mirror": mirror.format(down) + place.format(other.host) + place.format(registry.host),
        "a longer prefix": mirror.format(down) + '[[registry]]\nprefix = "docker.io/library"\n'
                           f'location = "{registry.host}/library"\n{insecure}',
    }
    for case, text in good.items():
        scene = Scene(suite)
        home_of(scene, configs=[text])
        scene.manifest(["nginx:1.25"])
        scene.expect(0, f"registries.conf: {case}: pin", "pin")
        suite.checks.equal(scene.images(), [f"nginx:1.25@{digest}"], f"registries.conf: {case}: the name stays")
    bad = {"blocked": mirror.format(registry.host) + insecure + "blocked = true\n",
           "nobody answers": mirror.format(down) + insecure}
    for case, text in bad.items():
        scene = Scene(suite, rules=LENIENT)
        home_of(scene, configs=[text])
        scene.manifest(["nginx:1.25"])
        undecided(scene, f"registries.conf: {case}")
