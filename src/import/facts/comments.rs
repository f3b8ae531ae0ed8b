//! Sentences that publishers write into comments for want of a field, and rewrite in all records at once: where INTERPOL's notice
//! is, and when the listing was reviewed. Told apart from what the comment says of the subject.

use super::collapse;

/// A comment on one line, taken apart.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Comment {
    /// What remains.
    pub(super) rest: String,
    /// Addresses of INTERPOL's notice, or of the page of all; empty where a lead-in has none.
    pub(super) links: Vec<String>,
    /// When reviews were concluded, in the comment's words.
    pub(super) reviews: Vec<String>,
}

const LINK: &str = "INTERPOL-UN";
const REVIEW: &str = "Review pursuant to Security Council resolution ";
const CONCLUDED: &str = " was concluded on ";

pub(super) fn comment(text: &str) -> Comment {
    let text = collapse(text);
    let mut comment = Comment::default();
    let (mut rest, mut kept) = (text.as_str(), String::new());
    while let Some(at) = next_lead_in(rest) {
        let (before, piece) = rest.split_at(at);
        kept += before;
        rest = if let Some((link, after)) = link(piece) {
            comment.links.push(link.to_owned());
            after
        } else if let Some((review, after)) = review(piece) {
            comment.reviews.push(review.to_owned());
            after
        } else {
            let first = piece.chars().next().map_or(0, char::len_utf8);
            kept += &piece[..first];
            &piece[first..]
        };
    }
    kept += rest;
    // A last full stop comes and goes with what stood behind it.
    comment.rest = collapse(&kept).trim_end_matches([' ', '.']).to_owned();
    comment
}

fn next_lead_in(text: &str) -> Option<usize> {
    [text.find(LINK), text.find(REVIEW)].into_iter().flatten().min()
}

/// `INTERPOL-UN Security Council Special Notice web link: https://…`, in the spellings seen since 2017. Without a colon it is a
/// sentence about the notice and no link.
fn link(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(LINK)?;
    let rest = rest.strip_prefix(" Security Council").or_else(|| rest.strip_prefix("SC"))?;
    let rest = rest.strip_prefix(" Special Notice")?;
    let rest = rest.strip_prefix(" web link").unwrap_or(rest);
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    if !rest.starts_with("http") {
        return Some(("", rest));
    }
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

/// `Review pursuant to Security Council resolution 1822 (2008) was concluded on 15 June 2010.`
fn review(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(REVIEW)?;
    let (resolution, date) = rest.split_once(CONCLUDED)?;
    // A number and a year in brackets; anything else is another sentence.
    if !resolution.bytes().all(|byte| byte.is_ascii_digit() || b" ()".contains(&byte)) {
        return None;
    }
    let (mut end, mut words) = (0, date.split_inclusive(' '));
    let day = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let month = |word: &str| word.chars().all(|c| c.is_alphabetic() || c == '.');
    let year = |word: &str| word.trim_end_matches('.').bytes().all(|byte| byte.is_ascii_digit());
    for fits in [&day as &dyn Fn(&str) -> bool, &month, &year] {
        match words.next().filter(|word| fits(word.trim_end())) {
            Some(word) => end += word.len(),
            None => break,
        }
    }
    Some((date[..end].trim_end().trim_end_matches('.'), &date[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_reviews_are_told_apart_from_the_rest() {
        let row = |text: &str, rest: &str, links: &[&str], reviews: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let expected = Comment { rest: rest.into(), links: owned(links), reviews: owned(reviews) };
            assert_eq!(comment(text), expected, "{text}");
        };
        row("", "", &[], &[]);
        row("Keeper of keys.\nLost  them.", "Keeper of keys. Lost them", &[], &[]);
        let old = "Lost. INTERPOL-UN Security Council Special Notice web link: https://a.example/un/1 More.";
        row(old, "Lost. More", &["https://a.example/un/1"], &[]);
        row(
            "INTERPOL-UN Security Council Special Notice web link:https://a.example.",
            "",
            &["https://a.example."],
            &[],
        );
        row("INTERPOL-UN Security Council Special Notice:https://a.example", "", &["https://a.example"], &[]);
        row("INTERPOL-UNSC Special Notice web link: https://a.example", "", &["https://a.example"], &[]);
        row("Seen. INTERPOL-UN Security Council Special Notice web link:", "Seen", &[""], &[]);
        let photo = "Photo for the INTERPOL-UN Security Council Special Notice.";
        row(photo, photo.trim_end_matches('.'), &[], &[]);
        let one = "Review pursuant to Security Council resolution 1822 (2008) was concluded on 15 Jun. 2010. Lost.";
        row(one, "Lost", &[], &["15 Jun. 2010"]);
        let two = "Review pursuant to Security Council resolution 2253 (2015) was concluded on 21 Feb. 2019 \
                   Review pursuant to Security Council resolution 2368 (2017) was concluded on 8 November 2022..";
        row(two, "", &[], &["21 Feb. 2019", "8 November 2022"]);
        let cut = "Review pursuant to Security Council resolution 1989 (2011) was concluded on 9 May";
        row(cut, "", &[], &["9 May"]);
        let endless = "Review pursuant to Security Council resolution 1 and much more that is said before it was concluded on 1 May";
        row(endless, endless, &[], &[]);
        row(
            "Review pursuant to Security Council resolution INTERPOL-UN",
            "Review pursuant to Security Council resolution INTERPOL-UN",
            &[],
            &[],
        );
    }
}
