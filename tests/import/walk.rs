//! A second, naive way through a list, which shares nothing with the reader it judges: it looks for angle brackets and knows
//! no element but the two that are records. Enough for files without CDATA and comments, which the published ones are.

/// A text that is not empty, with white space collapsed.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Name of the element it stands in.
    pub(super) element: String,
    pub(super) text: String,
}

/// The texts of every record, in the order of the file.
pub(super) fn records(file: &str) -> Vec<Vec<Leaf>> {
    let mut found = Vec::new();
    let mut rest = file;
    while let Some((kind, start)) = next_record(rest) {
        let end = format!("</{kind}>");
        let length = rest[start..].find(&end).expect("every record ends");
        found.push(leaves(&rest[start..start + length]));
        rest = &rest[start + length + end.len()..];
    }
    found
}

fn next_record(text: &str) -> Option<(&'static str, usize)> {
    text.match_indices('<').find_map(|(start, _)| {
        let is = |kind: &&str| {
            let after = text[start + 1..].strip_prefix(*kind).unwrap_or_default();
            after.starts_with(['>', ' '])
        };
        let kind = ["INDIVIDUAL", "ENTITY"].into_iter().find(is)?;
        Some((kind, start))
    })
}

fn leaves(record: &str) -> Vec<Leaf> {
    let mut found = Vec::new();
    for piece in record.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("every tag ends");
        let text = collapse(&unescape(text));
        if !text.is_empty() {
            let element = tag.split_whitespace().next().expect("a tag has a name").to_owned();
            assert!(!element.starts_with('/'), "text behind an end tag: {text}");
            found.push(Leaf { element, text });
        }
    }
    found
}

fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    plain.replace("&amp;", "&")
}

pub(super) fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
