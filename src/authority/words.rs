//! Directories in plain words: enumerations as people write them in directory.toml, dates without a time where there is none.

use std::fmt::Display;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use liaison_protocol::id::{Hash, Micros};

/// An enumeration's value as directory.toml has it: `un-special` for KIND_UN_SPECIAL.
pub fn word(prefix: &str, name: &str) -> String {
    name.trim_start_matches(prefix).trim_start_matches('_').to_lowercase().replace('_', "-")
}

/// A moment in UTC as directory.toml may have it: midnight is written as its date.
pub fn date(at: Micros) -> String {
    let Ok(timestamp) = Timestamp::from_microsecond(at.0) else { return format!("{} µs", at.0) };
    let civil = TimeZone::UTC.to_datetime(timestamp);
    let midnight = civil.time() == jiff::civil::Time::midnight();
    if midnight { civil.date().to_string() } else { timestamp.to_string() }
}

/// The first digits of a digest: enough to find it again in a file.
pub fn short(digest: Hash) -> String {
    digest.to_hex()[..12].into()
}

/// Names in one line.
pub fn list(names: impl IntoIterator<Item = impl Display>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "nobody".into() } else { names.join(", ") }
}

/// Names in one line, the many after the first few only counted.
pub fn few(names: impl IntoIterator<Item = impl Display>, most: usize) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    match names.len().checked_sub(most) {
        None | Some(0) => list(names),
        Some(more) => format!("{} and {more} more", names[..most].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::directory_file::{moment, value};
    use liaison_protocol::proto::{Kind, Tlp};

    #[test]
    fn what_is_written_is_what_directory_toml_reads() {
        for kind in (1..).map_while(|kind| Kind::try_from(kind).ok()) {
            let text = word("KIND", kind.as_str_name());
            assert_eq!(value("KIND", &text, Kind::from_str_name, "kind"), Ok(kind), "{text}");
        }
        assert_eq!(word("TLP", Tlp::AmberStrict.as_str_name()), "amber-strict");
        for (at, text) in
            [(1_767_225_600_000_000, "2026-01-01"), (1_767_225_600_000_001, "2026-01-01T00:00:00.000001Z")]
        {
            assert_eq!(date(Micros(at)), text);
            assert_eq!(moment(text, "from"), Ok(Micros(at)));
        }
    }

    #[test]
    fn a_long_list_is_cut_where_it_stops_helping() {
        assert_eq!(few(["A", "B"], 2), "A, B");
        assert_eq!(few(["A", "B", "C", "D"], 2), "A, B and 2 more");
        assert_eq!(list([0_u8; 0]), "nobody");
    }
}
