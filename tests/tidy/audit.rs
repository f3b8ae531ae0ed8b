//! `docs/AUDIT.md` is the catalogue of `liaison::telemetry::events`, for people, and the source says exactly what is in it.
//! `LIAISON_GENERATE=1 cargo test --test tidy audit` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use liaison::telemetry::events::{EVENTS, Reasons};

/// Compares a page with what it should be, or writes it.
pub(super) fn is_fresh(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if std::env::var_os("LIAISON_GENERATE").is_some() {
        std::fs::write(&path, expected).expect("writable");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "LIAISON_GENERATE=1 cargo test --test tidy");
}

fn page() -> String {
    let mut page = String::from(
        "# Audit events\n\n\
         One JSON object a line, to where `audit.to` says (stderr otherwise), whatever `RUST_LOG` says. Every line has `time` (UTC, the \
         node's wall clock), `level` and `event`; beside them only the fields listed here. There is never a key, a payload, a subject \
         line or a person in it: partners, nodes and certificates are named by identifier and digest. Values are ASCII, escaped and cut \
         at 256 bytes, so one event is one line whatever a stranger wrote.\n\n\
         An event with a `count` can be caused by callers as often as they like. It is gathered by caller (a partner, an identity, or an \
         address; of IPv6 its /48) and reason: the first is written at once, then one line a second, whose `count` is how many it \
         stands for and whose other fields are those of the newest. Of one event, 32 callers a second have lines of their own; more \
         share one for each reason, which names no caller.\n\n\
         Writing never holds up traffic. What is gathered waits in its counts while a sink is slow and is not lost; all other events are \
         rare, and have a queue of 1024 lines to themselves. What finds no place in it, or cannot be written, is counted \
         (`liaison_audit_events_lost_total`), and `audit.lag` says how many were lost as soon as writing works again. Until then, and \
         while a write has not returned for 10 seconds, `/readyz` says `audit_losing`. A file that was moved away is made anew, so \
         rotation needs no signal.\n\n\
         | event | reasons | fields | means |\n|---|---|---|---|\n",
    );
    for event in EVENTS {
        let reasons = match event.reasons {
            Reasons::None => String::new(),
            Reasons::Words(words) => words.join(", "),
            Reasons::Refusals => "a word of [ERRORS](ERRORS.md)".into(),
        };
        let _ =
            writeln!(page, "| `{}` | {reasons} | {} | {} |", event.name, event.fields.join(", "), event.meaning);
    }
    page
}

#[test]
fn the_page_of_audit_events_is_the_catalogue() {
    is_fresh("docs/AUDIT.md", &page());
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                sources.push((path, code.into()));
            }
        }
    }
    sources
}

/// The arguments of a call that begins here, as far as its closing parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let (mut all, mut one) = (Vec::new(), String::new());
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' if depth > 0 => depth -= 1,
            ')' => break,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut one));
                continue;
            }
            _ => {}
        }
        one.push(character);
    }
    all.push(one);
    all.into_iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
}

/// What the source says to the audit: event, and the names of the fields beside it.
fn said() -> BTreeMap<String, BTreeSet<String>> {
    let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        for call in text.split("target: \"audit\",").skip(1) {
            let arguments = arguments(call);
            let event = arguments.iter().find_map(|argument| argument.strip_prefix("event = \""));
            let event = event.unwrap_or_else(|| panic!("{}: an audit event without a name", path.display()));
            let fields = said.entry(event.trim_end_matches('"').into()).or_default();
            for argument in arguments.iter().filter(|argument| !argument.starts_with('"')) {
                let name = argument.split_once('=').map_or(argument.as_str(), |(name, _)| name);
                fields.insert(name.trim().trim_start_matches(['%', '?']).into());
            }
            fields.remove("event");
        }
    }
    said
}

#[test]
fn every_event_of_the_catalogue_is_said_and_nothing_else_is() {
    let mut listed: BTreeMap<_, BTreeSet<_>> = EVENTS
        .iter()
        .map(|event| {
            // What is gathered is counted by the audit itself.
            let counted = !event.by.is_empty();
            let said = event.fields.iter().filter(|field| !(counted && **field == "count"));
            (event.name.to_owned(), said.map(|field| (*field).to_owned()).collect())
        })
        .collect();
    // The audit says this one itself.
    assert!(listed.remove("audit.lag").is_some());
    assert_eq!(said(), listed);
}

#[test]
fn an_event_is_gathered_by_fields_that_it_has_and_only_such_events_have_a_count() {
    for event in EVENTS {
        assert!(event.by.iter().all(|field| event.fields.contains(field)), "{}", event.name);
        assert_eq!(event.fields.contains(&"count"), !event.by.is_empty(), "{}", event.name);
        assert!(
            !event.fields.contains(&"peer_address") || !event.by.is_empty(),
            "{}: strangers cause it",
            event.name
        );
    }
}

#[test]
fn every_reason_word_of_the_catalogue_is_given_and_no_other() {
    // Where reason words come from: what `fn reason` returns in these files, and what stands beside `reason =`.
    let words = |files: &[&str]| -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (path, text) in sources() {
            if !files.iter().any(|file| path.ends_with(file)) {
                continue;
            }
            let bodies = text.split("fn reason(").skip(1).filter_map(|rest| rest.split("\n    }\n").next());
            let arms = bodies.flat_map(|body| body.split("=> \"").skip(1));
            let given =
                ["reason = \"", "limited(\"", "abused(\""].into_iter().flat_map(|begin| text.split(begin).skip(1));
            words.extend(arms.chain(given).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
        words
    };
    let given = words(&[
        "src/app/revocations.rs",
        "src/peer.rs",
        "src/peer/revocation.rs",
        "src/tls/acceptor.rs",
        "src/tls/door.rs",
        "src/tls/line.rs",
        "src/tls/lines.rs",
        "src/tls/lines/load.rs",
    ]);
    let listed: BTreeSet<_> = EVENTS
        .iter()
        .filter_map(|event| match event.reasons {
            Reasons::Words(words) => Some(words.iter().map(|word| (*word).to_owned())),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(given, listed);
}
