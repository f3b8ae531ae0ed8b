//! The groups inside a record: aliases, births, places and documents. A group that is only a placeholder comes out empty.

use liaison_protocol::proto::{Alias, AliasQuality, Birth, BirthType, IdentityDocument, Place};

use super::country::country;
use super::text;
use super::tree::Element;

pub(super) fn alias(group: &mut Element) -> Alias {
    let name = group.take("ALIAS_NAME");
    Alias {
        names: names_in(&name),
        name,
        quality: group.take_as("QUALITY", quality).unwrap_or_default().into(),
        birth_date: text::date(group.take("DATE_OF_BIRTH")),
        birth_city: group.take("CITY_OF_BIRTH"),
        birth_country: country(group.take("COUNTRY_OF_BIRTH")),
        note: group.take("NOTE"),
    }
}

pub(super) fn birth(group: &mut Element) -> Birth {
    let day = group.take("DATE");
    Birth {
        r#type: group.take_as("TYPE_OF_DATE", birth_type).unwrap_or_default().into(),
        // A year beside a day finds no field here, and is kept as an unknown one.
        date: text::date(if day.is_empty() { group.take("YEAR") } else { day }),
        from: text::date(group.take("FROM_YEAR")),
        to: text::date(group.take("TO_YEAR")),
        note: group.take("NOTE"),
    }
}

pub(super) fn place(group: &mut Element) -> Place {
    Place {
        street: group.take("STREET"),
        city: group.take("CITY"),
        state_or_province: group.take("STATE_PROVINCE"),
        postal_code: group.take("ZIP_CODE"),
        country: country(group.take("COUNTRY")),
        note: group.take("NOTE"),
    }
}

pub(super) fn document(group: &mut Element) -> IdentityDocument {
    IdentityDocument {
        r#type: group.take("TYPE_OF_DOCUMENT"),
        type_detail: group.take("TYPE_OF_DOCUMENT2"),
        number: group.take("NUMBER"),
        issuing_country: country(group.take("ISSUING_COUNTRY")),
        country_of_issue: country(group.take("COUNTRY_OF_ISSUE")),
        city_of_issue: group.take("CITY_OF_ISSUE"),
        issued_on: text::date(group.take("DATE_OF_ISSUE")),
        expires_on: text::date(group.take("DATE_OF_EXPIRY")),
        note: group.take("NOTE"),
    }
}

/// The names of a text that holds several, with semicolons between them; none where it holds one.
fn names_in(text: &str) -> Vec<String> {
    let names: Vec<String> =
        text.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.len() > 1 { names } else { Vec::new() }
}

fn quality(text: &str) -> Option<AliasQuality> {
    match text.to_ascii_lowercase().as_str() {
        "good" => Some(AliasQuality::Good),
        "low" => Some(AliasQuality::Low),
        "a.k.a." => Some(AliasQuality::AlsoKnownAs),
        "f.k.a." => Some(AliasQuality::FormerlyKnownAs),
        _ => None,
    }
}

fn birth_type(text: &str) -> Option<BirthType> {
    match text.to_ascii_lowercase().as_str() {
        "exact" => Some(BirthType::Exact),
        "approximately" => Some(BirthType::Approximately),
        "between" => Some(BirthType::Between),
        _ => None,
    }
}
