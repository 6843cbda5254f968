//! The machine's own settings, seen from outside: registries.conf, certs.d, credentials, proxies, a token on standard
//! input. Every file stands in a folder of the test; what the real machine has is not looked at.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/registry.rs"]
mod registry;
mod support;

use registry::{Behaviour, Certificate, Login, Reply, Server, basic, client_pair};
use support::{Answer, Repository, answer, pod};

const ANY: &str = "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nspec:\n  statements: [{name: all, match: ['**'], rules: {mutable-tag: {}}}]\n";
const SECRET: &str = "hunter2";

/// A registry that has every name.
fn open() -> Server {
    Server::start(Behaviour { answer_everything: true, ..Behaviour::default() })
}

/// One that wants bob's password.
fn locked() -> Server {
    let login = Login::Basic { user: "bob".into(), password: SECRET.into() };
    Server::start(Behaviour { login, answer_everything: true, ..Behaviour::default() })
}

fn naming(image: &str) -> Repository {
    let repository = Repository::new();
    repository.write("plimsoll.yaml", ANY);
    repository.write("a.yaml", pod(&format!("image: {image}")));
    repository
}

fn check(repository: &Repository, environment: &[(&str, &str)]) -> Answer {
    let mut command = repository.command(&["check", "--format", "json", "a.yaml"]);
    let answer = answer(&command.envs(environment.iter().copied()).output().unwrap());
    assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(SECRET), "{}{}", answer.stdout, answer.stderr);
    answer
}

/// Why the one reference is not allowed.
fn why(answer: &Answer) -> String {
    let report = answer.json();
    report["findings"].as_array().unwrap().iter().map(|row| row["message"].as_str().unwrap()).collect()
}

fn auth(host: &str, user: &str, password: &str) -> String {
    format!(r#"{{"auths": {{"{host}": {{"username": "{user}", "password": "{password}"}}}}}}"#)
}

// ---- registries.conf

#[test]
fn a_mirror_is_asked_and_the_name_stays() {
    let (mirror, hub) = (open(), Server::start(Behaviour::default()));
    let repository = naming("nginx:1");
    let conf = format!(
        "[[registry]]\nprefix = 'docker.io/library'\nlocation = 'registry.invalid'\n\
         [[registry.mirror]]\nlocation = '{}/empty'\n[[registry.mirror]]\nlocation = '{}/hub'\n",
        hub.host(),
        mirror.host()
    );
    repository.write("containers/registries.conf", &conf);
    let found = check(&repository, &[]);
    assert_eq!((found.code, found.verdict("nginx:1")), (0, "allow".to_owned()), "{}", found.stderr);
    assert_eq!(found.json()["references"][0]["image"], "docker.io/library/nginx:1");
    assert_eq!(hub.lines(), ["HEAD /v2/empty/nginx/manifests/1"]);
    assert_eq!(mirror.lines(), ["HEAD /v2/hub/nginx/manifests/1"]);
}

#[test]
fn a_location_is_asked_in_place_of_the_name() {
    let server = open();
    let repository = naming("reg.invalid/team/app:1");
    let conf = format!("[[registry]]\nprefix = 'reg.invalid/team'\nlocation = '{}/x/y'\n", server.host());
    repository.write("named.conf", &conf);
    repository.write("containers/registries.conf", "[[registry]]\nprefix = 'reg.invalid'\nblocked = true\n");
    let path = repository.path("named.conf");
    let found = check(&repository, &[("CONTAINERS_REGISTRIES_CONF", path.to_str().unwrap())]);
    assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
    assert_eq!(found.json()["references"][0]["image"], "reg.invalid/team/app:1");
    assert_eq!(server.lines(), ["HEAD /v2/x/y/app/manifests/1"]);
}

#[test]
fn a_blocked_registry_is_never_asked() {
    let server = open();
    let repository = naming(&format!("{}/team/app:1", server.host()));
    for (prefix, code) in
        [(server.host(), 3), (format!("{}/team", server.host()), 3), (format!("{}/te", server.host()), 0)]
    {
        server.forget();
        repository.write(
            "containers/registries.conf.d/10.conf",
            format!("[[registry]]\nprefix = '{prefix}'\nblocked = true\n"),
        );
        let found = check(&repository, &[]);
        assert_eq!(found.code, code, "{}{}", found.stdout, found.stderr);
        assert_eq!(server.requests().is_empty(), code == 3);
        assert!(code == 0 || why(&found).contains("blocked"), "{}", why(&found));
    }
}

#[test]
fn mirrors_are_asked_for_what_they_are_for() {
    let (by_digest, itself) = (open(), open());
    let digest = format!("sha256:{}", "a".repeat(64));
    let text = pod(&format!("image: {0}/x:1\n    - name: d\n      image: {0}/y@{digest}", itself.host()));
    let repository = naming("x");
    repository.write("a.yaml", text);
    let conf = format!(
        "[[registry]]\nlocation = '{}'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = '{}'\n",
        itself.host(),
        by_digest.host()
    );
    repository.write("containers/registries.conf", conf);
    check(&repository, &[]);
    assert!(by_digest.lines().iter().all(|line| line.contains("/y/")), "{:?}", by_digest.lines());
    assert!(itself.lines().contains(&"HEAD /v2/x/manifests/1".to_owned()), "{:?}", itself.lines());
}

#[test]
fn the_named_config_goes_before_the_machines_files() {
    let (mine, machines) = (open(), open());
    let repository = naming("nginx:1");
    let mirror = |server: &Server| format!("[[registry.mirror]]\nlocation = '{}'\n", server.host());
    let conf = format!(
        "[[registry]]\nprefix = 'docker.io'\n{}[[registry]]\nprefix = 'ghcr.io'\nblocked = true\n",
        mirror(&machines)
    );
    repository.write("containers/registries.conf", conf);
    let config = format!(
        "apiVersion: plimsoll.dev/v1\nkind: GateConfig\nspec: {{registries: [{{prefix: docker.io, mirrors: ['{}'], only-mirrors: true}}]}}\n",
        mine.host()
    );
    repository.write("gate.conf", config);
    assert_eq!(repository.run(&["check", "--config", "gate.conf", "a.yaml"]).code, 0);
    assert_eq!((mine.requests().len(), machines.requests().len()), (1, 0));
    repository.write("a.yaml", pod("image: ghcr.io/a/b:1"));
    assert_eq!(repository.run(&["check", "--config", "gate.conf", "a.yaml"]).code, 3, "merged otherwise");
}

#[test]
fn broken_files_of_the_machine_end_the_run_at_their_place() {
    let rows = [
        ("[registries.search]\nregistries = ['docker.io']\n", ":1:2: this is version 1"),
        ("[[registry]]\nprefix = \"docker.io\n", ":2:"),
        ("[[registry]]\nprefix = 'docker.io'\nlocation = 'https://m.io'\n", ":3:12: location"),
        ("[[registry]]\nprefix = 'docker.io/library/x:1'\n", ":2:10: prefix"),
    ];
    for (text, said) in rows {
        let repository = naming("nginx:1");
        repository.write(".config/containers/registries.conf", text);
        let found = repository.run(&["check", "a.yaml"]);
        assert_eq!(found.code, 2, "{text}");
        assert!(found.stderr.contains(&format!(".config/containers/registries.conf{said}")), "{}", found.stderr);
    }
    let repository = naming("nginx:1");
    let found = check(&repository, &[("CONTAINERS_REGISTRIES_CONF", "missing.conf")]);
    assert_eq!(found.code, 2);
    assert!(found.stderr.contains("missing.conf: can't be read"), "{}", found.stderr);
}

// ---- certs.d

#[test]
fn certificates_are_for_their_host_alone() {
    let (pem, key) = client_pair();
    let certificate = Certificate::wanting(&pem);
    let ca = certificate.pem.clone();
    let server = Server::start(Behaviour { tls: Some(certificate), answer_everything: true, ..Behaviour::default() });
    let repository = naming(&format!("{}/app:1", server.host()));
    let folder = format!("containers/certs.d/{}", server.host());
    assert_eq!(check(&repository, &[]).code, 3, "without its authority");
    repository.write(&format!("{folder}/ca.crt"), &ca);
    let found = check(&repository, &[]);
    assert_eq!((found.code, server.requests().len()), (3, 0), "without the client's certificate");
    repository.write(&format!("{folder}/me.key"), &key);
    let found = check(&repository, &[]);
    assert!(why(&found).contains("me.cert: there is no such file"), "{}", why(&found));
    repository.write(&format!("{folder}/me.cert"), &pem);
    let found = check(&repository, &[]);
    assert_eq!((found.code, server.requests().len()), (0, 1), "{}{}", found.stdout, found.stderr);
    repository
        .write(&format!("{folder}/me.key"), "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n");
    let found = check(&repository, &[]);
    assert!(why(&found).contains("me.key"), "{}", why(&found));
    assert!(!why(&found).contains("aHVudGVyMg"), "{}", why(&found));
    repository.write(&format!("{folder}/me.key"), &key);
    repository.write(&format!("{folder}/you.cert"), &pem);
    assert!(why(&check(&repository, &[])).contains("a second client certificate"));
}

#[test]
fn rule_21_a_client_certificate_is_not_shown_where_a_redirect_leads() {
    let (pem, key) = client_pair();
    let elsewhere = Certificate::wanting(&pem);
    let mut authorities = elsewhere.pem.clone();
    let other = Server::start(Behaviour { tls: Some(elsewhere), answer_everything: true, ..Behaviour::default() });
    let location = format!("https://{}/v2/app/manifests/1", other.host());
    let certificate = Certificate::wanting(&pem);
    authorities.push_str(&certificate.pem);
    let script = move |_: &registry::Request, _: &Reply| Some(Reply::redirect(&location));
    let server = Server::start(Behaviour { tls: Some(certificate), ..Behaviour::lying(script) });
    let repository = naming(&format!("{}/app:1", server.host()));
    repository.write("containers/registries.conf", format!("[[registry]]\nlocation = '{}'\n", other.host()));
    for (name, text) in [("ca.crt", &authorities), ("me.cert", &pem), ("me.key", &key)] {
        repository.write(&format!("docker/certs.d/{}/{name}", server.host()), text);
    }
    let found = check(&repository, &[]);
    assert_eq!(found.code, 3);
    assert!(!server.requests().is_empty());
    assert_eq!(other.requests(), [], "it speaks only to who shows the certificate");
    for (name, text) in [("me.cert", &pem), ("me.key", &key), ("ca.crt", &authorities)] {
        repository.write(&format!("docker/certs.d/{}/{name}", other.host()), text);
    }
    repository.write("a.yaml", pod(&format!("image: {}/app:1", other.host())));
    assert_eq!(check(&repository, &[]).code, 0, "its own folder opens it");
}

// ---- credentials

#[test]
fn files_are_searched_in_podmans_order() {
    let server = locked();
    let host = server.host();
    let repository = naming(&format!("{host}/team/app:1"));
    let places = ["containers/auth.json", ".config/containers/auth.json", ".docker/config.json"];
    for (number, place) in places.iter().enumerate().rev() {
        for other in places {
            repository.write(other, "{}");
        }
        repository.write(place, auth(&host, "bob", SECRET));
        assert_eq!(check(&repository, &[]).code, 0, "{place}");
        for later in &places[number + 1..] {
            repository.write(later, auth(&host, "bob", "wrong"));
        }
        assert_eq!(check(&repository, &[]).code, 0, "{place} goes first");
    }
    repository.write("named.json", auth(&format!("{host}/team"), "bob", "wrong"));
    let named = repository.path("named.json");
    assert_eq!(check(&repository, &[("REGISTRY_AUTH_FILE", named.to_str().unwrap())]).code, 3, "the named one alone");
    repository.write("named.json", "{}");
    assert_eq!(check(&repository, &[("REGISTRY_AUTH_FILE", named.to_str().unwrap())]).code, 3, "the named one alone");
    repository.write("named.json", auth(&format!("{host}/team"), "bob", SECRET));
    assert_eq!(check(&repository, &[("REGISTRY_AUTH_FILE", named.to_str().unwrap())]).code, 0);
    let found = check(&repository, &[("REGISTRY_AUTH_FILE", "missing.json")]);
    assert!(why(&found).contains("missing.json"), "{}", why(&found));
    let folder = repository.path("elsewhere");
    repository.write("elsewhere/config.json", auth(&host, "bob", SECRET));
    for place in places {
        repository.write(place, "{}");
    }
    assert_eq!(check(&repository, &[("DOCKER_CONFIG", folder.to_str().unwrap())]).code, 0);
    assert_eq!(check(&repository, &[]).code, 3);
}

#[test]
fn the_longest_namespace_has_the_credential() {
    let server = locked();
    let host = server.host();
    let entry =
        |key: &str, password: &str| format!(r#""{host}{key}": {{"username": "bob", "password": "{password}"}}"#);
    for (image, code) in [("team/app", 0), ("team/app/deep", 0), ("teams/app", 3), ("other", 3)] {
        let repository = naming(&format!("{host}/{image}:1"));
        let text = format!(r#"{{"auths": {{{}, {}}}}}"#, entry("", "wrong"), entry("/team", SECRET));
        repository.write("containers/auth.json", text);
        let found = check(&repository, &[]);
        assert_eq!(found.code, code, "{image}: {}{}", found.stdout, found.stderr);
    }
}

#[test]
fn a_token_on_standard_input_goes_to_its_host_alone() {
    let script = |request: &registry::Request, truth: &Reply| {
        let given = request.authorization() == Some("Bearer hunter2");
        let challenge = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
        Some(if given { truth.clone() } else { Reply::status(401).header("WWW-Authenticate", &challenge) })
    };
    let server = Server::start(Behaviour { answer_everything: true, ..Behaviour::lying(script) });
    let other = Server::start(Behaviour { answer_everything: true, ..Behaviour::lying(script) });
    let repository = naming("x");
    let both = format!("image: {}/app:1\n    - name: d\n      image: {}/app:1", server.host(), other.host());
    repository.write("a.yaml", pod(&both));
    let host = server.host();
    let run = |arguments: &[&str], input: &str| {
        let found = repository.run_with(arguments, input.as_bytes());
        assert!(!format!("{}{}", found.stdout, found.stderr).contains(SECRET), "{}{}", found.stdout, found.stderr);
        found
    };
    let found = run(&["check", "--registry-token-stdin", &host, "--format", "json", "a.yaml"], "hunter2\n");
    assert_eq!((found.code, found.json()["summary"]["allow"].as_u64()), (3, Some(1)), "{}", found.stderr);
    assert!(other.requests().iter().all(|request| request.authorization().is_none()));
    assert!(server.requests().iter().all(|request| request.path != "/token"), "it is for the registry itself");
    assert_eq!(run(&["pin", "--check", "--registry-token-stdin", &host, "a.yaml"], "hunter2").code, 1);
    let locked = locked();
    repository.write("a.yaml", pod(&format!("image: {}/app:1", locked.host())));
    assert_eq!(run(&["check", "--registry-token-stdin", &locked.host(), "a.yaml"], "bob:hunter2\r\n").code, 0);
    assert_eq!(locked.requests().last().unwrap().authorization(), Some(basic("bob", SECRET).as_str()));
    for (host, input) in [
        (host.as_str(), ""),
        (&host, "\n"),
        (&host, "hunter2\nhunter2"),
        (&host, "hun ter2"),
        (&host, "bob:hunter2\nmore"),
        ("bob:hunter2", "ghcr.io"),
        ("*", "hunter2"),
        ("nginx", "hunter2"),
        ("ghcr.io/acme", "hunter2"),
    ] {
        let found = run(&["check", "--registry-token-stdin", host, "a.yaml"], input);
        assert_eq!(found.code, 2, "{host} {input:?}");
        assert!(found.stderr.contains("--registry-token-stdin"), "{}", found.stderr);
        assert!(!found.stderr.contains("hunter2"), "{}", found.stderr);
    }
    for command in ["check", "pin"] {
        let found = run(&[command, "--registry-token-stdin", &host, "-", "--as", "kubernetes"], "hunter2");
        assert_eq!(found.code, 2);
        assert!(found.stderr.contains("can't be both"), "{}", found.stderr);
        assert_eq!(run(&[command, "--registry-token-stdin"], "hunter2").code, 2, "a token belongs to a host");
    }
}

// ---- proxies, IPv6

#[test]
fn proxies_come_from_the_environment_and_hold_their_tongue() {
    let script = |request: &registry::Request, _: &Reply| {
        let code = if request.headers.get("proxy-authorization") == Some(&basic("bob", SECRET)) { 403 } else { 407 };
        Some(Reply::status(code))
    };
    let proxy = Server::start(Behaviour::lying(script));
    let repository = naming("reg.invalid/app:1");
    let url = format!("http://bob:{SECRET}@{}", proxy.host());
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        proxy.forget();
        let found = check(&repository, &[(variable, &url)]);
        assert_eq!(found.code, 3);
        assert_eq!(proxy.lines(), ["CONNECT reg.invalid:443"], "{variable}");
        assert_eq!(proxy.requests()[0].headers.get("proxy-authorization"), Some(&basic("bob", SECRET)));
    }
    proxy.forget();
    check(&repository, &[("HTTPS_PROXY", &url), ("NO_PROXY", "10.0.0.0/8, .invalid")]);
    check(&repository, &[("HTTP_PROXY", &url)]);
    assert_eq!(proxy.requests(), []);
    for wrong in [format!("socks5://bob:{SECRET}@p:1080"), format!("http://bob:{SECRET}@")] {
        let found = check(&repository, &[("HTTPS_PROXY", &wrong)]);
        assert_eq!(found.code, 2);
        assert!(found.stderr.contains("HTTPS_PROXY"), "{}", found.stderr);
    }
}

#[test]
fn an_ipv6_registry_and_a_mirror_with_a_path() {
    let Some(server) = Server::start_at("::1", Behaviour { answer_everything: true, ..Behaviour::default() }) else {
        // A machine without IPv6 can't show it.
        return;
    };
    let place = format!("[::1]:{}", server.port());
    let repository = naming(&format!("'{place}/team/app:1'"));
    assert_eq!(check(&repository, &[]).code, 0);
    repository.write("a.yaml", pod("image: nginx:1"));
    let conf = format!("[[registry]]\nprefix = 'docker.io'\n[[registry.mirror]]\nlocation = '{place}/proxy/hub'\n");
    repository.write("containers/registries.conf", conf);
    assert_eq!(check(&repository, &[]).code, 0);
    assert_eq!(server.lines(), ["HEAD /v2/team/app/manifests/1", "HEAD /v2/proxy/hub/library/nginx/manifests/1"]);
}

#[test]
fn credentials_do_not_come_out_of_the_folder_that_the_command_runs_in() {
    let server = locked();
    let repository = naming(&format!("{}/app:1", server.host()));
    repository.write("planted/containers/auth.json", auth(&server.host(), "bob", SECRET));
    for variable in ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
        let path = repository.path("planted").display().to_string();
        for (value, code) in [(path.as_str(), 0), ("planted", 3), ("./planted", 3)] {
            let found = check(&repository, &[(variable, value)]);
            assert_eq!(found.code, code, "{variable}={value}: {}{}", found.stdout, found.stderr);
        }
    }
}
