//! The command line as clap reads it; what it means is settled in the commands.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools, clippy::struct_field_names)] // comments here are help texts

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use plimsoll::image::Platform;
use plimsoll::limits;
use plimsoll::reference::Reference;

/// A policy gate for container images: what is checked is what is pinned is what runs.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Exit codes: 0 all allowed or skipped; 1 something denied (or would change under pin --check);
2 wrong usage, no policy, an unreadable file, or nothing to look at; 3 something undecided.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Judge every image reference against the policy
    Check(Check),
    /// Rewrite references to name:tag@sha256:…, only what the policy allows
    Pin(Pin),
    /// Take the digest off where a tag stands beside it
    Unpin(Unpin),
    /// The references found, without any network
    List(List),
    /// Name images by digest: a line name:tag@sha256:… for each
    Resolve(Resolve),
    /// Everything that can be known of one image
    Inspect(Inspect),
    /// Copy what a check of these paths needs into an OCI layout, for a place without a network
    Vendor(Vendor),
    /// Write a policy that fits what the repository already uses
    Init(Init),
    /// What a rule checks, why, and how to satisfy it
    Explain {
        /// The rule's id; without one, all rules are named
        rule: Option<String>,
    },
    /// Look at a policy itself
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Read the policy and say what is wrong with it
    Check {
        /// The policy file
        #[arg(value_name = "FILE", default_value = "plimsoll.yaml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of a policy
    Schema,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Paths {
    /// Files and folders; `-` is standard input; none means the current folder
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The format of the files named on the command line and of standard input
    #[arg(id = "as", long = "as", value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Settings of registries on this machine, and files to ignore (a GateConfig document)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Finding no file that could name an image is no error
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The policy; without it, plimsoll.yaml at the root of the git work tree, else in the current folder
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Read policy and config from this git commit, so that a change can't judge itself
    #[arg(long, value_name = "REF")]
    pub(crate) policy_from: Option<String>,
    /// The run's clock, for reports that repeat: 2026-11-20T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Asking {
    /// Only these platforms of an image (repeatable); in pin and resolve, the one child for it
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Vec<Platform>,
    #[command(flatten)]
    pub(crate) reaching: Reaching,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Reaching {
    /// Requests under way at once, over all registries
    #[arg(long, value_name = "N", default_value_t = limits::CONCURRENCY, value_parser = jobs)]
    pub(crate) jobs: usize,
    /// Ask no registry over the network; layouts on disk answer, and for digests the cache
    #[arg(long)]
    pub(crate) offline: bool,
    /// Neither use nor keep what earlier runs have read
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Read a bearer token, or USER:PASSWORD, from standard input for this registry and no other
    #[arg(long, value_name = "HOST")]
    pub(crate) registry_token_stdin: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Reports {
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ReportFormat,
    /// Write the report to a file in place of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write a further report to a file (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = further_report)]
    pub(crate) report: Vec<(ReportFormat, PathBuf)>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    #[command(flatten)]
    pub(crate) reports: Reports,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// No progress and no summary beyond the report
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show more: every reference, how a digest is known, the cache, what registries still grant
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// For programs, by the schemas in docs/
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs) if (1..=limits::MOST_JOBS).contains(&jobs) => Ok(jobs),
        _ => Err(format!("a number from 1 to {}", limits::MOST_JOBS)),
    }
}

fn further_report(text: &str) -> Result<(ReportFormat, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("one is written FORMAT=FILE, such as json=report.json")?;
    if file.is_empty() {
        return Err("the file's name is missing".to_owned());
    }
    Ok((ReportFormat::from_str(format, false)?, PathBuf::from(file)))
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) asking: Asking,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Judge by what the text says alone and ask no registry at all; the report names what was not evaluated
    #[arg(long)]
    pub(crate) no_resolve: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pin {
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) asking: Asking,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Print a unified diff and write nothing
    #[arg(long)]
    pub(crate) diff: bool,
    /// Write nothing; exit 1 if something would change
    #[arg(long)]
    pub(crate) check: bool,
    /// Move a pinned reference whose tag has moved
    #[arg(long)]
    pub(crate) update: bool,
    /// Pin without judging
    #[arg(long, conflicts_with_all = ["policy", "policy_from"])]
    pub(crate) no_policy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unpin {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Print a unified diff and write nothing
    #[arg(long)]
    pub(crate) diff: bool,
    /// No summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) reports: Reports,
    /// Count the references and files too
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The images, as a manifest would name them: nginx:1.25, ghcr.io/acme/app@sha256:…
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) images: Vec<String>,
    #[command(flatten)]
    pub(crate) machine: Machine,
    #[command(flatten)]
    pub(crate) asking: Asking,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The image, as a manifest would name it: nginx:1.25, ghcr.io/acme/app@sha256:…
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// An image that it may be built on, to be compared with it (repeatable); what it names itself is compared where it
    /// is on the image's registry or on Docker Hub
    #[arg(long, value_name = "IMAGE", value_parser = Reference::parse)]
    pub(crate) base: Vec<Reference>,
    /// Print the image as a tree: indexes, platforms with their layers and base, attestations and referrers under what
    /// they are of
    #[arg(long)]
    pub(crate) tree: bool,
    /// Read every layer once: what each unpacks to, in bytes, and whether that is what its config says
    #[arg(long)]
    pub(crate) unpack: bool,
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// The run's clock, which ages are counted to: 2026-11-20T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) asking: Asking,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Machine {
    /// Settings of registries on this machine (a GateConfig document)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Vendor {
    /// The folder of the layout: a new one, an empty one, or a layout to add to
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) paths: Paths,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) reaching: Reaching,
    /// No progress and no summary, only what could not be copied
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show every name that was copied, with its digest
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to look at, where the policy is written; without it, the root of the git work tree
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// Print the policy and write nothing
    #[arg(long)]
    pub(crate) print: bool,
}
