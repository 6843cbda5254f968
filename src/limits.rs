//! Every limit in one place, each with its reason.
//! A limit on what is read is a finding or an error that names it when it is reached, never a shorter answer.

use std::time::Duration;

/// Largest manifest or index, in bytes: what registries themselves accept.
pub const MANIFEST_BYTES: usize = 4 << 20;
/// Largest image config, in bytes: thousands of history entries and labels fit.
pub const CONFIG_BYTES: usize = 8 << 20;
/// Largest blob of an attestation or a signature, in bytes: a bill of materials of a large image fits.
pub const ATTESTATION_BYTES: usize = 40 << 20;
/// Largest layer that `vendor` copies because a check unpacked it, in bytes: it is held whole, and a larger one is said.
pub const VENDORED_LAYER_BYTES: usize = 64 << 20;
/// Most blobs of one attestation or signature manifest: one a statement, and keyless signing adds one each time.
pub const ATTESTATION_BLOBS: usize = 200;
/// Most attestation and signature manifests of one image that are copied, over all its platforms.
pub const ATTESTATIONS: usize = 2_000;
/// Most bytes of all attestations and signatures of one image that are copied: a dozen of the largest blobs.
pub const ATTESTATIONS_BYTES: usize = 512 << 20;
/// Most entries of a config's history: runtimes stop at 127 layers, and a build adds an empty entry for each setting.
pub const HISTORY_ENTRIES: usize = 2_000;
/// Most entries of any other list or mapping of a config, such as its variables or labels: real ones have some dozens.
pub const CONFIG_ENTRIES: usize = 10_000;
/// Most children of an index that are judged; real indexes stay below 100.
pub const INDEX_CHILDREN: usize = 1_000;
/// Most images that one place may claim as sources of an image: builds with many stages have a dozen.
pub const BASE_CLAIMS: usize = 20;
/// Most bases that a policy may have looked for by name and tag: each is asked for in every run that needs one.
pub const BASE_CANDIDATES: usize = 50;
/// Most layers of one image that are read and unpacked to prove a base: bases have a dozen.
pub const BASE_UNPACKED_LAYERS: usize = 30;
/// Most stored bytes of those layers: the largest bases in use have some hundred MiB.
pub const BASE_UNPACKED_BYTES: usize = 512 << 20;
/// Most bases that images of one repository may have asked for on their own word: a fleet shares some dozens.
pub const BASES_CLAIMED: usize = 1_000;
/// Most statements of provenance of one image that are read for its base: builders write one.
pub const BASE_STATEMENTS: usize = 5;
/// Most bytes that a run unpacks to prove bases: some hundred images' recompressed bases.
pub const BASES_UNPACKED_BYTES: u64 = 32 << 30;
/// Most answers about bases that a run remembers: a fleet shares some dozens, and a hostile image can name many.
pub const BASES_REMEMBERED: usize = 2_000;
/// How deep an index may nest in an index; the specification allows it, real images use one.
pub const INDEX_DEPTH: usize = 3;
/// Most bytes of the manifests and configs of one image, over all its platforms: real ones stay below one MiB, and the
/// largest manifest with the largest config fits.
pub const IMAGE_BYTES: usize = 32 << 20;
/// Most bytes that a run remembers of one repository so as not to fetch them twice; what is beyond is fetched again.
pub const REMEMBERED_BYTES: usize = 16 << 20;
/// Most bytes that a run remembers of all repositories that it still asks: thousands of images.
pub const REMEMBERED_BYTES_IN_ALL: usize = 64 << 20;
/// Largest `index.json` of a layout on disk, in bytes: some ten thousand images.
pub const LAYOUT_INDEX_BYTES: usize = 16 << 20;
/// Most referrers of one image: real images have a handful, and each may have to be fetched and verified.
pub const REFERRERS: usize = 50;
/// Most pages of one list of referrers: registries give 50 or more a page, so a list within the limit needs one or two.
pub const REFERRER_PAGES: usize = 20;
/// Redirects that one request follows: real registries need one, to their storage.
pub const REDIRECTS: usize = 5;
/// Largest answer of a token endpoint or a credential helper, and longest token on standard input, in bytes: real ones
/// are some kilobytes.
pub const TOKEN_BYTES: usize = 1 << 20;
/// Most repositories in one token request, so that the token, which names them all, stays a header that servers take.
pub const TOKEN_SCOPES: usize = 32;
/// Longest address of a token request for several repositories, in bytes: half of what common proxies take.
pub const TOKEN_URL_BYTES: usize = 4 << 10;
/// Longest header with a token for several repositories, in bytes: common servers take 8 KiB for a whole request head.
pub const TOKEN_HEADER_BYTES: usize = 6 << 10;
/// Longest realm of a challenge that is followed, in bytes: an address that every server takes.
pub const REALM_BYTES: usize = 2 << 10;
/// Longest service of a challenge that is followed, in bytes: a host name is no longer.
pub const SERVICE_BYTES: usize = 256;
/// Most places and services that one registry may send us to for tokens; real ones have one, each is kept for the run.
pub const COUNTERS: usize = 32;
/// Longest token, in bytes: no server takes a longer header.
pub const BEARER_BYTES: usize = 16 << 10;
/// Shortest spelling of a password or a stored token that no content may repeat, in bytes: shorter ones are words.
pub const SECRET_BYTES: usize = 8;
/// How much of another side's message is looked at, in bytes: more than is ever shown of it. (Divisible by three, so that
/// the base64 of a secret's beginning is the beginning of its base64.)
pub const MESSAGE_BYTES: usize = 768;
/// Bearer tokens that are remembered so that no message repeats them: more than can be under way at once.
pub const BEARERS: usize = 512;
/// Largest error body that is read for its message, in bytes.
pub const ERROR_BYTES: usize = 16 << 10;
/// Longest time that is spent on the rest of an error's body, to keep its connection.
pub const DRAIN: Duration = Duration::from_secs(1);
/// Time to connect.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Deadline of one request with its whole body: a drip of a byte a second must end.
pub const REQUEST: Duration = Duration::from_secs(30);
/// Deadline of a credential helper.
pub const HELPER: Duration = Duration::from_secs(20);
/// Largest layer that is read to learn what it unpacks to, in bytes as stored: distributions and language runtimes fit.
pub const LAYER_BYTES: usize = 256 << 20;
/// Most bytes that a layer may unpack to: eight times the largest that is read, and some ten seconds of work; a layer of
/// zeros could else keep us busy for a quarter of a terabyte.
pub const UNPACKED_BYTES: usize = 2 << 30;
/// Largest window of a zstd frame, as a power of two in bytes: builders use up to 32 MiB, and a decoder keeps all of it.
pub const ZSTD_WINDOW_LOG: u32 = 25;
/// Most layers that are unpacked at once: each may keep a window in memory and a processor busy.
pub const UNPACKING: usize = 4;
/// Deadline of one layer with its whole body: the largest at a megabyte a second.
pub const LAYER: Duration = Duration::from_secs(300);
/// Bytes of a layer that must come within each [`REQUEST`], so that a drip ends long before [`LAYER`] does.
pub const LAYER_PROGRESS: usize = 1 << 20;
/// Attempts of one request, the first included (only for 429, 5xx and resets).
pub const ATTEMPTS: u32 = 3;
/// Wait before the second attempt, doubled for each later one; a quarter more or less by chance, so that many don't return at once.
pub const BACKOFF: Duration = Duration::from_millis(500);
/// Longest wait that a `Retry-After` may ask for before the run gives up on the request.
pub const RETRY_AFTER: Duration = Duration::from_secs(60);
/// How long a host may fail in succession, the waits that it asks for included, before this run asks it no more:
/// ten thousand references must not each wait for a registry that is down.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long a host may ask to be left in peace in one run, all rests together: who asks for a rest after each answer
/// would else hold the run for as long as it likes.
pub const RESTS: Duration = Duration::from_secs(300);
/// How long one host is asked in one run, however it answers: slow answers to ten thousand references must end, and ten
/// thousand from a slow registry take some minutes.
pub const HOST_TIME: Duration = Duration::from_secs(1_800);
/// Requests under way at once, over all registries: nearly twice as fast as 32 where the network is what takes the time,
/// and a registry that strains is asked for less.
pub const CONCURRENCY: usize = 64;
/// Names under way at once, over all hosts (each host has at least as many as `--jobs`): enough to fill token requests
/// and connections, and as much memory for ten thousand names as for a few hundred.
pub const NAMES_AT_ONCE: usize = 256;
/// Most requests at once that `--jobs` may ask for: beyond it registries only limit.
pub const MOST_JOBS: usize = 256;

/// Size of the disk cache, in bytes: with some 5 KB for a manifest and its record, the content of a hundred thousand images.
pub const CACHE_BYTES: u64 = 1 << 30;
/// Smallest part of a disk that a file takes, in bytes, on the file systems in use.
pub const CACHE_BLOCK: u64 = 4 << 10;
/// Bytes that a run writes into the cache before it looks at the bound again: a killed run leaves no more uncounted.
pub const CACHE_PART: u64 = 16 << 20;
/// Lines of the cache's tally before every file is looked at again: what killed runs left out is found in time.
pub const CACHE_TALLIES: usize = 1_000;
/// Age of an entry's last use that is not worth a write to make it younger.
pub const CACHE_TOUCH: Duration = Duration::from_secs(60);
/// Age past which a file of the cache that was never finished belongs to a killed process.
pub const CACHE_UNFINISHED: Duration = Duration::from_secs(3_600);
/// Largest record beside the cache's content, in bytes: a host, 255 bytes of path, a tag and a digest fit.
pub const CACHE_RECORD_BYTES: usize = 4 << 10;

/// Largest file that is read as a source, in bytes.
pub const SOURCE_BYTES: u64 = 256 << 20;
/// Most different wildcards that the files of a run may name other files by: each is tried on every file of the tree.
pub const WILDCARDS: usize = 200;
/// Largest policy or config document, in bytes.
pub const POLICY_BYTES: u64 = 1 << 20;
/// Deepest nesting of YAML or JSON collections.
pub const YAML_DEPTH: usize = 200;
/// Most documents in one YAML stream.
pub const YAML_DOCUMENTS: usize = 1_000_000;
/// Most nodes that are visited in one document, aliases followed: a "billion laughs" stops here.
pub const YAML_VISITS: usize = 8_000_000;
/// Most nodes of one document that are reached through aliases and merge keys; real files stay in the hundreds.
pub const YAML_FOLLOWED: usize = 100_000;
/// Longest text that is taken for an image reference, in bytes: host, port, 255 bytes of path, tag and digest fit.
pub const REFERENCE_BYTES: usize = 1_024;

/// How far ahead an exception may end, in days.
pub const EXCEPTION_DAYS: i64 = 366;
/// How many days before its end an exception warns.
pub const EXCEPTION_WARNING_DAYS: i64 = 14;
