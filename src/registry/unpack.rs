//! What a layer unpacks to: stored bytes in, the digest of the tar out, once all of them were verified.
//! It keeps nothing but a window. What two readers of images could read differently is refused: a compression that is
//! not the media type's, bytes after the end, a frame that is broken off.
//!
//! Source: OCI image-spec 1.1, layer.md; RFC 1952 (gzip: members one after the other are one stream); RFC 8878 (zstd:
//! so are frames, and skippable frames hold nothing).

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::digest::{Algorithm, Digest, Hashing};
use crate::limits;
use crate::registry::content::malformed;
use crate::registry::{Packed, RegistryError, Unpacked, in_words};

/// Media types of layers without what they say of compression, and what stands in front of that.
const TARS: [(&str, char); 4] = [
    ("application/vnd.oci.image.layer.v1.tar", '+'),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar", '+'),
    ("application/vnd.docker.image.rootfs.diff.tar", '.'),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar", '.'),
];

/// Bytes that are handled at once.
const PIECE: usize = 64 << 10;
/// The bytes that a compression is known by are among so many.
const HEAD: usize = 6;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// A layer that is about to be read.
#[derive(Clone, Debug)]
pub(crate) struct Unpacking {
    place: String,
    digest: Digest,
    size: u64,
    compression: Compression,
    most: u64,
}

/// The stored bytes on their way through, counted and hashed.
struct Stored<R> {
    inner: R,
    hashing: Hashing,
    read: u64,
    said: u64,
    failed: Option<io::Error>,
}

/// Why a layer was not unpacked to its end.
enum Stopped {
    TooLarge,
    Broken(String),
}

impl Unpacking {
    /// Refuses what will not be read at all, before anybody is asked for it; `place` is who would serve it.
    pub(crate) fn new(place: &str, layer: Packed<'_>) -> Result<Self, RegistryError> {
        if layer.size > limits::LAYER_BYTES as u64 {
            return Err(RegistryError::TooLarge { place: place.to_owned(), limit: limits::LAYER_BYTES });
        }
        let compression = Compression::of(layer.media_type).ok_or_else(|| {
            malformed(place, &format!("{:?} is not the media type of a layer that can be read", layer.media_type))
        })?;
        let (place, digest) = (place.to_owned(), layer.digest.clone());
        Ok(Self { place, digest, size: layer.size, compression, most: limits::UNPACKED_BYTES as u64 })
    }

    /// Reads `source` to its end, which may take seconds: never call it where others wait.
    pub(crate) fn read(self, source: impl Read) -> Result<Unpacked, RegistryError> {
        let hashing = Hashing::new(self.digest.algorithm());
        let stored = Stored { inner: source, hashing, read: 0, said: self.size, failed: None };
        let mut stored = BufReader::with_capacity(PIECE, stored);
        let unpacked = self.unpack(&mut stored);
        if matches!(unpacked, Err(Stopped::TooLarge)) {
            let limit = usize::try_from(self.most).unwrap_or(usize::MAX);
            return Err(RegistryError::TooLarge { place: self.place, limit });
        }
        // Bytes that are not the layer's are the cause of all else that is wrong with them.
        let _ = io::copy(&mut stored, &mut io::sink());
        self.check(stored.into_inner())?;
        unpacked.map_err(|stopped| match stopped {
            Stopped::TooLarge => unreachable!("it was returned above"),
            Stopped::Broken(detail) => self.wrong(&detail),
        })
    }

    fn unpack<R: Read>(&self, stored: &mut BufReader<Stored<R>>) -> Result<Unpacked, Stopped> {
        let mut head = Vec::with_capacity(HEAD);
        stored.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|error| broken(&error))?;
        let found = Compression::seen(&head).map_err(|what| Stopped::Broken(what.to_owned()))?;
        if found != self.compression {
            let (found, said) = (found.name(), self.compression.name());
            return Err(Stopped::Broken(format!("is {found}, and {said} by its media type")));
        }
        let source = head.as_slice().chain(stored);
        match self.compression {
            Compression::None => self.hash(source),
            Compression::Gzip => self.hash(MultiGzDecoder::new(source)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source).map_err(|error| broken(&error))?;
                decoder.window_log_max(limits::ZSTD_WINDOW_LOG).map_err(|error| broken(&error))?;
                self.hash(decoder)
            }
        }
    }

    fn hash(&self, mut tar: impl Read) -> Result<Unpacked, Stopped> {
        let mut hashing = Hashing::new(Algorithm::Sha256);
        let mut size = 0;
        let mut piece = vec![0; PIECE];
        loop {
            let length = tar.read(&mut piece).map_err(|error| broken(&error))?;
            if length == 0 {
                return Ok(Unpacked { diff_id: hashing.digest(), size });
            }
            size += length as u64;
            if size > self.most {
                return Err(Stopped::TooLarge);
            }
            hashing.add(&piece[..length]);
        }
    }

    /// Whether what was read, to its end, is the layer.
    fn check<R>(&self, stored: Stored<R>) -> Result<(), RegistryError> {
        if stored.read > self.size {
            return Err(self.wrong(&format!("has more than the {} bytes that its manifest says", self.size)));
        }
        if let Some(error) = &stored.failed {
            return Err(RegistryError::Local { path: self.place.clone(), detail: in_words(error) });
        }
        let found = stored.hashing.digest();
        if found != self.digest {
            return Err(RegistryError::WrongBytes { place: self.place.clone(), expected: self.digest.clone(), found });
        }
        if stored.read < self.size {
            return Err(self.wrong(&format!("has {} bytes, its manifest says {}", stored.read, self.size)));
        }
        Ok(())
    }

    fn wrong(&self, detail: &str) -> RegistryError {
        malformed(&self.place, &format!("the layer {} {detail}", self.digest))
    }
}

/// Whether a media type says that a layer is stored as it unpacks.
pub(crate) fn is_plain(media_type: &str) -> bool {
    Compression::of(media_type) == Some(Compression::None)
}

impl Compression {
    /// The one that a media type says, if it is a layer's.
    fn of(media_type: &str) -> Option<Self> {
        TARS.iter().find_map(|(tar, mark)| match media_type.strip_prefix(tar)?.strip_prefix(*mark) {
            Some("gzip") => Some(Self::Gzip),
            Some("zstd") => Some(Self::Zstd),
            Some(_) => None,
            None => (media_type == *tar).then_some(Self::None),
        })
    }

    /// The one that the first bytes say, as readers go by them that look at no media type; those that only some of them
    /// know are refused.
    fn seen(head: &[u8]) -> Result<Self, &'static str> {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Err("begins with a frame to skip, which not every reader takes"),
            [b'B', b'Z', b'h', ..] => Err("is bzip2 to some readers"),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Err("is xz to some readers"),
            [0x1f, 0x8b, ..] => Err("is gzip of an unknown method"),
            _ => Ok(Self::None),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "not compressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > self.said || self.failed.is_some() {
            return Err(io::Error::other("it was given up"));
        }
        let length = loop {
            match self.inner.read(buffer) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failed = Some(error);
                    return Err(kind.into());
                }
            }
        };
        self.hashing.add(&buffer[..length]);
        self.read += length as u64;
        if self.read > self.said {
            return Err(io::Error::other("it is longer than its manifest says"));
        }
        Ok(length)
    }
}

fn broken(error: &io::Error) -> Stopped {
    let detail = match error.kind() {
        io::ErrorKind::UnexpectedEof => "breaks off".to_owned(),
        _ => format!("can't be unpacked: {error}"),
    };
    Stopped::Broken(detail)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write as _;

    use flate2::write::GzEncoder;

    use super::*;

    const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("a vector takes all");
        encoder.finish().expect("a vector takes all")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.include_checksum(true).expect("an encoder");
        encoder.write_all(bytes).expect("a vector takes all");
        encoder.finish().expect("a vector takes all")
    }

    /// A frame that every zstd reader skips.
    fn skipped(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).expect("short");
        [&[0x50, 0x2a, 0x4d, 0x18], &length.to_le_bytes()[..], bytes].concat()
    }

    /// A zstd frame that declares a window of 2 to the `log` bytes and holds the one byte `x`.
    fn windowed(log: u8) -> Vec<u8> {
        vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x09, 0x00, 0x00, b'x']
    }

    fn unpacking(stored: &[u8], media_type: &str) -> Unpacking {
        let digest = Digest::sha256(stored);
        let layer = Packed { digest: &digest, size: stored.len() as u64, media_type };
        Unpacking::new("here", layer).expect("a layer")
    }

    fn detail(answer: Result<Unpacked, RegistryError>) -> String {
        match answer {
            Err(RegistryError::Malformed { place, detail }) if place == "here" => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_compression_unpacks_to_what_was_packed() {
        let tar = [vec![b'a'; 1_000], (0..200_000_u32).flat_map(u32::to_le_bytes).collect(), vec![0; 1_024]].concat();
        let (first, second) = tar.split_at(777);
        let rows = [
            (TAR, tar.clone()),
            (GZIP, gzip(&tar)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&tar)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", gzip(&tar)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", zstd(&tar)),
            ("application/vnd.docker.image.rootfs.diff.tar", tar.clone()),
            (GZIP, [gzip(first), gzip(&[]), gzip(second)].concat()),
            (ZSTD, zstd(&tar)),
            (ZSTD, [zstd(first), skipped(b"between"), zstd(&[]), zstd(second)].concat()),
            (ZSTD, [zstd(&tar), skipped(b"a table of contents"), skipped(&[])].concat()),
        ];
        let expected = Unpacked { diff_id: Digest::sha256(&tar), size: tar.len() as u64 };
        for (media_type, stored) in rows {
            for most in [1, 5, PIECE + 1] {
                let source = Slow { bytes: &stored, most };
                let answer = unpacking(&stored, media_type).read(source);
                assert_eq!(answer, Ok(expected.clone()), "{media_type} in pieces of {most}");
            }
        }
    }

    /// Gives at most so many bytes at once, as a network does.
    struct Slow<'a> {
        bytes: &'a [u8],
        most: usize,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.most.min(buffer.len());
            self.bytes.read(&mut buffer[..most])
        }
    }

    #[test]
    fn an_empty_layer_is_one() {
        let expected = Unpacked { diff_id: Digest::sha256(b""), size: 0 };
        for (media_type, stored) in [(TAR, Vec::new()), (GZIP, gzip(b"")), (ZSTD, zstd(b""))] {
            assert_eq!(unpacking(&stored, media_type).read(&stored[..]), Ok(expected.clone()), "{media_type}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let tar = b"a tar, more or less".repeat(40);
        let (gz, zst) = (gzip(&tar), zstd(&tar));
        let cut = |bytes: &[u8], off: usize| bytes[..bytes.len() - off].to_vec();
        let flipped = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        let rows = [
            ("gzip cut in its checksum", GZIP, cut(&gz, 1), "breaks off"),
            ("gzip cut in its data", GZIP, cut(&gz, 12), "breaks off"),
            ("gzip cut in its header", GZIP, gz[..9].to_vec(), "breaks off"),
            ("a wrong checksum", GZIP, flipped(&gz, gz.len() - 8), "can't be unpacked"),
            ("a wrong length", GZIP, flipped(&gz, gz.len() - 1), "can't be unpacked"),
            ("garbage after it", GZIP, [&gz[..], b"garbage and more"].concat(), "can't be unpacked"),
            ("zeros after it", GZIP, [&gz[..], &[0; 512]].concat(), "can't be unpacked"),
            ("a byte after it", GZIP, [&gz[..], b"x"].concat(), "breaks off"),
            ("a second member, cut", GZIP, [&gz[..], &gz[..20]].concat(), "breaks off"),
            ("gzip and zstd", GZIP, [&gz[..], &zst[..]].concat(), "can't be unpacked"),
            ("zstd cut", ZSTD, cut(&zst, 1), "breaks off"),
            ("zstd cut in its header", ZSTD, zst[..5].to_vec(), "breaks off"),
            ("a wrong checksum", ZSTD, flipped(&zst, zst.len() - 1), "can't be unpacked"),
            ("garbage after it", ZSTD, [&zst[..], b"garbage and more"].concat(), "can't be unpacked"),
            ("a byte after it", ZSTD, [&zst[..], b"x"].concat(), "can't be unpacked"),
            ("a skipped frame, cut", ZSTD, [&zst[..], &cut(&skipped(b"abc"), 1)].concat(), "breaks off"),
            ("a skipped frame first", ZSTD, [skipped(b"abc"), zst.clone()].concat(), "begins with a frame to skip"),
            ("the same as a tar", TAR, [skipped(b"abc"), zst.clone()].concat(), "begins with a frame to skip"),
            ("a huge window", ZSTD, windowed(31), "can't be unpacked"),
            ("a window past the limit", ZSTD, windowed(26), "can't be unpacked"),
            ("gzip as a tar", TAR, gz.clone(), "is gzip, and not compressed by its media type"),
            ("zstd as a tar", TAR, zst.clone(), "is zstd, and not compressed by its media type"),
            ("a tar as gzip", GZIP, tar.clone(), "is not compressed, and gzip by its media type"),
            ("a tar as zstd", ZSTD, tar.clone(), "is not compressed, and zstd by its media type"),
            ("zstd as gzip", GZIP, zst.clone(), "is zstd, and gzip by its media type"),
            ("gzip as zstd", ZSTD, gz.clone(), "is gzip, and zstd by its media type"),
            ("nothing as gzip", GZIP, Vec::new(), "is not compressed, and gzip by its media type"),
            ("nothing as zstd", ZSTD, Vec::new(), "is not compressed, and zstd by its media type"),
            ("bzip2 as a tar", TAR, b"BZh91AY&SY".to_vec(), "is bzip2 to some readers"),
            ("xz as a tar", TAR, b"\xfd7zXZ\0\0\x04".to_vec(), "is xz to some readers"),
            ("gzip that is none", TAR, b"\x1f\x8b\x07".to_vec(), "is gzip of an unknown method"),
        ];
        for (what, media_type, stored, expected) in rows {
            let said = detail(unpacking(&stored, media_type).read(&stored[..]));
            let named = format!("the layer {} {expected}", Digest::sha256(&stored));
            assert!(said.starts_with(&named), "{what} as {media_type}: {said}");
        }
        let stored = windowed(25);
        let expected = Unpacked { diff_id: Digest::sha256(b"x"), size: 1 };
        assert_eq!(unpacking(&stored, ZSTD).read(&stored[..]), Ok(expected), "the largest window that is taken");
    }

    #[test]
    fn bytes_that_are_not_the_layers_are_no_layer_however_they_unpack() {
        let (gz, other) = (gzip(b"a tar"), gzip(b"another tar"));
        let wrong = |found: &[u8]| RegistryError::WrongBytes {
            place: "here".to_owned(),
            expected: Digest::sha256(&gz),
            found: Digest::sha256(found),
        };
        let mut as_long = gz.clone();
        as_long[15] ^= 0xff;
        let of_another_size = |said: u64, served: &[u8]| {
            let digest = Digest::sha256(&gz);
            let layer = Packed { digest: &digest, size: said, media_type: GZIP };
            Unpacking::new("here", layer).expect("a layer").read(served)
        };
        assert_eq!(of_another_size(other.len() as u64, &other), Err(wrong(&other)), "it unpacks well");
        assert_eq!(unpacking(&gz, GZIP).read(&as_long[..]), Err(wrong(&as_long)), "it does not");
        assert_eq!(unpacking(&gz, GZIP).read(&gz[..9]), Err(wrong(&gz[..9])), "it breaks off");
        assert_eq!(unpacking(&gz, GZIP).read(&b""[..]), Err(wrong(b"")));
        let longer = [&gz[..], &gz].concat();
        let length = gz.len();
        assert!(detail(unpacking(&gz, GZIP).read(&longer[..])).contains("has more than the"));
        assert!(detail(of_another_size(length as u64 - 1, &gz)).contains("has more than the"));
        let short = detail(of_another_size(length as u64 + 1, &gz));
        assert!(short.ends_with(&format!("has {length} bytes, its manifest says {}", length + 1)), "{short}");
    }

    #[test]
    fn what_is_served_without_end_is_not_read_without_end() {
        let drawn = Cell::new(0);
        let endless = Endless { piece: gzip(&vec![0; 1 << 20]), at: 0, drawn: &drawn };
        let digest = Digest::sha256(b"it never comes to that");
        let layer = Packed { digest: &digest, size: 10 << 20, media_type: GZIP };
        let unpacking = Unpacking { most: 20 << 20, ..Unpacking::new("here", layer).expect("a layer") };
        let answer = unpacking.read(endless);
        assert_eq!(answer, Err(RegistryError::TooLarge { place: "here".to_owned(), limit: 20 << 20 }));
        assert!(drawn.get() < 5 * PIECE, "{} bytes", drawn.get());
        let endless = Endless { piece: vec![7], at: 0, drawn: &drawn };
        drawn.set(0);
        let layer = Packed { digest: &digest, size: 100_000, media_type: TAR };
        assert!(detail(Unpacking::new("here", layer).expect("a layer").read(endless)).contains("has more than the"));
        assert!(drawn.get() < 100_000 + 2 * PIECE, "{} bytes", drawn.get());
    }

    /// The same over and over.
    struct Endless<'a> {
        piece: Vec<u8>,
        at: usize,
        drawn: &'a Cell<usize>,
    }

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            for byte in &mut *buffer {
                *byte = self.piece[self.at];
                self.at = (self.at + 1) % self.piece.len();
            }
            self.drawn.set(self.drawn.get() + buffer.len());
            Ok(buffer.len())
        }
    }

    #[test]
    fn a_limit_is_what_is_still_taken() {
        let tar = vec![b'x'; 5_000];
        let stored = gzip(&tar);
        let bound = |most| Unpacking { most, ..unpacking(&stored, GZIP) }.read(&stored[..]);
        assert_eq!(bound(5_000), Ok(Unpacked { diff_id: Digest::sha256(&tar), size: 5_000 }));
        assert_eq!(bound(4_999), Err(RegistryError::TooLarge { place: "here".to_owned(), limit: 4_999 }));
    }

    #[test]
    fn what_will_not_be_read_is_refused_before_anybody_is_asked() {
        let digest = Digest::sha256(b"");
        let new = |size, media_type| Unpacking::new("here", Packed { digest: &digest, size, media_type }).map(drop);
        assert_eq!(new(limits::LAYER_BYTES as u64, GZIP), Ok(()));
        let too_large = RegistryError::TooLarge { place: "here".to_owned(), limit: limits::LAYER_BYTES };
        assert_eq!(new(limits::LAYER_BYTES as u64 + 1, GZIP), Err(too_large.clone()));
        assert_eq!(new(u64::MAX, GZIP), Err(too_large));
        let rows = [
            "application/vnd.oci.image.layer.v1.tar.gzip",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "application/vnd.oci.image.layer.v1.tar+bzip2",
            "application/vnd.oci.image.layer.v1.tar+",
            "application/vnd.oci.image.layer.v1.tar ",
            "application/vnd.oci.image.layer.v1.TAR",
            "application/vnd.docker.image.rootfs.diff.tar+gzip",
            "application/vnd.in-toto+json",
            "application/octet-stream",
            "",
        ];
        for media_type in rows {
            assert!(matches!(new(0, media_type), Err(RegistryError::Malformed { .. })), "{media_type}");
        }
    }

    #[test]
    fn a_file_that_can_not_be_read_is_a_matter_of_this_machine() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let answer = unpacking(b"x", TAR).read((&b"x"[..]).chain(Failing));
        assert!(matches!(answer, Err(RegistryError::Local { path, .. }) if path == "here"));
    }
}
