//! Examples that the docs show and the tests run: settings, a reference, the facts, and what the rule says.
//! An example that is not true fails the build.

/// What is known of the image in an example.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// What the tag names now.
    pub tag: Option<&'static str>,
    /// Each platform of the image, and the compressed bytes of its layers.
    pub platforms: &'static [(&'static str, u64)],
}

impl Facts {
    /// Nothing is known, and nothing is needed.
    pub const NONE: Self = Self { tag: None, platforms: &[] };
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

    use super::Example;
    use crate::digest::{Algorithm, Digest};
    use crate::image::{Depth, Image, load};
    use crate::reference::{Reference, Repository};
    use crate::registry::{
        Answer, KnownBy, Manifest, Named, Packed, Referrers, ReferrersFrom, Registry, RegistryError, Target, Unpacked,
        Want,
    };
    use crate::rule::setting::Settings;
    use crate::rule::{Case, Judgement, Rule};
    use crate::span::Span;

    /// The clock of every example.
    pub(crate) const NOW: &str = "2026-11-20T00:00:00Z";
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

    /// An index of these platforms, each with one layer of that many bytes.
    pub(crate) fn index(platforms: &[(&str, u64)]) -> Image {
        let mut shelf = Shelf(HashMap::new());
        let children: Vec<String> = platforms
            .iter()
            .map(|(platform, size)| {
                let child = single_in(&mut shelf, platform, *size);
                let (digest, size) = (child.digest(), child.bytes().len());
                let platform = platform_json(platform);
                format!(r#"{{"mediaType":"{IMAGE}","digest":"{digest}","size":{size},"platform":{platform}}}"#)
            })
            .collect();
        let body = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, children.join(","));
        let top = shelf.put(INDEX, body);
        read(&shelf, &top, Depth::Configs)
    }

    /// An image without an index; its platform is known only where `depth` reads the config.
    pub(crate) fn single(platform: &str, size: u64, depth: Depth) -> Image {
        let mut shelf = Shelf(HashMap::new());
        let top = single_in(&mut shelf, platform, size);
        read(&shelf, &top, depth)
    }

    fn single_in(shelf: &mut Shelf, platform: &str, size: u64) -> Manifest {
        let config = shelf.put("config", platform_json(platform));
        let layer = Digest::sha256(platform.as_bytes());
        let body = format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"x/y","digest":"{}","size":{}}},"layers":[{{"mediaType":"x/y","digest":"{layer}","size":{size}}}]}}"#,
            config.digest(),
            config.bytes().len(),
        );
        shelf.put(IMAGE, body)
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

    /// Runs one example.
    pub(crate) fn run(rule: &dyn Rule, example: &Example) {
        let reference = reference(example.reference);
        let tag = example.facts.tag.map(|tag| Digest::parse(tag).expect("a digest"));
        let image = (!example.facts.platforms.is_empty()).then(|| index(example.facts.platforms));
        let case = Case { tag: tag.as_ref().map(Ok), image: image.as_ref().map(Ok), ..case(&reference) };
        match (rule.check(&case), example.says) {
            (Judgement::Satisfied, None) => {}
            (Judgement::Violated(problem), Some(says)) => assert_eq!(problem.message, says, "{}", example.reference),
            (found, _) => panic!("{} {}: {found:?}", rule.id(), example.reference),
        }
    }
}
