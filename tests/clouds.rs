//! How the large registries let one in: ECR, GAR, ACR and GHCR, each by the shape of its challenge and with a helper or
//! token as its operator documents it; and what a hostile registry gets when it plays one of them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/registry.rs"]
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use plimsoll::registry::credentials::{Credential, Credentials, Secret, Sources};
use plimsoll::registry::http::{Proxies, RawProxies};
use plimsoll::registry::router::Router;
use plimsoll::registry::settings::RawEntry;
use plimsoll::registry::{RegistryError as E, Want};

use asking::*;
use support::*;

/// Every name under the sun leads here, as a proxy for plain http: so a test can play `123.dkr.ecr.….amazonaws.com`.
struct World {
    server: Server,
    folder: tempfile::TempDir,
    want: Want,
}

impl World {
    fn new(script: impl Fn(&support::Request) -> Reply + Send + Sync + 'static) -> Self {
        let script = move |request: &support::Request, _: &Reply| Some(script(request));
        let behaviour = Behaviour { script: Some(Arc::new(script)), ..Behaviour::default() };
        Self { server: Server::start(behaviour), folder: tempfile::tempdir().unwrap(), want: Want::Digest }
    }

    /// With questions whose answers have a body.
    fn talkative(self) -> Self {
        Self { want: Want::Content, ..self }
    }

    /// Asks `host`, declared insecure so that the proxy sees what is said, with this Docker config.
    async fn ask(&self, host: &str, config: &str, entry: RawEntry) -> Result<(), E> {
        let sources = docker_config(self.folder.path(), config);
        self.ask_with(host, sources, vec![RawEntry { insecure: true, ..entry }]).await
    }

    async fn ask_with(&self, host: &str, sources: Sources, entries: Vec<RawEntry>) -> Result<(), E> {
        let all = Some(format!("http://{}", self.server.host()));
        let proxies = Proxies::new(&RawProxies { all, ..RawProxies::default() }).unwrap();
        let credentials = Credentials::new(sources);
        let router = Router::new(settings(entries), credentials, FAST, proxies, None);
        ask(&router, &format!("{host}/team/app:1"), self.want).await.map(drop)
    }

    fn helper(&self, name: &str, script: &str) {
        let path = self.folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The places that saw a credential, each once.
    fn trusted(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        let secret = requests.filter(|r| r.authorization().is_some() || r.body.contains("refresh_token"));
        let mut places: Vec<String> =
            secret.map(|r| r.path.split("/v2/").next().unwrap_or_default().to_owned()).collect();
        places.dedup();
        places
    }
}

/// A helper that answers only for `key`.
fn says(key: &str, user: &str, secret: &str) -> String {
    format!(
        r#"read k; [ "$1 $k" = "get {key}" ] || exit 1; echo '{{"ServerURL":"{key}","Username":"{user}","Secret":"{secret}"}}'"#
    )
}

fn found() -> Reply {
    let digest = plimsoll::digest::Digest::sha256(b"x");
    Reply::ok(OCI_IMAGE, "").header(DIGEST, digest.as_str())
}

fn challenged(challenge: &str) -> Reply {
    Reply::status(401).header("WWW-Authenticate", challenge)
}

/// A registry that issues its tokens at `realm` to whom `admits` lets in.
fn tokens(
    realm: &'static str,
    service: &'static str,
    admits: impl Fn(&support::Request) -> bool + Send + Sync + 'static,
) -> impl Fn(&support::Request) -> Reply + Send + Sync + 'static {
    move |request| {
        if request.path == realm {
            return if admits(request) {
                Reply::json(200, r#"{"token":"t","access_token":"t"}"#)
            } else {
                Reply::status(401)
            };
        }
        match request.authorization() {
            Some("Bearer t") => found(),
            _ => challenged(&format!(r#"Bearer realm="{realm}",service="{service}",scope="repository:team/app:pull""#)),
        }
    }
}

fn plain(host: &str) -> RawEntry {
    let mirrors = vec![format!("http://{host}").as_str().into()];
    RawEntry { mirrors, only_mirrors: true, ..entry(host) }
}

#[tokio::test]
async fn ecr_takes_the_helpers_password_itself() {
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    let right = basic("AWS", "hunter2");
    let world = World::new(move |request| match request.authorization() {
        Some(given) if given == right => found(),
        _ => challenged(&format!(r#"Basic realm="https://{host}/",service="ecr.amazonaws.com""#)),
    });
    world.helper("ecr-login", &says(host, "AWS", "hunter2"));
    let config = format!(r#"{{"credHelpers": {{"{host}": "ecr-login", "public.ecr.aws": "ecr-login"}}}}"#);
    assert_eq!(world.ask(host, &config, plain(host)).await, Ok(()));
    let other = "999999999999.dkr.ecr.eu-west-1.amazonaws.com";
    assert!(matches!(world.ask(other, &config, plain(other)).await, Err(E::Unauthorized { .. })));
    assert_eq!(world.trusted(), [format!("http://{host}")]);
}

#[tokio::test]
async fn public_ecr_gar_and_ghcr_give_a_token_for_a_password() {
    let rows = [
        ("public.ecr.aws", "http://public.ecr.aws/token/", "AWS", "ecr-login"),
        ("europe-docker.pkg.dev", "http://europe-docker.pkg.dev/v2/token", "oauth2accesstoken", "gcloud"),
        ("gcr.io", "http://gcr.io/v2/token", "_dcgcloud_token", "gcr"),
        ("ghcr.io", "http://ghcr.io/token", "anybody", "pass"),
    ];
    for (host, realm, user, helper) in rows {
        let right = basic(user, "hunter2");
        let world = World::new(tokens(realm, host, move |request| request.authorization() == Some(&right)));
        world.helper(helper, &says(host, user, "hunter2"));
        for key in [format!(r#""credHelpers": {{"{host}": "{helper}"}}"#), format!(r#""credsStore": "{helper}""#)] {
            assert_eq!(world.ask(host, &format!("{{{key}}}"), plain(host)).await, Ok(()), "{host}");
        }
        let query = world.server.requests().iter().find(|r| r.path == realm).unwrap().query.clone();
        assert_eq!(query, format!("service={host}&scope=repository%3Ateam%2Fapp%3Apull"));
    }
}

#[tokio::test]
async fn acr_takes_an_identity_token_by_post() {
    let (host, realm) = ("corp.azurecr.io", "http://corp.azurecr.io/oauth2/token");
    let admits = |request: &support::Request| {
        request.method == "POST"
            && request.body.contains("grant_type=refresh_token")
            && request.body.contains("refresh_token=hunter2")
            && request.body.contains("service=corp.azurecr.io")
            && request.body.contains("scope=repository%3Ateam%2Fapp%3Apull")
            && request.authorization().is_none()
    };
    // As `az acr login` leaves it: a user of noughts without a password, and the token beside it.
    let user = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==";
    let stored = format!(r#"{{"auths": {{"{host}": {{"auth": "{user}", "identitytoken": "hunter2"}}}}}}"#);
    let world = World::new(tokens(realm, host, admits));
    assert_eq!(world.ask(host, &stored, plain(host)).await, Ok(()));
    // As the helper of ACR answers.
    world.helper("acr-env", &says(host, "<token>", "hunter2"));
    let helped = format!(r#"{{"credHelpers": {{"{host}": "acr-env"}}}}"#);
    assert_eq!(world.ask(host, &helped, plain(host)).await, Ok(()));
    // As `az acr login --expose-token` is used: the token for a password.
    let right = basic("00000000-0000-0000-0000-000000000000", "hunter2");
    let world = World::new(tokens(realm, host, move |request| request.authorization() == Some(&right)));
    world.helper("noughts", &says(host, "00000000-0000-0000-0000-000000000000", "hunter2"));
    let helped = format!(r#"{{"credHelpers": {{"{host}": "noughts"}}}}"#);
    assert_eq!(world.ask(host, &helped, plain(host)).await, Ok(()));
}

#[tokio::test]
async fn rule_21_realms_elsewhere_get_nothing_unless_declared() {
    let realms = [
        "http://reg.corp:9200/token",
        "https://reg.corp:5001/token",
        "http://auth.corp/token",
        "https://auth.corp/token",
        "http://bob:hunter2@reg.corp/token",
        "http://169.254.169.254/token",
        "http://[fd00:ec2::254]/token",
        "http://2852039166/token",
        "http://0xa9.0xfe.0xa9.0xfe/token",
        "http://[::ffff:7f00:1]/token",
        "http://reg.corp.evil.example/token",
    ];
    let stored = r#"{"auths": {"reg.corp": {"username": "bob", "password": "hunter2"}}}"#;
    for realm in realms {
        let world = World::new(move |_| challenged(&format!(r#"Bearer realm="{realm}",service="x""#)));
        let error = world.ask("reg.corp", stored, plain("reg.corp")).await.unwrap_err();
        assert!(matches!(error, E::Refused { .. }), "{realm}: {error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(world.server.lines(), ["HEAD http://reg.corp/v2/team/app/manifests/1"], "{realm}");
    }
    let declared = |realm: &str| RawEntry { token_realms: vec![realm.into()], ..plain("reg.corp") };
    let world = || World::new(tokens("http://auth.corp/token", "x", |_| true));
    let right = world();
    assert_eq!(right.ask("reg.corp", stored, declared("http://auth.corp/token")).await, Ok(()));
    assert_eq!(right.trusted(), ["http://auth.corp/token", "http://reg.corp"]);
    for other in ["http://auth.corp/other", "http://auth.corp:81/token", "https://auth.corp/token"] {
        let error = world().ask("reg.corp", stored, declared(other)).await.unwrap_err();
        assert!(error.to_string().contains("token-realm: http://auth.corp/token"), "{error}");
    }
    // A metadata address stays one, whoever declares it.
    let world = World::new(tokens("http://169.254.169.254/token", "x", |_| true));
    let error = world.ask("reg.corp", stored, declared("http://169.254.169.254/token")).await.unwrap_err();
    assert!(error.to_string().contains("metadata"), "{error}");
}

#[tokio::test]
async fn rule_21_credentials_end_where_a_redirect_leads_elsewhere() {
    let stored = r#"{"auths": {"reg.corp": {"username": "bob", "password": "hunter2"}, "other.corp": {"username": "bob", "password": "hunter2"}}}"#;
    for location in ["http://other.corp/x", "http://reg.corp:81/x", "https://reg.corp/x"] {
        let world = World::new(move |request| match (request.path.as_str(), request.authorization()) {
            (path, _) if path == location => found(),
            (_, Some(_)) => Reply::redirect(location),
            _ => challenged("Basic realm=\"x\""),
        });
        let _ = world.ask("reg.corp", stored, plain("reg.corp")).await;
        assert_eq!(world.trusted(), ["http://reg.corp"], "{location}");
    }
    for location in [
        "http://bob:hunter2@reg.corp/x",
        "ftp://reg.corp/x",
        "http://169.254.169.254/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
    ] {
        let world = World::new(move |_| Reply::redirect(location));
        let error = world.ask("reg.corp", stored, plain("reg.corp")).await.unwrap_err();
        assert!(matches!(error, E::Refused { .. }), "{location}: {error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(world.server.requests().len(), 1, "{location}");
    }
}

#[tokio::test]
async fn rule_21_a_given_token_is_for_one_host_and_its_mirrors_get_none() {
    let world = World::new(|request| match request.authorization() {
        Some("Bearer hunter2") => found(),
        _ => challenged(r#"Bearer realm="http://m.corp/token""#),
    });
    let given = Some(("reg.corp".to_owned(), Credential::RegistryToken(Secret::new("hunter2"))));
    let mirrored =
        RawEntry { mirrors: vec!["http://m.corp".into()], only_mirrors: true, insecure: true, ..entry("reg.corp") };
    let sources = Sources { given, ..Sources::default() };
    let answer = world.ask_with("reg.corp", sources.clone(), vec![mirrored]).await;
    assert!(answer.is_err());
    assert_eq!(world.trusted(), Vec::<String>::new());
}

#[tokio::test]
async fn rule_23_no_echo_of_a_secret_is_shown() {
    let stored = r#"{"auths": {"reg.corp": {"username": "bob", "password": "hunter2/ 3"}}}"#;
    let secrets = ["hunter2", "aHVudGVyMi8gMw", "Ym9iOmh1bnRlcjIvIDM", "HUNTER2"];
    let echo = |request: &support::Request| {
        let given = request.authorization().unwrap_or_default().to_owned();
        format!("{given} hunter2/ 3 hunter2%2F%203 hunter2%2F+3 HUNTER2/ 3 aHVudGVyMi8gMw==")
    };
    let places: [fn(String) -> Reply; 5] = [
        |text| Reply::json(403, &format!(r#"{{"errors":[{{"message":"{text}"}}]}}"#)),
        |text| Reply::json(403, &format!(r#"{{"errors":[{{"message":"{}{text}"}}]}}"#, "x".repeat(280))),
        |text| found().header(DIGEST, &text),
        |text| found().header("Content-Type", &text),
        |text| Reply::status(307).header("Location", &format!("http://{text}/")),
    ];
    for place in places {
        let world = World::new(move |request| match request.authorization() {
            Some(_) => place(echo(request)),
            None => challenged("Basic realm=\"x\""),
        })
        .talkative();
        let error = world.ask("reg.corp", stored, plain("reg.corp")).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    // What the token server was given, the registry says afterwards.
    let world = World::new(|request| match (request.path.as_str(), request.authorization()) {
        ("http://reg.corp/token", _) => Reply::json(200, r#"{"token":"secret-token"}"#),
        (_, Some(given)) => {
            Reply::json(403, &format!(r#"{{"errors":[{{"message":"{given}, once Ym9iOmh1bnRlcjIvIDM="}}]}}"#))
        }
        _ => challenged(r#"Bearer realm="http://reg.corp/token""#),
    })
    .talkative();
    let error = world.ask("reg.corp", stored, plain("reg.corp")).await.unwrap_err();
    assert_eq!(error, E::Forbidden { host: "reg.corp".into(), detail: "Bearer ***, once ***".into() });
    // A refresh token that is refused.
    let stored = r#"{"auths": {"reg.corp": {"identitytoken": "hunter2"}}}"#;
    let world = World::new(|request| match request.path.as_str() {
        "http://reg.corp/token" => Reply::json(400, &format!(r#"{{"errors":[{{"message":"no: {}"}}]}}"#, request.body)),
        _ => challenged(r#"Bearer realm="http://reg.corp/token""#),
    })
    .talkative();
    let error = world.ask("reg.corp", stored, plain("reg.corp")).await.unwrap_err();
    assert!(error.to_string().contains("refresh_token=***"), "{error}");
}

#[tokio::test]
async fn rule_23_a_helpers_words_are_never_repeated() {
    let world = World::new(|_| challenged("Basic realm=\"x\""));
    let scripts = [
        "echo hunter2 >&2; exit 1",
        "echo hunter2; exit 1",
        "echo '{\"Username\": \"hunter2\"}'",
        "echo '{\"Secret\": hunter2'",
        "echo '{\"Username\": \"bob\", \"Secret\": \"hunter2\\u000a\"}'",
    ];
    for script in scripts {
        world.helper("talks", script);
        let error = world.ask("reg.corp", r#"{"credsStore": "talks"}"#, plain("reg.corp")).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{script}: {error}");
    }
    assert_eq!(world.trusted().len(), 1, "only the last has a credential");
}

#[tokio::test]
async fn helpers_of_registries_conf_stand_in_their_order() {
    let right = basic("bob", "hunter2");
    let world = World::new(move |request| match request.authorization() {
        Some(given) if given == right => found(),
        _ => challenged("Basic realm=\"x\""),
    });
    let log = world.folder.path().join("log");
    let logged = |script: &str, path: &Path| format!("echo \"$0\" | sed 's/.*-//' >> {}; {script}", path.display());
    world.helper("none", &logged("cat > /dev/null; echo 'credentials not found in native keychain'; exit 1", &log));
    world.helper("broken", &logged("exit 1", &log));
    world.helper("right", &logged(&says("reg.corp", "bob", "hunter2"), &log));
    let rows = [
        (vec!["none", "broken", "right"], true, "none\nbroken\nright\n"),
        (vec!["right", "none"], true, "right\n"),
        (vec!["containers-auth.json", "right"], false, ""),
        (vec!["none", "containers-auth.json"], false, "none\n"),
        (vec!["none", "broken"], false, "none\nbroken\n"),
    ];
    for (helpers, lets_in, asked) in rows {
        let _ = std::fs::remove_file(&log);
        let stored = r#"{"auths": {"reg.corp": {"username": "bob", "password": "wrong"}}}"#;
        let sources = docker_config(world.folder.path(), stored);
        let sources = Sources { helpers: helpers.iter().map(|name| (*name).to_owned()).collect(), ..sources };
        let entries = vec![RawEntry { insecure: true, ..plain("reg.corp") }];
        let answer = world.ask_with("reg.corp", sources, entries).await;
        assert_eq!(answer.is_ok(), lets_in, "{helpers:?}: {answer:?}");
        assert_eq!(std::fs::read_to_string(&log).unwrap_or_default(), asked, "{helpers:?}");
    }
}
