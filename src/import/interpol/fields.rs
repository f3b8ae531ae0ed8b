//! The fields of one JSON object, taken out one by one as what they should be. What nobody takes, or what has a value that nobody
//! can have, is left for the unknown fields.

use liaison_protocol::proto::{Country, Date, UnknownField};

use super::Fault;
use super::codes::country;
use crate::import::json::{Json, Object};
use crate::import::un_list::text;

/// What INTERPOL writes where there is nothing to write.
const FILLERS: [&str; 3] = ["-", "--", "N/A"];

/// The fields of one object, and those whose value has no place.
pub(super) struct Fields<'a> {
    pub(super) object: Object<'a>,
    pub(super) unknown: Vec<UnknownField>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(json: &Json<'a>) -> Result<Self, Fault> {
        Ok(Self { object: json.object()?, unknown: Vec::new() })
    }

    /// `_links`: the notice's own address and those of its pictures. `_embedded` is always empty in a notice.
    pub(super) fn links(&mut self) -> Option<Json<'a>> {
        self.object.take("_embedded");
        self.object.take("_links")
    }

    /// `entity_id`, `YYYY/NNNNN`; in addresses and in some copies with a hyphen.
    pub(super) fn number(&mut self) -> Result<String, Fault> {
        let json = self.object.take("entity_id").ok_or_else(|| self.object.fault("entity_id is not there"))?;
        let text = json.text()?;
        let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        match text.trim().split_once(['/', '-']) {
            Some((year, number)) if digits(year, 4..=4) && digits(number, 1..=12) => Ok(format!("{year}/{number}")),
            _ => Err(json.fault("expected a year and a number, as in 2019/114539")),
        }
    }

    /// A text on one line; empty for null, for a filler, and where there is none.
    pub(super) fn line(&mut self, name: &str) -> Result<String, Fault> {
        let text = self.object.take(name).map(|json| json.text()).transpose()?.unwrap_or_default();
        let line = text::line(&text);
        Ok(if FILLERS.contains(&line.as_str()) { String::new() } else { line })
    }

    pub(super) fn lines(&mut self, name: &str) -> Result<String, Fault> {
        let text = self.object.take(name).map(|json| json.text()).transpose()?.unwrap_or_default();
        Ok(text::lines(&text))
    }

    /// A number or a text, as a text.
    pub(super) fn word(&mut self, name: &str) -> Result<String, Fault> {
        self.object.take(name).map(|json| json.kept()).transpose().map(|text| text::line(&text.unwrap_or_default()))
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        let texts = self.object.take_items(name)?.into_iter().map(|item| item.text().map(|text| text::line(&text)));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
    }

    pub(super) fn country(&mut self, name: &str) -> Result<Option<Country>, Fault> {
        Ok(Some(self.line(name)?).filter(|code| !code.is_empty()).map(country))
    }

    pub(super) fn countries(&mut self, name: &str) -> Result<Vec<Country>, Fault> {
        Ok(self.texts(name)?.into_iter().map(country).collect())
    }

    pub(super) fn date(&mut self, name: &str) -> Result<Option<Date>, Fault> {
        Ok(date(self.line(name)?))
    }

    /// Thousandths of a unit; 0 for null and for 0, which both mean that it is not known. What nobody can have is kept as it stands.
    pub(super) fn thousandths(&mut self, name: &str, max: u32, unit: impl Fn(f64) -> f64) -> Result<u32, Fault> {
        let Some(json) = self.object.take(name) else { return Ok(0) };
        let thousandths = (unit(json.number()?) * 1_000.0).round();
        if (0.0..=f64::from(max)).contains(&thousandths) {
            return Ok(thousandths as u32);
        }
        self.unknown.push(UnknownField { path: json.path().to_owned(), text: json.kept()? });
        Ok(0)
    }

    /// Reads every object of a list, and keeps what it does not know of them.
    pub(super) fn each<T>(&mut self, name: &str, read: fn(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let mut all = Vec::new();
        for item in self.object.take_items(name)? {
            let mut fields = Self::of(&item)?;
            all.push(read(&mut fields)?);
            self.unknown.extend(fields.rest()?);
        }
        Ok(all)
    }

    /// What has no place, in the order of the file.
    pub(super) fn rest(self) -> Result<Vec<UnknownField>, Fault> {
        let mut rest = self.unknown;
        for json in self.object.leftovers() {
            rest.push(UnknownField { path: json.path().to_owned(), text: json.kept()? });
        }
        Ok(rest)
    }
}

/// `YYYY/MM/DD`, `YYYY`, with zeros for what is not known; all zeros are no date. Words stay words.
fn date(text: String) -> Option<Date> {
    let numbers: Option<Vec<u32>> = text
        .split('/')
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten())
        .collect();
    let (year, month, day) = match numbers.as_deref() {
        _ if text.is_empty() => return None,
        Some([0]) | Some([0, 0]) | Some([0, 0, 0]) => return None,
        Some([year]) if (1..=9_999).contains(year) => (*year, 0, 0),
        Some([year, month]) if is_day(*year, *month, 1) => (*year, *month, 0),
        Some([year, 0, 0]) if (1..=9_999).contains(year) => (*year, 0, 0),
        Some([year, month, 0]) if is_day(*year, *month, 1) => (*year, *month, 0),
        Some([year, month, day]) if is_day(*year, *month, *day) => (*year, *month, *day),
        _ => (0, 0, 0),
    };
    Some(Date { text, year, month, day })
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let small = |number: u32| i8::try_from(number).unwrap_or_default();
    let year = i16::try_from(year).ok().filter(|year| (1..=9_999).contains(year));
    year.is_some_and(|year| jiff::civil::Date::new(year, small(month), small(day)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_as_exact_as_it_says() {
        for (text, parts) in [
            ("1985/03/28", Some((1985, 3, 28))),
            ("1985/03/00", Some((1985, 3, 0))),
            ("1980/00/00", Some((1980, 0, 0))),
            ("1972", Some((1972, 0, 0))),
            ("0000/00/00", None),
            ("0", None),
            ("", None),
            ("1985/02/30", Some((0, 0, 0))),
            ("1985/13/00", Some((0, 0, 0))),
            ("1985/00/07", Some((0, 0, 0))),
            ("about 1970", Some((0, 0, 0))),
            ("+985/03/28", Some((0, 0, 0))),
        ] {
            let found = date(text.to_owned());
            assert_eq!(found.as_ref().map(|date| (date.year, date.month, date.day)), parts, "{text}");
            assert!(found.is_none_or(|date| date.text == text));
        }
    }
}
