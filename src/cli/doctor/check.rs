//! One check is a value: its code, what was found, and how to mend it. The codes are stable; docs/DOCTOR.md has a section on each.

use std::fmt;

/// Where the sections are.
const PAGE: &str = "docs/DOCTOR.md";

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Files,
    Keys,
    Directory,
    Connection,
    Store,
    Log,
    Delivery,
    Clock,
    Machine,
}

impl Group {
    /// As printed.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Files => "Configuration and files",
            Self::Keys => "Keys and certificates",
            Self::Directory => "Directory and trust",
            Self::Connection => "Connection",
            Self::Store => "Store",
            Self::Log => "Log",
            Self::Delivery => "Delivery",
            Self::Clock => "Clock",
            Self::Machine => "Machine",
        }
    }
}

macro_rules! codes {
    ($($code:ident $group:ident $title:literal;)*) => {
        /// Names a check, for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Code {
            $($code),*
        }

        impl Code {
            /// All there are, in the order they are printed.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$code),*];

            /// As written.
            pub(super) fn word(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code)),*
                }
            }

            /// What it is about.
            pub(super) fn group(self) -> Group {
                match self {
                    $(Self::$code => Group::$group),*
                }
            }

            /// What is looked at, in a few words.
            pub(super) fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title),*
                }
            }
        }
    };
}

codes! {
    F01 Files "configuration";
    F02 Files "files it names";
    F03 Files "private keys are closed";
    F04 Files "nobody else can change them";
    K01 Keys "certificate and key";
    K02 Keys "certificate's name";
    K03 Keys "certificate's profile";
    K04 Keys "certificate's validity";
    K05 Keys "certificate's issuer";
    K06 Keys "log key";
    K07 Keys "certificate and addresses";
    K08 Keys "notice key";
    K09 Keys "acknowledgement key";
    D01 Directory "trust file";
    D02 Directory "directory is the authority's";
    D03 Directory "directory's age";
    D04 Directory "listed";
    D05 Directory "agreements";
    D06 Directory "version served";
    D07 Directory "log in the trust file";
    D08 Directory "deny list";
    D09 Directory "revocation lists";
    D10 Directory "what troubles partners";
    C01 Connection "DNS, TCP";
    C02 Connection "TLS 1.3, ALPN h2";
    C03 Connection "own certificate accepted";
    C04 Connection "clock against the node";
    C05 Connection "node's certificate";
    C06 Connection "port is free";
    C07 Connection "certificate on the line";
    C08 Connection "operator's socket";
    C09 Connection "connections";
    S01 Store "data folder";
    S02 Store "store's format";
    S03 Store "one writer";
    S04 Store "reserve";
    S05 Store "store is closed to others";
    L01 Log "newest checkpoint";
    L02 Log "growth since the last look";
    L03 Log "anchor";
    L04 Log "stored leaves";
    L05 Log "what a start makes of it";
    M01 Delivery "waiting";
    M02 Delivery "waiting and nobody there";
    M03 Delivery "backlog";
    T01 Clock "never before what was stated";
    H01 Machine "file descriptors";
    H02 Machine "free disk space";
    H03 Machine "program and node";
}

impl Code {
    /// Where it is explained.
    pub(super) fn page(self) -> String {
        format!("{PAGE}#{self}")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// It works, and will not for ever.
    Warning,
    Failed,
    /// It could not be made; what stands in its way is said.
    Skipped,
}

impl Outcome {
    /// For programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// For people.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Ok => '✔',
            Self::Warning => '!',
            Self::Failed => '✘',
            Self::Skipped => '·',
        }
    }
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fix {
    /// A command that mends it.
    Run(String),
    /// A command that shows more, where somebody has to decide.
    Look(String),
    /// What somebody has to do by hand.
    Do(String),
}

impl Fix {
    /// What stands before it.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Run(_) | Self::Do(_) => "fix",
            Self::Look(_) => "look",
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Run(text) | Self::Look(text) | Self::Do(text) => text,
        }
    }
}

/// One check, made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) code: Code,
    pub(super) outcome: Outcome,
    /// What was found, in one sentence without a full stop.
    pub(super) found: String,
    /// None where nothing has to be done.
    pub(super) fix: Option<Fix>,
}

impl Check {
    pub(super) fn ok(code: Code, found: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Ok, found: found.into(), fix: None }
    }

    pub(super) fn warning(code: Code, found: impl Into<String>, fix: Fix) -> Self {
        Self { code, outcome: Outcome::Warning, found: found.into(), fix: Some(fix) }
    }

    pub(super) fn failed(code: Code, found: impl Into<String>, fix: Fix) -> Self {
        Self { code, outcome: Outcome::Failed, found: found.into(), fix: Some(fix) }
    }

    pub(super) fn skipped(code: Code, why: impl Into<String>) -> Self {
        Self { code, outcome: Outcome::Skipped, found: why.into(), fix: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of the page's sections, in its order, each with its text.
    fn sections(page: &str) -> Vec<(String, String)> {
        let pieces = page.split("\n### <a id=\"").skip(1);
        let section = |piece: &str| {
            let (code, text) = piece.split_once("\"></a>").expect("an anchor and a title");
            (code.to_string(), text.split("\n## ").next().unwrap_or_default().to_string())
        };
        pieces.map(section).collect()
    }

    #[test]
    fn every_code_has_a_section_and_every_section_a_code() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        let sections = sections(&std::fs::read_to_string(page).expect("the page is there"));
        let named: Vec<_> = sections.iter().map(|(code, _)| code.as_str()).collect();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(named, codes, "in the order they are printed");
        for (code, (_, text)) in Code::ALL.iter().zip(&sections) {
            let heading = text.lines().next().unwrap_or_default();
            assert_eq!(heading, format!("{code} {}", code.title()), "the section's title is the check's");
            for word in ["**Checks**", "**Means**", "**Do**"] {
                assert!(text.contains(word), "{code}: the section does not say {word}");
            }
        }
    }
}
