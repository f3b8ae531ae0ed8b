//! A record's tree becomes an entry. Which element becomes which field stands here and in `parts`; what neither takes is kept as
//! an unknown field.

use liaison_protocol::proto;
use proto::content::Body;
use proto::{Country, Gender, NamePart, NamePartType};

use super::country::country;
use super::parts::{alias, birth, document, place};
use super::reader::KINDS;
use super::text;
use super::tree::Element;
use super::{Entry, Fault};

/// What contents say they come from.
const LIST: &str = "UN Security Council Consolidated List";

/// With the list's day this makes a notice's reference of at most 64 bytes. The longest seen has 7 bytes.
const REFERENCE_BYTES_MAX: usize = 32;

const KEY: &str = "REFERENCE_NUMBER";

/// Every element with a text that has a field, here and in `parts`.
#[rustfmt::skip]
pub(super) const ELEMENTS: &[&str] = &[
    "ALIAS_NAME", "CITY", "CITY_OF_BIRTH", "CITY_OF_ISSUE", "COMMENTS1", "COUNTRY", "COUNTRY_OF_BIRTH", "COUNTRY_OF_ISSUE",
    "DATAID", "DATE", "DATE_OF_BIRTH", "DATE_OF_EXPIRY", "DATE_OF_ISSUE", "DELISTED_ON", "FIRST_NAME", "FOURTH_NAME",
    "FROM_YEAR", "GENDER", "HAS_INTERPOL_LINK", "INTERPOL_LINK", "ISSUING_COUNTRY", "LISTED_ON", "NAME_ORIGINAL_SCRIPT",
    "NATIONALITY2", "NOTE", "NUMBER", "QUALITY", "REFERENCE_NUMBER", "SECOND_NAME", "SORT_KEY", "SORT_KEY_LAST_MOD",
    "STATE_PROVINCE", "STREET", "SUBMITTED_BY", "SUBMITTED_ON", "THIRD_NAME", "TO_YEAR", "TYPE_OF_DATE", "TYPE_OF_DOCUMENT",
    "TYPE_OF_DOCUMENT2", "UN_LIST_TYPE", "VALUE", "VERSIONNUM", "YEAR", "ZIP_CODE",
];

/// Reads a record's tree.
pub(super) fn entry(mut record: Element) -> Result<Entry, Fault> {
    let fields = record.texts();
    if !KINDS.contains(&record.name.as_str()) {
        return Err(Fault::Kind(record.name));
    }
    let listing = listing(&mut record)?;
    let comments = record.take_lines("COMMENTS1");
    let body = if record.name == "INDIVIDUAL" {
        Body::Person(person(&mut record))
    } else {
        Body::Entity(entity(&mut record))
    };
    let unknown_fields = record.leftovers();
    Ok(Entry {
        reference: listing.reference.clone(),
        regime: listing.regime.clone(),
        fields,
        unknown: unknown_fields.iter().map(|field| field.path.clone()).collect(),
        content: proto::Content {
            body: Some(body),
            listing: Some(listing),
            comments,
            unknown_fields,
            ..proto::Content::default()
        },
    })
}

/// The key in the XML of a record that may be broken.
pub(super) fn reference_in(xml: &str) -> Option<String> {
    let (_, after) = xml.split_once(KEY)?;
    let published = after.strip_prefix('>')?.split('<').next()?;
    let reference = text::reference(published);
    can_name_a_notice(&reference).then_some(reference)
}

fn can_name_a_notice(reference: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=REFERENCE_BYTES_MAX).contains(&reference.len()) && reference.bytes().all(allowed)
}

fn listing(record: &mut Element) -> Result<proto::Listing, Fault> {
    let published = record.take(KEY);
    let reference = text::reference(&published);
    if reference.is_empty() {
        return Err(Fault::NoReference);
    }
    if !can_name_a_notice(&reference) {
        return Err(Fault::Reference(reference));
    }
    Ok(proto::Listing {
        list: LIST.to_owned(),
        published_reference: if published == reference { String::new() } else { published },
        reference,
        regime: record.take("UN_LIST_TYPE"),
        list_types: record.take_values("LIST_TYPE"),
        record_number: record.take("DATAID"),
        record_version: record.take("VERSIONNUM"),
        listed_on: text::date(record.take("LISTED_ON")),
        delisted_on: text::date(record.take("DELISTED_ON")),
        submitted_on: text::date(record.take("SUBMITTED_ON")),
        submitted_by: country(record.take("SUBMITTED_BY")).into_iter().collect(),
        updated_on: dates(record, "LAST_DAY_UPDATED"),
        reviewed_on: dates(record, "LAST_REVIEWED_ON"),
        interpol_notice_exists: record.take_as("HAS_INTERPOL_LINK", yes_or_no),
        interpol_link: record.take("INTERPOL_LINK"),
        sort_key: record.take("SORT_KEY"),
        sort_key_last_modified: record.take("SORT_KEY_LAST_MOD"),
        ..proto::Listing::default()
    })
}

fn person(record: &mut Element) -> proto::Person {
    proto::Person {
        name: name(
            record,
            &[
                ("FIRST_NAME", NamePartType::First),
                ("SECOND_NAME", NamePartType::Second),
                ("THIRD_NAME", NamePartType::Third),
                ("FOURTH_NAME", NamePartType::Fourth),
            ],
        ),
        titles: record.take_values("TITLE"),
        designations: record.take_values("DESIGNATION"),
        gender: record.take_as("GENDER", gender).unwrap_or_default().into(),
        nationalities: nationalities(record),
        births: parts(record, "INDIVIDUAL_DATE_OF_BIRTH", birth),
        birth_places: parts(record, "INDIVIDUAL_PLACE_OF_BIRTH", place),
        aliases: parts(record, "INDIVIDUAL_ALIAS", alias),
        addresses: parts(record, "INDIVIDUAL_ADDRESS", place),
        documents: parts(record, "INDIVIDUAL_DOCUMENT", document),
        ..proto::Person::default()
    }
}

fn entity(record: &mut Element) -> proto::Entity {
    proto::Entity {
        name: name(record, &[("FIRST_NAME", NamePartType::Whole)]),
        aliases: parts(record, "ENTITY_ALIAS", alias),
        addresses: parts(record, "ENTITY_ADDRESS", place),
        designations: record.take_values("DESIGNATION"),
        ..proto::Entity::default()
    }
}

/// Every child of this name that says anything: placeholders are left out.
fn parts<T>(record: &mut Element, name: &str, read: fn(&mut Element) -> T) -> Vec<T>
where
    T: Default + PartialEq,
{
    record.all(name).map(read).filter(|part| *part != T::default()).collect()
}

fn name(record: &mut Element, elements: &[(&str, NamePartType)]) -> Option<proto::Name> {
    let parts =
        elements.iter().map(|(element, kind)| NamePart { r#type: (*kind).into(), text: record.take(element) });
    let parts = parts.filter(|part| !part.text.is_empty()).collect();
    let name = proto::Name { parts, original_script: record.take("NAME_ORIGINAL_SCRIPT") };
    (name != proto::Name::default()).then_some(name)
}

fn nationalities(record: &mut Element) -> Vec<Country> {
    let mut texts = record.take_values("NATIONALITY");
    texts.push(record.take("NATIONALITY2"));
    texts.into_iter().filter_map(country).collect()
}

fn dates(record: &mut Element, name: &str) -> Vec<proto::Date> {
    record.take_values(name).into_iter().filter_map(text::date).collect()
}

fn gender(text: &str) -> Option<Gender> {
    match text.to_ascii_lowercase().as_str() {
        "male" => Some(Gender::Male),
        "female" => Some(Gender::Female),
        "unknown" => Some(Gender::Unknown),
        _ => None,
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
