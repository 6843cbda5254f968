//! The documents as they are written, for the reader and the schema; strict, and without meaning of their own.
//! No untagged enum and no flattening: both would lose the places.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rule::setting::{At, present};
use crate::rule::table::Entries;
use crate::source::Role;

/// The one value of `apiVersion`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) enum ApiVersion {
    /// Version 1.
    #[serde(rename = "plimsoll.dev/v1")]
    V1,
}

/// The one value of `kind` of a policy.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) enum PolicyKind {
    /// A policy.
    ImagePolicy,
}

/// The one value of `kind` of a config.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) enum ConfigKind {
    /// A config.
    GateConfig,
}

/// A policy for container images.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "ImagePolicy")]
pub(super) struct PolicyDocument {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: PolicyKind,
    #[serde(default, deserialize_with = "present")]
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: PolicySpec,
}

/// What the document is called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    /// The policy's name.
    #[schemars(with = "String", length(min = 1))]
    pub(super) name: At<String>,
}

/// The policy itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PolicySpec {
    /// Levels of the built-ins that may be lowered.
    #[serde(default)]
    pub(super) built_in: BuiltInLevels,
    /// Every statement that fits a reference applies, and all must hold.
    pub(super) statements: Vec<RawStatement>,
    /// What is let through for a while, by name, with its reason.
    #[serde(default)]
    pub(super) exceptions: Vec<At<RawException>>,
    /// Rules that a comment in a file may silence.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) inline_ignores: Vec<At<String>>,
}

/// Levels of the built-ins; `unmatched` and `exists` can't be lowered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BuiltInLevels {
    #[serde(default, deserialize_with = "present")]
    pub(super) unresolvable_reference: Option<At<BuiltInLevel>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) unreadable_source: Option<At<BuiltInLevel>>,
}

/// The level of one built-in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BuiltInLevel {
    pub(super) level: DenyOrWarn,
}

/// A built-in is never off.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DenyOrWarn {
    /// Decides the verdict.
    Deny,
    /// Is reported and decides nothing.
    Warn,
}

/// Which references, and what must hold of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Statement")]
pub(super) struct RawStatement {
    /// What it is called in reports.
    #[schemars(with = "String", length(min = 1))]
    pub(super) name: At<String>,
    /// Patterns of images; `!` in front takes out.
    #[serde(rename = "match")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(super) matches: At<Vec<At<String>>>,
    /// Where the reference stands.
    #[serde(default, rename = "where", deserialize_with = "present")]
    pub(super) scope: Option<At<RawScope>>,
    /// The rules, by id.
    pub(super) rules: At<Entries>,
}

/// Where a reference stands; each key that is given must fit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Where")]
pub(super) struct RawScope {
    /// Globs of paths, relative to the policy's folder.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) paths: Option<At<Vec<At<String>>>>,
    /// Ids of formats, such as `kubernetes`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) formats: Option<At<Vec<At<String>>>>,
    /// What the image is used for.
    #[serde(default, deserialize_with = "present")]
    pub(super) roles: Option<At<Vec<At<RawRole>>>>,
}

/// What an image is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Role")]
pub(super) enum RawRole {
    /// A workload's container.
    Run,
    /// FROM of a Dockerfile's last stage.
    Base,
    /// Other stages, `COPY --from`, mounts, `# syntax`.
    Build,
    /// A pipeline's container or service.
    Ci,
}

impl From<RawRole> for Role {
    fn from(role: RawRole) -> Self {
        match role {
            RawRole::Run => Self::Run,
            RawRole::Base => Self::Base,
            RawRole::Build => Self::Build,
            RawRole::Ci => Self::Ci,
        }
    }
}

/// One image that some rules let through until a day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Exception")]
pub(super) struct RawException {
    /// Host and repository in full; tag or digest where only one is meant. No pattern.
    #[schemars(with = "String")]
    pub(super) image: At<String>,
    /// Ids of rules.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(super) rules: At<Vec<At<String>>>,
    /// Why.
    #[schemars(with = "String", length(min = 1))]
    pub(super) reason: At<String>,
    /// Who answers for it.
    #[schemars(with = "String", length(min = 1))]
    pub(super) owner: At<String>,
    /// The last day on which it counts, UTC, at most 366 days ahead.
    #[schemars(with = "String", extend("format" = "date"))]
    pub(super) expires: At<String>,
}

/// Settings of the machine that the gate runs on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "GateConfig")]
pub(super) struct ConfigDocument {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: ConfigKind,
    #[serde(default, deserialize_with = "present", rename = "metadata")]
    pub(super) metadata: Option<Metadata>,
    pub(super) spec: ConfigSpec,
}

/// The settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ConfigSpec {
    /// How registries are reached.
    #[serde(default)]
    pub(super) registries: Vec<At<RawRegistry>>,
    /// Globs of files that are left out of a run.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) ignore: Option<At<Vec<At<String>>>>,
    /// Custom resources of one's own, whose images stand outside pod templates.
    #[serde(default)]
    pub(super) kinds: Vec<At<RawKind>>,
}

/// Where the images of a custom resource stand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Kind")]
pub(super) struct RawKind {
    /// The API group, without a version; empty for the core group.
    #[schemars(with = "String")]
    pub(super) group: At<String>,
    /// The kind.
    #[schemars(with = "String", length(min = 1))]
    pub(super) kind: At<String>,
    /// Paths of images in an object, as `JSONPath`: `{.spec.jobs[*].image}`.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(super) images: At<Vec<At<String>>>,
}

/// How the registries of one prefix are reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Registry")]
pub(super) struct RawRegistry {
    /// `HOST[/PATH]`; the longest prefix wins; `*` is every registry.
    #[schemars(with = "String")]
    pub(super) prefix: At<String>,
    /// Tried in order, then the registry itself.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) mirrors: Option<At<Vec<At<String>>>>,
    /// Never ask the registry itself.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<bool>")]
    pub(super) only_mirrors: Option<At<bool>>,
    /// http or unverified TLS, for this prefix alone.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<bool>")]
    pub(super) insecure: Option<At<bool>>,
    /// A file of certificates, relative to this file.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    pub(super) ca: Option<At<String>>,
    /// The URL of a token server on another host or port, which the registry may send credentials to.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    pub(super) token_realm: Option<At<String>>,
    /// An OCI image layout on disk, relative to this file.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    pub(super) layout: Option<At<String>>,
}
