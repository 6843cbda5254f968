//! `git`, started so that nothing of the repository, the user's settings or the environment decides what it does.
//! It is found in absolute folders of `PATH` only: a program must not come out of the tree that is judged.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A `git` command for the work tree at `root`, which holds `.git`; the arguments are the caller's.
///
/// No config of the system or user is read, no file monitor, hook or fetch is started, no object is replaced.
pub fn command(root: &Path) -> io::Result<Command> {
    let program = program(root)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "git is in no folder of PATH outside the work tree"))?;
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    let mut git_dir = OsString::from("--git-dir=");
    git_dir.push(root.join(".git"));
    let mut tree = OsString::from("--work-tree=");
    tree.push(root);
    command
        .current_dir(root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", if cfg!(windows) { "NUL" } else { "/dev/null" })
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .args([git_dir, tree])
        .args(["-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "-c", "safe.directory=*"])
        .args(["-c", "core.bare=false", "--no-optional-locks", "--literal-pathspecs"])
        .stdin(Stdio::null());
    Ok(command)
}

fn program(root: &Path) -> Option<PathBuf> {
    let inside = |path: &Path| path.starts_with(root) || path.canonicalize().is_ok_and(|real| real.starts_with(root));
    let name = if cfg!(windows) { "git.exe" } else { "git" };
    env::split_paths(&env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file() && !inside(path))
}
