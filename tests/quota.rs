//! What registries say that they still grant: shown with `-v`, warned about before it runs out, never in a report.

mod support;

#[path = "support/registry.rs"]
mod registry;

use registry::{Behaviour, OCI_IMAGE, Reply, Request, Server};
use support::{Answer, Repository, pod};

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

/// A registry with images `app:0` to `app:9` that adds these headers, and a repository that names so many of them.
fn asked(
    images: usize,
    rule: &str,
    headers: impl Fn(&Request) -> Vec<(String, String)> + Send + Sync + 'static,
) -> (Repository, Server) {
    let server = Server::start(Behaviour::lying(move |request, truth: &Reply| {
        let mut reply = truth.clone();
        reply.headers.extend(headers(request));
        Some(reply)
    }));
    let repository = Repository::new();
    let policy = format!(
        "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {{name: q}}\nspec:\n  statements:\n    \
         - {{name: all, match: ['**'], rules: {{mutable-tag: {{}}, {rule}}}}}\n"
    );
    repository.write("plimsoll.yaml", policy);
    for at in 0..images {
        server.push("app", &at.to_string(), MANIFEST, OCI_IMAGE);
        repository.write(&format!("{at}.yaml"), pod(&format!("image: \"{}/app:{at}\"", server.host())));
    }
    (repository, server)
}

fn fixed(rows: &[(&str, &str)]) -> impl Fn(&Request) -> Vec<(String, String)> + Send + Sync + 'static {
    let rows: Vec<(String, String)> = rows.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    move |_| rows.clone()
}

fn hub(remaining: &str) -> [(&str, &str); 3] {
    [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", remaining), ("docker-ratelimit-source", "192.0.2.1")]
}

const HEAD: &str = "pinned-digest: {level: warn}";
const GET: &str = "image-size: {max: 1MiB}";

fn check(repository: &Repository, more: &[&str]) -> Answer {
    let answer = repository.run(&[&["check", "--format", "json", "--now", "2026-11-20T00:00:00Z"], more].concat());
    assert_eq!(answer.code, 0, "{}\n{}", answer.stdout, answer.stderr);
    answer
}

#[test]
fn shown_with_v_and_not_without() {
    let (repository, server) = asked(1, HEAD, fixed(&hub("76;w=21600")));
    let said = check(&repository, &["-v"]).stderr;
    let line = "76 of 100 requests left in 6 hours, counted for this machine's address: the requests are anonymous";
    assert_eq!(said, format!("{}: {line}\n", server.host()));
    for more in [&[][..], &["-q"]] {
        assert_eq!(check(&repository, more).stderr, "");
    }
    let account = [hub("76;w=21600")[0], ("ratelimit-remaining", "76"), ("docker-ratelimit-source", "bob")];
    let (repository, server) = asked(1, HEAD, fixed(&account));
    assert_eq!(check(&repository, &["-v"]).stderr, format!("{}: 76 of 100 requests left in 6 hours\n", server.host()));
}

#[test]
fn scarce_quotas_are_warned_about_once_unless_quiet() {
    let (repository, server) = asked(5, HEAD, fixed(&hub("10;w=21600")));
    let said = check(&repository, &[]).stderr;
    assert_eq!(said.matches("warning: ").count(), 1, "{said}");
    assert!(said.starts_with(&format!("warning: {}: 10 of 100 requests left in 6 hours", server.host())), "{said}");
    assert!(said.contains("log in (`docker login`) or use a mirror before none is left"), "{said}");
    assert_eq!(check(&repository, &["-q"]).stderr, "");
    let (repository, _server) = asked(5, HEAD, fixed(&hub("11;w=21600")));
    assert_eq!(check(&repository, &[]).stderr, "");
}

#[test]
fn a_run_that_takes_more_than_is_left_is_warned() {
    let falling = |request: &Request| {
        let at: usize = request.path.rsplit('/').next().and_then(|tag| tag.parse().ok()).unwrap_or_default();
        [("ratelimit-limit", "20;w=60".to_owned()), ("ratelimit-remaining", format!("{};w=60", 3 + at % 2))]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
    };
    let (repository, _server) = asked(10, GET, falling);
    let said = check(&repository, &["--jobs", "1"]).stderr;
    assert!(said.contains("3 of 20 requests left in 60 seconds, and this run may take 9"), "{said}");
    // The Hub counts no HEAD, so a run that sends nothing else takes nothing.
    let (repository, _server) = asked(10, HEAD, falling);
    assert_eq!(check(&repository, &["--jobs", "1"]).stderr, "");
}

#[test]
fn reports_are_the_same_with_and_without() {
    let (repository, server) = asked(2, GET, fixed(&hub("1;w=21600")));
    let with = check(&repository, &["-v"]).stdout;
    assert_eq!(with, check(&repository, &[]).stdout);
    assert_eq!(with, check(&repository, &["-q"]).stdout);
    assert!(!with.contains("requests left"), "{with}");
    let (repository, other) = asked(2, GET, |_| Vec::new());
    assert_eq!(with, check(&repository, &["-v"]).stdout.replace(&other.host(), &server.host()));
}

#[test]
fn hostile_values_say_nothing() {
    let long = "9".repeat(100_000);
    for value in
        ["-1", "99999999999999999999999999", "1e9", "", " ", "100;w=\u{1b}[31m", "\u{1b}]0;x\u{7}", "0x10", &long]
    {
        let rows = [("ratelimit-limit", value), ("ratelimit-remaining", value), ("docker-ratelimit-source", value)];
        let (repository, _server) = asked(1, HEAD, fixed(&rows));
        let answer = repository.run(&["check", "-v"]);
        // Where the head itself is refused, as one with control characters is, the reference is undecided.
        assert!(answer.code == 0 || (answer.code == 3 && value.contains('\u{1b}')), "{value:.40}: {}", answer.stdout);
        assert_eq!(answer.stderr, "", "{value:.40}");
    }
}

#[test]
fn pin_shows_them_too() {
    let (repository, server) = asked(1, HEAD, fixed(&hub("5;w=21600")));
    let said = repository.run(&["pin", "-v"]).stderr;
    assert!(said.contains(&format!("warning: {}: 5 of 100", server.host())), "{said}");
    assert!(said.contains(&format!("\n{}: 5 of 100", server.host())), "{said}");
}

#[test]
fn resolve_shows_them_too() {
    let (repository, server) = asked(1, HEAD, fixed(&hub("5;w=21600")));
    let name = format!("{}/app:0", server.host());
    let answer = repository.run(&["resolve", "-v", &name]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains(&format!("warning: {}: 5 of 100", server.host())), "{}", answer.stderr);
    assert!(answer.stderr.contains(&format!("\n{}: 5 of 100", server.host())), "{}", answer.stderr);
    assert!(!answer.stdout.contains("requests left"), "{}", answer.stdout);
    assert_eq!(repository.run(&["resolve", "-q", &name]).stderr, "");
}

#[test]
fn inspect_shows_them_too() {
    let (repository, server) = asked(1, GET, fixed(&hub("5;w=21600")));
    let name = format!("{}/app:0", server.host());
    let said = repository.run(&["inspect", "-v", &name]).stderr;
    assert!(said.contains(&format!("warning: {}: 5 of 100", server.host())), "{said}");
    assert!(said.contains(&format!("\n{}: 5 of 100", server.host())), "{said}");
    let quiet = repository.run(&["inspect", "-q", &name]).stderr;
    assert!(!quiet.contains("of 100"), "{quiet}");
}

#[test]
fn a_429_says_how_to_get_out() {
    let server = Server::start(Behaviour::lying(|_, _| Some(Reply::status(429).header("Retry-After", "3600"))));
    let repository = Repository::new();
    let trusted = format!("{}/**", server.host());
    repository.write("plimsoll.yaml", support::LIBRARY_ONLY.replace("docker.io/library/*", &trusted));
    repository.write("a.yaml", pod(&format!("image: \"{}/app:1\"", server.host())));
    let answer = repository.run(&["check"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let said = "is limiting requests (try again in 3600 seconds); these were anonymous";
    assert!(answer.stdout.contains(said), "{}", answer.stdout);
    assert!(answer.stdout.contains("log in to the registry (`docker login`), use a mirror"), "{}", answer.stdout);
}
