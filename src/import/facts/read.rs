//! Which field of a content is which fact. Left out on purpose: how a key is spelt, record numbers, versions and sort keys, which
//! publishers change while nothing changes; and the codes of countries, which come from our own table.

use liaison_protocol::proto;
use proto::content::Body;
use proto::{AliasQuality, AssociateRole, BirthType, ChangeType, Gender, NamePartType};

use super::comments::comment;
use super::{Facts, collapse};

pub(super) fn content(content: &proto::Content, facts: &mut Facts) {
    match &content.body {
        Some(Body::Person(body)) => person(body, facts),
        Some(Body::Entity(body)) => entity(body, facts),
        Some(Body::Document(body)) => facts.say("document", document(body)),
        Some(Body::Text(body)) => facts.say(
            "text",
            [("subject", body.subject.clone()), ("body", body.body.clone()), ("language", body.language.clone())],
        ),
        None => {}
    }
    if let Some(listed) = &content.listing {
        listing(listed, facts);
    }
    let comment = comment(&content.comments);
    facts.say("comment", plain(&comment.rest));
    for link in &comment.links {
        facts.mention("INTERPOL link in the comment", plain(link));
    }
    for review in &comment.reviews {
        facts.mention("review in the comment", plain(review));
    }
    for field in &content.unknown_fields {
        let fact = [("at", field.path.clone()), ("text", field.text.clone())];
        if crate::import::knows(&field.path) {
            facts.say("more", fact);
        } else {
            facts.mention("unknown field", fact);
        }
    }
    if let Some(published) = &content.published {
        facts.say(
            "published",
            [
                ("by", published.publisher.clone()),
                ("as", published.category.clone()),
                ("number", published.number.clone()),
                ("asked for by", country(&published.issuing_country)),
                ("how much", if published.summary { "a summary".into() } else { String::new() }),
            ],
        );
    }
    if let Some(change) = &content.change
        && change.r#type() == ChangeType::Delisted
    {
        facts.say("listing", plain("withdrawn"));
    }
}

fn person(person: &proto::Person, facts: &mut Facts) {
    names(person.name.as_ref(), facts);
    facts.say("name at birth", name(person.birth_name.as_ref()));
    person.titles.iter().for_each(|title| facts.say("title", plain(title)));
    person.designations.iter().for_each(|office| facts.say("designation", plain(office)));
    facts.say(
        "gender",
        plain(match person.gender() {
            Gender::Unspecified => "",
            Gender::Male => "male",
            Gender::Female => "female",
            Gender::Unknown => "unknown",
        }),
    );
    person.nationalities.iter().for_each(|nation| facts.say("nationality", plain(&nation.text)));
    person.births.iter().for_each(|birth| facts.say("birth", birth_of(birth)));
    person.birth_places.iter().for_each(|at| facts.say("place of birth", place(Some(at))));
    person.aliases.iter().for_each(|other| facts.say("alias", alias(other)));
    person.addresses.iter().for_each(|at| facts.say("address", place(Some(at))));
    person.documents.iter().for_each(|paper| facts.say("document", document(paper)));
    for charge in &person.charges {
        facts.say(
            "charge",
            [
                ("", charge.text.clone()),
                ("translation", charge.translation.clone()),
                ("country", country(&charge.issuing_country)),
            ],
        );
    }
    if let Some(looks) = &person.description {
        description(looks, facts);
    }
    associates(&person.associates, facts);
    if let Some(missing) = &person.disappearance {
        facts.say("missing since", plain(&date(&missing.date)));
        facts.say("missing from", place(missing.place.as_ref()));
        missing.destinations.iter().for_each(|to| facts.say("destination", plain(&to.text)));
    }
}

fn description(looks: &proto::Description, facts: &mut Facts) {
    let number = |number: u32| if number == 0 { String::new() } else { number.to_string() };
    facts.say("height", [("mm", number(looks.height_mm))]);
    facts.say("weight", [("g", number(looks.weight_g))]);
    looks.eye_colours.iter().for_each(|code| facts.say("eyes", plain(code)));
    looks.hair_colours.iter().for_each(|code| facts.say("hair", plain(code)));
    looks.languages.iter().for_each(|code| facts.say("language", plain(code)));
    facts.say("marks", plain(&looks.marks));
}

fn entity(entity: &proto::Entity, facts: &mut Facts) {
    names(entity.name.as_ref(), facts);
    entity.aliases.iter().for_each(|other| facts.say("alias", alias(other)));
    entity.addresses.iter().for_each(|at| facts.say("address", place(Some(at))));
    entity.designations.iter().for_each(|office| facts.say("designation", plain(office)));
    associates(&entity.associates, facts);
    facts.say("activity", plain(&entity.activity));
    facts.say("legal form", plain(&entity.legal_form));
    facts.say("registration", [("", entity.registration_number.clone()), ("register", entity.register.clone())]);
}

fn listing(listing: &proto::Listing, facts: &mut Facts) {
    facts.say("list", plain(&listing.list));
    facts.say("reference", plain(&listing.reference));
    facts.say("regime", plain(&listing.regime));
    facts.say("resolution", plain(&listing.resolution));
    listing.list_types.iter().for_each(|word| facts.say("list type", plain(word)));
    listing.measures.iter().for_each(|word| facts.say("measure", plain(word)));
    facts.say("listed on", plain(&date(&listing.listed_on)));
    facts.say("delisted on", plain(&date(&listing.delisted_on)));
    facts.say("submitted on", plain(&date(&listing.submitted_on)));
    listing.submitted_by.iter().for_each(|state| facts.say("submitted by", plain(&state.text)));
    listing.updated_on.iter().for_each(|day| facts.say("updated on", plain(&day_of(day))));
    listing.reviewed_on.iter().for_each(|day| facts.mention("reviewed on", plain(&day_of(day))));
    facts.mention(
        "INTERPOL notice",
        plain(match listing.interpol_notice_exists {
            None => "",
            Some(true) => "yes",
            Some(false) => "no",
        }),
    );
    facts.mention("INTERPOL link", plain(&listing.interpol_link));
}

fn plain(text: &str) -> [(&'static str, String); 1] {
    [("", text.to_owned())]
}

fn names(of: Option<&proto::Name>, facts: &mut Facts) {
    facts.say("name", name(of));
}

/// Parts in the order of speech: another order is another name.
fn name(name: Option<&proto::Name>) -> Vec<(&'static str, String)> {
    let Some(name) = name else { return Vec::new() };
    let label = |part: &proto::NamePart| match part.r#type() {
        NamePartType::Unspecified | NamePartType::Whole => "",
        NamePartType::First => "first",
        NamePartType::Second => "second",
        NamePartType::Third => "third",
        NamePartType::Fourth => "fourth",
        NamePartType::Family => "family",
        NamePartType::Forename => "forename",
    };
    let parts = name.parts.iter().map(|part| (label(part), part.text.clone()));
    parts.chain([("original script", name.original_script.clone())]).collect()
}

fn alias(alias: &proto::Alias) -> Vec<(&'static str, String)> {
    let quality = match alias.quality() {
        AliasQuality::Unspecified => "",
        AliasQuality::Good => "good",
        AliasQuality::Low => "low",
        AliasQuality::AlsoKnownAs => "also known as",
        AliasQuality::FormerlyKnownAs => "formerly known as",
    };
    vec![
        ("", alias.name.clone()),
        ("quality", quality.to_owned()),
        ("born", date(&alias.birth_date)),
        ("city of birth", alias.birth_city.clone()),
        ("country of birth", country(&alias.birth_country)),
        ("note", alias.note.clone()),
    ]
}

fn birth_of(birth: &proto::Birth) -> Vec<(&'static str, String)> {
    let kind = match birth.r#type() {
        BirthType::Unspecified => "",
        BirthType::Exact => "exact",
        BirthType::Approximately => "approximately",
        BirthType::Between => "between",
    };
    vec![
        ("", date(&birth.date)),
        ("from", date(&birth.from)),
        ("to", date(&birth.to)),
        ("type", kind.to_owned()),
        ("note", birth.note.clone()),
    ]
}

fn place(place: Option<&proto::Place>) -> Vec<(&'static str, String)> {
    let Some(place) = place else { return Vec::new() };
    vec![
        ("street", place.street.clone()),
        ("city", place.city.clone()),
        ("state or province", place.state_or_province.clone()),
        ("postal code", place.postal_code.clone()),
        ("country", country(&place.country)),
        ("note", place.note.clone()),
    ]
}

fn document(document: &proto::IdentityDocument) -> Vec<(&'static str, String)> {
    vec![
        ("type", document.r#type.clone()),
        ("detail", document.type_detail.clone()),
        ("number", document.number.clone()),
        ("issuing country", country(&document.issuing_country)),
        ("issued in", country(&document.country_of_issue)),
        ("issued at", document.city_of_issue.clone()),
        ("issued on", date(&document.issued_on)),
        ("expires on", date(&document.expires_on)),
        ("note", document.note.clone()),
    ]
}

fn associates(associates: &[proto::Associate], facts: &mut Facts) {
    for associate in associates {
        let role = match associate.role() {
            AssociateRole::Unspecified => "associate",
            AssociateRole::Father => "father",
            AssociateRole::Mother => "mother",
            AssociateRole::Administrator => "administrator",
        };
        facts.say(role, name(associate.name.as_ref()));
    }
}

fn country(country: &Option<proto::Country>) -> String {
    country.as_ref().map(|country| country.text.clone()).unwrap_or_default()
}

fn date(date: &Option<proto::Date>) -> String {
    date.as_ref().map(day_of).unwrap_or_default()
}

/// The day as it was understood, so that a zone or another spelling changes nothing; words where it was not.
fn day_of(date: &proto::Date) -> String {
    match (date.year, date.month, date.day) {
        (0, _, _) => collapse(&date.text),
        (year, 0, _) => format!("{year:04}"),
        (year, month, 0) => format!("{year:04}-{month:02}"),
        (year, month, day) => format!("{year:04}-{month:02}-{day:02}"),
    }
}
