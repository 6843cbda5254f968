//! Content digests: made only by strict parsing or by hashing bytes, compared as algorithm and hex.
//! A digest that is too short, upper case or of an unknown algorithm never becomes one.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash algorithm that the OCI image specification registers (descriptor.md, "Registered algorithms") or Docker accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 64 hex digits.
    Sha256,
    /// SHA-384, 96 hex digits.
    Sha384,
    /// SHA-512, 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// Its name in front of the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

/// A digest with its algorithm's full length, in lower-case hex (OCI image-spec, descriptor.md, "Digests").
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// Shared, because one digest stands in many places of a run.
    text: Arc<str>,
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// No `algorithm:hex` at all.
    #[error("`{0}` is not a digest; one is written `sha256:` and 64 hex digits")]
    Form(String),
    /// An algorithm that is not registered.
    #[error("digest algorithm `{0}` is not supported; use sha256, sha384 or sha512")]
    Algorithm(String),
    /// Too short or too long.
    #[error("a {algorithm} digest has {expected} hex digits, this one has {found}")]
    Length {
        /// The algorithm that was named.
        algorithm: &'static str,
        /// Hex digits it must have.
        expected: usize,
        /// Hex digits that were found.
        found: usize,
    },
    /// A character that is not lower-case hex.
    #[error("a digest is written in lower-case hex")]
    Hex,
}

impl Digest {
    /// Parses `algorithm:hex`, strictly.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or_else(|| DigestError::Form(text.to_owned()))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha384" => Algorithm::Sha384,
            "sha512" => Algorithm::Sha512,
            _ => return Err(DigestError::Algorithm(name.to_owned())),
        };
        if hex.len() != algorithm.hex_len() {
            let (expected, found) = (algorithm.hex_len(), hex.chars().count());
            return Err(DigestError::Length { algorithm: algorithm.name(), expected, found });
        }
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Hex);
        }
        Ok(Self { algorithm, text: text.into() })
    }

    /// The SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::hash(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by `algorithm`.
    pub fn hash(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hashing = Hashing::new(algorithm);
        hashing.add(bytes);
        hashing.digest()
    }

    /// Whether `bytes` hash to this digest.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        Self::hash(self.algorithm, bytes) == *self
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hex digits alone.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }
}

/// A digest in the making, of bytes that come in pieces.
#[derive(Clone, Debug)]
pub struct Hashing {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hashing {
    /// Of no bytes so far.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha384 => State::Sha384(Sha384::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state }
    }

    /// Adds the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(piece),
            State::Sha384(state) => state.update(piece),
            State::Sha512(state) => state.update(piece),
        }
    }

    /// The digest of all pieces, one after the other.
    pub fn digest(self) -> Digest {
        let (algorithm, hex) = match self.state {
            State::Sha256(state) => (Algorithm::Sha256, hex(&state.finalize())),
            State::Sha384(state) => (Algorithm::Sha384, hex(&state.finalize())),
            State::Sha512(state) => (Algorithm::Sha512, hex(&state.finalize())),
        };
        Digest { algorithm, text: format!("{}:{hex}", algorithm.name()).into() }
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes_and_parses_agree() {
        let digest = Digest::parse(EMPTY).expect("a digest");
        assert_eq!(digest, Digest::sha256(b""));
        assert!(digest.fits(b""));
        assert!(!digest.fits(b"x"));
        assert_eq!(digest.hex().len(), 64);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let digest = Digest::hash(algorithm, b"xyz");
            let mut hashing = Hashing::new(algorithm);
            for piece in [&b"x"[..], b"", b"yz"] {
                hashing.add(piece);
            }
            assert_eq!(hashing.digest(), digest);
            assert_eq!(Digest::parse(digest.as_str()), Ok(digest));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let hex = &EMPTY[7..];
        let length = |found| DigestError::Length { algorithm: "sha256", expected: 64, found };
        let rows = [
            (hex.to_owned(), DigestError::Form(hex.to_owned())),
            (format!("sha256:{}", &hex[1..]), length(63)),
            (format!("sha256:{hex}0"), length(65)),
            (format!("sha256:{}", hex.to_uppercase()), DigestError::Hex),
            (format!("sha256:{}g", &hex[1..]), DigestError::Hex),
            (format!("SHA256:{hex}"), DigestError::Algorithm("SHA256".into())),
            (format!("md5:{}", &hex[..32]), DigestError::Algorithm("md5".into())),
            (format!("sha512:{hex}"), DigestError::Length { algorithm: "sha512", expected: 128, found: 64 }),
            (format!(" {EMPTY}"), DigestError::Algorithm(" sha256".into())),
            (format!("{EMPTY}\" , evil: \"true"), length(79)),
            (String::new(), DigestError::Form(String::new())),
        ];
        for (text, error) in rows {
            assert_eq!(Digest::parse(&text), Err(error), "{text}");
        }
    }
}
