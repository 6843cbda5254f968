"""TLS of an unknown authority, and proxies on the way."""

import servers
from logins import WRONG
from suite import FEW, LENIENT, Scene, full_circle, undecided


def tls(suite, registry, stranger):
    """A certificate of an own authority: named, not named, and another one named."""
    host = registry.host
    suite.push(registry, FEW)
    full_circle(suite, registry, FEW, [{"prefix": host, "ca": str(registry.authority.certificate)}])
    texts = [f"{host}/{name}" for name in FEW]
    by_address = f"127.0.0.1:{registry.port}"
    mirror = {"prefix": "docker.io", "mirrors": [f"https://{by_address}"], "only-mirrors": True}
    good = {
        "an address in the certificate": [{"prefix": by_address, "ca": str(registry.authority.certificate)}],
        "declared insecure": [{"prefix": host, "insecure": True}, {"prefix": by_address, "insecure": True}],
    }
    for case, settings in good.items():
        scene = Scene(suite, settings, rules=LENIENT)
        name = by_address if "address" in case else host
        scene.manifest([f"{name}/{image}" for image in FEW])
        scene.expect(0, f"TLS: {case}: pin", "pin")
        suite.checks.equal([text.split("@")[-1] for text in scene.images()],
                           [suite.images[image]["digest"] for image in FEW], f"TLS: {case}: pinned")
    scene = Scene(suite, [{**mirror, "ca": str(registry.authority.certificate)}], rules=LENIENT)
    scene.manifest(["nginx:1.25"])
    scene.expect(0, "TLS: a mirror with its authority: pin", "pin")

    bad = {
        "another authority": [{"prefix": host, "ca": str(stranger.certificate)}],
        "no settings": [],
        "another registry's settings": [{"prefix": "localhost:1", "ca": str(registry.authority.certificate)}],
        "a mirror of an unknown authority": [mirror],
    }
    for case, settings in bad.items():
        scene = Scene(suite, settings, rules=LENIENT)
        scene.manifest(["nginx:1.25"] if "mirror" in case else texts)
        undecided(scene, f"TLS: {case}")


def proxies(suite, registry, proxy):
    """The proxy variables: used, left out by no_proxy, wrong, and not for this machine itself."""
    host, far = registry.host, f"{servers.FAR}:{registry.port}"
    suite.trusted.append(f"{far}/**")
    right, missing = {"https_proxy": proxy.url()}, f"http://127.0.0.1:{servers.free_port()}"
    cases = {"https_proxy": (right, far, 0, True),
             "HTTPS_PROXY": ({"HTTPS_PROXY": proxy.url()}, far, 0, True),
             "no_proxy": ({**right, "no_proxy": servers.FAR}, far, 3, False),
             "NO_PROXY of the whole domain": ({**right, "NO_PROXY": ".interop.test"}, far, 3, False),
             "no_proxy of another host": ({**right, "no_proxy": f"other.{servers.FAR}"}, far, 0, True),
             "http_proxy alone": ({"http_proxy": proxy.url()}, far, 3, False),
             "a wrong password for the proxy": ({"https_proxy": proxy.url(WRONG)}, far, 3, True),
             "a proxy that is not there": ({"https_proxy": missing}, far, 3, False),
             "this machine itself": (right, host, 0, False)}
    for case, (variables, asked, code, used) in cases.items():
        settings = [{"prefix": asked, "ca": str(registry.authority.certificate)}]
        scene = Scene(suite, settings, rules=LENIENT, **variables)
        scene.manifest([f"{asked}/{name}" for name in FEW])
        before = len(proxy.asked)
        scene.expect(code, f"proxies: {case}", "check")
        suite.checks.equal({place for place, _ in proxy.asked[before:]}, {far} if used else set(),
                           f"proxies: {case}: what the proxy saw")
