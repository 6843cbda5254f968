//! Credential helpers: programs named `docker-credential-…` that are asked on standard input.
//! They have a deadline, what they write to standard error is thrown away, and their words are never repeated.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::limits;
use crate::registry::RegistryError;

use super::{Credential, Secret};

/// What a helper says, on either stream, when it simply has nothing for the host (docker-credential-helpers, `credentials/error.go`).
const NOTHING_STORED: &str = "credentials not found in native keychain";
/// The user name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

/// Where helpers are, and how long they may take.
#[derive(Debug)]
pub(super) struct Helpers {
    pub(super) search: Option<OsString>,
    /// Where none may come out of.
    pub(super) judged: Vec<PathBuf>,
    pub(super) deadline: Duration,
}

impl Helpers {
    /// What the helper `name` has for `key`.
    pub(super) async fn ask(&self, name: &str, key: &str) -> Result<Option<Credential>, RegistryError> {
        let program = format!("docker-credential-{name}");
        let local = |detail: &str| RegistryError::Local { path: program.clone(), detail: detail.to_owned() };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            let detail = "a credential helper's name has only letters, digits, `.`, `_` and `-`";
            return Err(RegistryError::Local {
                path: "the settings of credentials".to_owned(),
                detail: detail.to_owned(),
            });
        }
        let path = self
            .search(&program)
            .ok_or_else(|| local("this credential helper is not in PATH, or only inside what is judged"))?;
        let run = tokio::time::timeout(self.deadline, run(&path, key)).await;
        let (success, output) = match run {
            Err(_) => return Err(local(&format!("no answer in {} seconds", self.deadline.as_secs()))),
            Ok(Err(error)) => return Err(local(&format!("can't be run: {}", error.kind()))),
            Ok(Ok(output)) => output,
        };
        if !success {
            let nothing = String::from_utf8_lossy(&output).trim() == NOTHING_STORED;
            return if nothing { Ok(None) } else { Err(local("the credential helper failed")) };
        }
        let value: Value =
            serde_json::from_slice(&output).map_err(|_| local("the credential helper's answer is not JSON"))?;
        let field = |name| value.get(name).and_then(Value::as_str);
        match (field("Username"), field("Secret")) {
            (Some(""), Some("")) => Ok(None),
            (Some(TOKEN_USER), Some(secret)) => Ok(Some(Credential::IdentityToken(Secret::new(secret)))),
            (Some(user), Some(secret)) => {
                Ok(Some(Credential::Basic { user: user.to_owned(), password: Secret::new(secret) }))
            }
            _ => Err(local("the credential helper's answer lacks `Username` or `Secret`")),
        }
    }

    fn search(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(self.search.as_ref()?)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(program))
            .find(|path| path.is_file() && !self.is_judged(path))
    }

    fn is_judged(&self, path: &Path) -> bool {
        // By its name too: a link on the way could be the change's own.
        let inside = |path: &Path| self.judged.iter().any(|judged| path.starts_with(judged));
        inside(path) || path.canonicalize().map_or(true, |real| inside(&real))
    }
}

/// Whether it ended well, and its standard output; it is killed when this future is dropped.
async fn run(path: &Path, key: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // A helper that does not read its input may still answer.
    let _ = stdin.write_all(key.as_bytes()).await;
    drop(stdin);
    let mut output = Vec::new();
    let stdout = child.stdout.take().expect("standard output is piped");
    stdout.take(limits::TOKEN_BYTES as u64).read_to_end(&mut output).await?;
    Ok((child.wait().await?.success(), output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_never_come_out_of_the_working_folder() {
        // A test runs in the folder of the crate, where this file is.
        let search = |path: &str| {
            let helpers = Helpers { search: Some(path.into()), judged: vec![], deadline: Duration::ZERO };
            helpers.search("Cargo.toml").is_some()
        };
        assert!(search(env!("CARGO_MANIFEST_DIR")));
        assert!(!search(".") && !search("") && !search("src/.."));
    }

    #[cfg(unix)]
    #[test]
    fn helpers_never_come_out_of_a_tree_that_is_judged() {
        let (tree, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(tree.path().join("bin")).unwrap();
        std::fs::write(tree.path().join("bin/docker-credential-x"), "").unwrap();
        std::os::unix::fs::symlink(tree.path().join("bin"), outside.path().join("link")).unwrap();
        let found = |folder: PathBuf, judged: &[PathBuf]| {
            let helpers = Helpers { search: Some(folder.into()), judged: judged.to_vec(), deadline: Duration::ZERO };
            helpers.search("docker-credential-x").is_some()
        };
        let judged = [tree.path().canonicalize().unwrap()];
        for folder in [tree.path().join("bin"), outside.path().join("link")] {
            assert!(found(folder.clone(), &[]) && !found(folder, &judged));
        }
    }
}
