//! The folders `certs.d/HOST[:PORT]` of Docker and podman: whose certificates are trusted, and what is shown to whom.
//! It lists names and reads no file; what a file holds is looked at when its host is asked.
//!
//! Source: containers-certs.d.5, <https://docs.docker.com/engine/security/certificates/>.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::reference;
use crate::registry::settings::{Certificates, Identity};

/// What the folders below `roots` hold, by host. The first root that has a folder for a host is the one for it.
pub fn read(roots: &[PathBuf]) -> io::Result<HashMap<String, Certificates>> {
    let mut found = HashMap::new();
    for root in roots {
        for folder in entries(root)? {
            let name = folder.file_name().and_then(OsStr::to_str).filter(|name| reference::is_host(name));
            if let Some(host) = name.filter(|_| folder.is_dir()).map(reference::canonical_host)
                && !found.contains_key(&host)
            {
                found.insert(host, of(&folder)?);
            }
        }
    }
    Ok(found)
}

/// One host's folder; a `.cert` without its `.key`, or the other way round, is a pair with a missing half.
fn of(folder: &Path) -> io::Result<Certificates> {
    let names = entries(folder)?;
    let with = |extension: &'static str| {
        names.iter().filter(move |path| path.extension().is_some_and(|found| found == extension))
    };
    let pairs: BTreeSet<PathBuf> = with("cert").chain(with("key")).map(|path| path.with_extension("")).collect();
    let identities = pairs.into_iter().map(|stem| {
        let half = |extension: &str| {
            let mut name = stem.clone().into_os_string();
            name.push(extension);
            PathBuf::from(name)
        };
        Identity { certificate: half(".cert"), key: half(".key") }
    });
    Ok(Certificates { authorities: with("crt").cloned().collect(), identities: identities.collect() })
}

/// The paths in a folder, sorted; none where there is no folder, or one that is not ours to read.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => Ok(vec![]),
                _ => Err(named(error)),
            };
        }
    };
    let paths: io::Result<BTreeSet<PathBuf>> = found.map(|entry| entry.map(|entry| entry.path())).collect();
    Ok(paths.map_err(named)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_hosts_and_the_first_root_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = |name: &str| folder.path().join(name);
        let write = |path: &str| {
            let path = root(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for path in [
            "home/Reg.corp:5000/b.crt",
            "home/Reg.corp:5000/a.crt",
            "home/Reg.corp:5000/a.crt.bak",
            "home/Reg.corp:5000/me.cert",
            "home/Reg.corp:5000/me.key",
            "home/Reg.corp:5000/half.key",
            "etc/reg.corp:5000/other.crt",
            "etc/[::1]:5000/ca.crt",
            "etc/index.docker.io/hub.crt",
            "etc/not a host/ca.crt",
            "etc/file.corp",
        ] {
            write(path);
        }
        let found = read(&[root("missing"), root("home"), root("etc"), root("etc/file.corp")]).unwrap();
        let mut hosts: Vec<_> = found.keys().map(String::as_str).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, ["[::1]:5000", "docker.io", "reg.corp:5000"]);
        let at = |name: &str| root("home/Reg.corp:5000").join(name);
        let pair = |stem: &str| Identity { certificate: at(&format!("{stem}.cert")), key: at(&format!("{stem}.key")) };
        let expected =
            Certificates { authorities: vec![at("a.crt"), at("b.crt")], identities: vec![pair("half"), pair("me")] };
        assert_eq!(found["reg.corp:5000"], expected);
    }
}
