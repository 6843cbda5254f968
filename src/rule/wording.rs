//! What messages hold of an image: long texts are cut and long lists counted, so that no image makes a message grow.
//! Nothing is cleaned here; each report makes visible what it shows.

/// Most letters of one text that a message repeats.
const LETTERS: usize = 100;
/// Most items of one list that a message names.
const ITEMS: usize = 5;

/// The text, or its beginning and `…`.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The items with commas between them; of a long list the first ones, and how many more there are.
pub fn list<I: IntoIterator<Item = String>>(items: I) -> String {
    let mut items = items.into_iter();
    let named: Vec<String> = items.by_ref().take(ITEMS).collect();
    match items.count() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What was found, and on which platforms: `linux/amd64, linux/arm64: no label `a`; windows/amd64: …`.
pub fn by_platform(found: Vec<(String, String)>) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (platform, what) in found {
        match groups.iter_mut().find(|(known, _)| *known == what) {
            Some((_, platforms)) => platforms.push(platform),
            None => groups.push((what, vec![platform])),
        }
    }
    let more = groups.len().saturating_sub(ITEMS);
    let named = groups.into_iter().take(ITEMS).map(|(what, platforms)| format!("{}: {what}", list(platforms)));
    let named = named.collect::<Vec<_>>().join("; ");
    if more == 0 { named } else { format!("{named}; and {more} more such groups of platforms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_and_lists_are_short_in_messages() {
        assert_eq!((cut("a"), cut(&"ä".repeat(LETTERS))), ("a".to_owned(), "ä".repeat(LETTERS)));
        assert_eq!(cut(&"ä".repeat(LETTERS + 1)), format!("{}…", "ä".repeat(LETTERS)));
        let numbers = |count: usize| list((1..=count).map(|number| number.to_string()));
        assert_eq!((numbers(0), numbers(1), numbers(5)), (String::new(), "1".to_owned(), "1, 2, 3, 4, 5".to_owned()));
        assert_eq!(numbers(100_000), "1, 2, 3, 4, 5 and 99995 more");
    }

    #[test]
    fn platforms_with_the_same_fault_stand_together() {
        let row = |platform: &str, what: &str| (platform.to_owned(), what.to_owned());
        let found = vec![row("linux/amd64", "x"), row("windows/amd64", "y"), row("linux/arm64", "x")];
        assert_eq!(by_platform(found), "linux/amd64, linux/arm64: x; windows/amd64: y");
        let found = (0..1_000).map(|number| row("linux/amd64", &number.to_string())).collect();
        assert!(by_platform(found).ends_with("linux/amd64: 4; and 995 more such groups of platforms"));
    }
}
