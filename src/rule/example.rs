//! Examples that the docs show and the tests run: settings, a reference, the facts, and what the rule says.
//! An example that is not true fails the build.

/// The clock of every example.
pub const NOW: &str = "2026-11-20T00:00:00Z";

/// What is known of the image in an example.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What the tag names now.
    pub tag: Option<&'static str>,
    /// Each platform of the image, and the compressed bytes of its first layer.
    pub platforms: &'static [(&'static str, u64)],
    /// Compressed bytes of the layers above the first, the same on every platform.
    pub more_layers: &'static [u64],
    /// What stands in every platform's config beside its platform, as a JSON mapping.
    pub config: Option<&'static str>,
    /// Annotations of every platform's manifest, as a JSON mapping.
    pub annotations: Option<&'static str>,
    /// What every platform is built on, where that is known.
    pub base: Option<BaseFact>,
    /// In `pin --update`: the platforms of the image that was pinned before, and the bytes of their layers.
    pub previous: &'static [(&'static str, u64)],
    /// The user that the workload names.
    pub run_as_user: Option<&'static str>,
    /// Whether the workload refuses root (`runAsNonRoot`), where it says so.
    pub run_as_non_root: Option<bool>,
}

impl Facts {
    /// Nothing is known, and nothing is needed; what an example knows is written before `..Facts::NONE`.
    pub const NONE: Self = Self {
        tag: None,
        platforms: &[],
        more_layers: &[],
        config: None,
        annotations: None,
        base: None,
        previous: &[],
        run_as_user: None,
        run_as_non_root: None,
    };
}

/// What every platform of an example is built on.
#[derive(Clone, Copy, Debug)]
pub struct BaseFact {
    /// Its name, with its tag.
    pub name: &'static str,
    /// Whether the layers prove it, or an annotation of the manifest only claims it.
    pub proved: bool,
    /// How many of the image's layers are its.
    pub layers: usize,
    /// When it was built.
    pub created: &'static str,
    /// When what its tag names now was built, where that is something else.
    pub moved: Option<&'static str>,
}

impl BaseFact {
    /// The digest of every base in an example.
    pub const DIGEST: &'static str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    /// What its tag names once it has moved.
    pub const MOVED: &'static str = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
}

/// One example of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The rule's settings, as YAML.
    pub settings: &'static str,
    /// The reference that is judged.
    pub reference: &'static str,
    /// What is known of it.
    pub facts: Facts,
    /// What the rule says; `None` where it is satisfied.
    pub says: Option<&'static str>,
}

/// What every rule's tests share: images from facts, made the only way an image can be made.
#[cfg(test)]
pub(crate) mod testing {
    use std::collections::HashMap;

    use bytes::Bytes;

    use super::{BaseFact, Example, Facts, NOW};
    use crate::digest::{Algorithm, Digest};
    use crate::image::base::{Bases, Confidence, Doubt, Evidence, Ground, Known, Now, split};
    use crate::image::base_claim::Place;
    use crate::image::{Depth, Image, PlatformImage, load};
    use crate::reference::{Reference, Repository};
    use crate::registry::{
        Answer, KnownBy, Manifest, Named, Packed, Referrers, ReferrersFrom, Registry, RegistryError, Target, Unpacked,
        Want,
    };
    use crate::rule::setting::Settings;
    use crate::rule::{Case, Judgement, Rule};
    use crate::source::RunAs;
    use crate::span::Span;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    struct Shelf(HashMap<Digest, Manifest>);

    impl Shelf {
        fn put(&mut self, media_type: &str, body: String) -> Manifest {
            let manifest = Manifest::hashed(Algorithm::Sha256, media_type, Bytes::from(body));
            self.0.insert(manifest.digest().clone(), manifest.clone());
            manifest
        }

        fn get(&self, digest: &Digest) -> Result<Manifest, RegistryError> {
            self.0.get(digest).cloned().ok_or_else(|| RegistryError::NotFound { place: "the shelf".to_owned() })
        }
    }

    impl Registry for Shelf {
        fn name<'a>(&'a self, _: &'a Repository, target: Target<'a>, _: Want) -> Answer<'a, Named> {
            let Target::Digest(digest) = target else { panic!("only digests are asked for") };
            let named =
                self.get(digest).map(|m| Named { digest: digest.clone(), known_by: KnownBy::Bytes, manifest: Some(m) });
            Box::pin(async { named })
        }

        fn blob<'a>(&'a self, _: &'a Repository, digest: &'a Digest, _: usize) -> Answer<'a, Bytes> {
            let blob = self.get(digest).map(|manifest| manifest.bytes().clone());
            Box::pin(async { blob })
        }

        fn unpacked<'a>(&'a self, _: &'a Repository, _: Packed<'a>) -> Answer<'a, Unpacked> {
            Box::pin(async { Err(RegistryError::NotFound { place: "the shelf".to_owned() }) })
        }

        fn referrers<'a>(&'a self, _: &'a Repository, _: &'a Digest, _: Option<&'a str>) -> Answer<'a, Referrers> {
            Box::pin(async { Ok(Referrers { found: Vec::new(), from: ReferrersFrom::Api }) })
        }
    }

    /// One platform of an image, as a test makes it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Made<'a> {
        /// `os/architecture[/variant]`.
        pub(crate) platform: &'a str,
        /// Compressed bytes of its layers, base first.
        pub(crate) layers: &'a [u64],
        /// What stands in its config beside the platform, as a JSON mapping.
        pub(crate) config: &'a str,
        /// Annotations of its manifest, as a JSON mapping.
        pub(crate) manifest: &'a str,
        /// Annotations of its entry in the index, as a JSON mapping.
        pub(crate) entry: &'a str,
    }

    impl Made<'_> {
        /// An image for `linux/amd64` of one small layer, whose config says nothing.
        pub(crate) const PLAIN: Made<'static> =
            Made { platform: "linux/amd64", layers: &[1], config: "{}", manifest: "{}", entry: "{}" };
    }

    /// An index of these platforms, each with one layer of that many bytes.
    pub(crate) fn index(platforms: &[(&str, u64)]) -> Image {
        let platforms: Vec<_> = platforms.iter().map(|(platform, size)| (*platform, [*size])).collect();
        let made = platforms.iter().map(|(platform, layers)| Made { platform, layers, ..Made::PLAIN });
        index_of(&made.collect::<Vec<_>>(), "{}")
    }

    /// An index of these, with these annotations (a JSON mapping), read as deep as any rule needs.
    pub(crate) fn index_of(platforms: &[Made], annotations: &str) -> Image {
        let mut shelf = Shelf(HashMap::new());
        let children: Vec<String> = platforms
            .iter()
            .map(|made| {
                let child = put(&mut shelf, made);
                let (digest, size, entry) = (child.digest(), child.bytes().len(), made.entry);
                let platform = platform_json(made.platform);
                format!(
                    r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":{size},"platform":{platform},"annotations":{entry}}}"#
                )
            })
            .collect();
        let children = children.join(",");
        let body = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{children}],"annotations":{annotations}}}"#
        );
        let top = shelf.put(INDEX, body);
        read(&shelf, &top, Depth::Details)
    }

    /// An image without an index; its platform is known only where `depth` reads the config.
    pub(crate) fn single(platform: &str, size: u64, depth: Depth) -> Image {
        single_of(&Made { platform, layers: &[size], ..Made::PLAIN }, depth)
    }

    /// An image without an index, read as deep as that.
    pub(crate) fn single_of(made: &Made, depth: Depth) -> Image {
        let mut shelf = Shelf(HashMap::new());
        let top = put(&mut shelf, made);
        read(&shelf, &top, depth)
    }

    fn put(shelf: &mut Shelf, made: &Made) -> Manifest {
        let mut config = mapping(&platform_json(made.platform));
        config.extend(mapping(made.config));
        let config = shelf.put("config", serde_json::Value::Object(config).to_string());
        let layer = |(at, size): (usize, &u64)| {
            let digest = Digest::sha256(format!("{} {at}", made.platform).as_bytes());
            format!(r#"{{"mediaType":"x/y","digest":"{digest}","size":{size}}}"#)
        };
        let layers: Vec<String> = made.layers.iter().enumerate().map(layer).collect();
        let body = format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"x/y","digest":"{}","size":{}}},"layers":[{}],"annotations":{}}}"#,
            config.digest(),
            config.bytes().len(),
            layers.join(","),
            made.manifest,
        );
        shelf.put(IMAGE, body)
    }

    fn mapping(text: &str) -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn platform_json(platform: &str) -> String {
        let parts: Vec<&str> = platform.split('/').collect();
        let variant = parts.get(2).map_or_else(String::new, |variant| format!(r#","variant":"{variant}""#));
        format!(r#"{{"os":"{}","architecture":"{}"{variant}}}"#, parts[0], parts[1])
    }

    fn read(shelf: &Shelf, top: &Manifest, depth: Depth) -> Image {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let repository = reference("example").repository().clone();
        runtime.block_on(load(shelf, &repository, top, depth)).expect("an image")
    }

    pub(crate) fn reference(text: &str) -> Reference {
        Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    pub(crate) fn rule<S: Settings>(settings: &str) -> Box<dyn Rule> {
        let settings: S = serde_saphyr::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
        settings.rule(Span::new(0, 0)).expect("a rule")
    }

    /// The message of settings that make no rule.
    pub(crate) fn refused<S: Settings>(settings: &str) -> String {
        match serde_saphyr::from_str::<S>(settings) {
            Ok(read) => read.rule(Span::new(0, 0)).expect_err(settings).message,
            Err(error) => error.to_string(),
        }
    }

    /// A case of which nothing is known.
    pub(crate) fn case(reference: &Reference) -> Case<'_> {
        Case {
            reference,
            digest: None,
            tag: None,
            tag_children: None,
            image: None,
            bases: None,
            previous: None,
            run_as: None,
            now: NOW.parse().expect("a time"),
            platforms: &[],
        }
    }

    /// What a rule says of a reference of which nothing is known.
    pub(crate) fn says(rule: &dyn Rule, text: &str) -> Judgement {
        rule.check(&case(&reference(text)))
    }

    /// The image of an example, where it has one.
    fn image(facts: &Facts, platforms: &[(&str, u64)]) -> Option<Image> {
        let layers = |size: &u64| std::iter::once(size).chain(facts.more_layers).copied().collect::<Vec<_>>();
        let platforms: Vec<_> = platforms.iter().map(|(platform, size)| (platform, layers(size))).collect();
        let made = platforms.iter().map(|(platform, layers)| Made {
            platform,
            layers,
            config: facts.config.unwrap_or("{}"),
            manifest: facts.annotations.unwrap_or("{}"),
            entry: "{}",
        });
        (!platforms.is_empty()).then(|| index_of(&made.collect::<Vec<_>>(), "{}"))
    }

    /// What each platform of an example is built on; one candidate was compared in vain where that is not known.
    fn bases(fact: Option<BaseFact>, image: &Image) -> Vec<Bases> {
        let known = |platform: &PlatformImage, fact: BaseFact| {
            let (reference, digest) = (reference(fact.name), Digest::parse(BaseFact::DIGEST).expect("a digest"));
            let time = |text: &str| Some(text.parse().expect("a time"));
            let ground = Ground {
                manifest: digest.clone(),
                layers: fact.layers,
                size: split(platform, fact.layers).map(|split| split.base),
                created: time(fact.created),
                history: true,
            };
            let to = Digest::parse(BaseFact::MOVED).expect("a digest");
            let now = fact.moved.map(|moved| Now::Moved { to, created: time(moved) });
            Known {
                repository: Some(reference.repository().clone()),
                tag: reference.tag().map(str::to_owned),
                digest: Some(digest.clone()),
                confidence: if fact.proved { Confidence::Proved } else { Confidence::Claimed },
                by: vec![if fact.proved { Evidence::Layers } else { Evidence::Claim(Place::Manifest) }],
                ground: fact.proved.then_some(ground),
                doubt: (!fact.proved).then_some(Doubt::Nothing),
                now: now.or(Some(Now::Same(digest))),
            }
        };
        let bases = |platform: &PlatformImage| Bases {
            digest: platform.digest.clone(),
            platform: platform.platform.clone(),
            itself: None,
            known: fact.map(|fact| known(platform, fact)).into_iter().collect(),
            contradicted: Vec::new(),
            unread: Vec::new(),
            doubtful: Vec::new(),
            muddle: None,
            hidden: None,
            searched: usize::from(fact.is_none()),
        };
        image.platforms().iter().map(bases).collect()
    }

    /// Runs one example.
    pub(crate) fn run(rule: &dyn Rule, example: &Example) {
        let (reference, facts) = (reference(example.reference), &example.facts);
        let tag = facts.tag.map(|tag| Digest::parse(tag).expect("a digest"));
        let (image, previous) = (image(facts, facts.platforms), image(facts, facts.previous));
        let bases = image.as_ref().map(|image| bases(facts.base, image));
        let run_as = RunAs { user: facts.run_as_user.map(str::to_owned), non_root: facts.run_as_non_root };
        let case = Case {
            tag: tag.as_ref().map(Ok),
            image: image.as_ref().map(Ok),
            bases: bases.as_deref(),
            previous: previous.as_ref().map(Ok),
            run_as: Some(&run_as).filter(|run_as| **run_as != RunAs::default()),
            ..case(&reference)
        };
        match (rule.check(&case), example.says) {
            (Judgement::Satisfied, None) => {}
            (Judgement::Violated(problem), Some(says)) => assert_eq!(problem.message, says, "{}", example.reference),
            (found, _) => panic!("{} {}: {found:?}", rule.id(), example.reference),
        }
    }
}
