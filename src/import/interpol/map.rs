//! A notice's JSON becomes a content. Which field goes where stands here; what nobody takes is kept as an unknown field.

use liaison_protocol::proto;
use proto::content::Body;
use proto::{
    Alias, AliasQuality, Associate, AssociateRole, Birth, Charge, Gender, IdentityDocument, Name, NamePart,
    NamePartType, Place, UnknownField,
};

use super::fields::Fields;
use super::{Category, Fault, NOTICE_BYTES_MAX};
use crate::import::edition::Subject;
use crate::import::json::Json;
use crate::import::un_list::text;

/// Every field that has a place, whatever its value.
#[rustfmt::skip]
pub(super) const FIELDS: &[&str] = &[
    "additional_information", "administrators", "adresses", "aliases", "also_known_as", "arrest_warrants", "associates",
    "birth_name", "charge", "charge_translation", "citizenship_id", "countries_likely_to_be_visited", "country",
    "country_of_birth_id", "date_of_birth", "date_of_event", "distinguishing_marks", "entity_id", "expiry_date",
    "eyes_colors_id", "father_forename", "father_name", "forename", "forename_in_original_script", "formerly_known_as",
    "from_chamber_of_commerce", "hairs_id", "height", "identity_documents", "issued_on", "issuing_country",
    "issuing_country_id", "languages_spoken_ids", "legal_form", "main_activity", "mother_forename", "mother_name", "name",
    "name_at_birth", "name_in_original_script", "nationalities", "nr", "place", "place_of_birth", "place_of_issue",
    "profession", "purposes", "qualification", "registration_number", "sex_id", "summary", "type", "un_reference",
    "un_reference_date", "un_resolution", "weight",
];

/// A height above this is in centimetres: nobody is ten metres tall.
const METRES_MAX: f64 = 10.0;

/// A notice that was read.
pub(super) struct Read {
    pub(super) category: Category,
    pub(super) subject: Subject,
    /// Paths of fields that nobody knows.
    pub(super) unknown: Vec<String>,
}

/// Reads a notice, or what a page shows of one.
pub(super) fn notice(json: &Json<'_>, summary: bool) -> Result<Read, Fault> {
    if json.len() > NOTICE_BYTES_MAX {
        return Err(json.fault(format!("{} bytes, and at most {NOTICE_BYTES_MAX} are read", json.len())));
    }
    let mut fields = Fields::of(json)?;
    json.has_no_member_twice()?;
    if fields.object.has("status") && !fields.object.has("entity_id") {
        return Err(json.fault("an error's answer, and no notice"));
    }
    let (links, number) = (fields.links(), fields.number()?);
    let category = Category::of(&fields.object, links.as_ref(), &number.replace('/', "-"))?;
    let body = match category {
        Category::UnEntities => Body::Entity(fields.entity()?),
        _ => Body::Person(fields.person()?),
    };
    let listing = fields.listing(category)?;
    let comments = [fields.lines("summary")?, fields.lines("additional_information")?];
    let published = proto::Published {
        publisher: "INTERPOL".to_owned(),
        category: category.word().to_owned(),
        number: number.clone(),
        issuing_country: fields.country("issuing_country")?,
        summary,
    };
    let unknown_fields = fields.rest()?;
    let unknown =
        unknown_fields.iter().map(|field| field.path.clone()).filter(|path| !super::knows(path)).collect();
    let content = proto::Content {
        body: Some(body),
        listing,
        comments: comments.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n"),
        unknown_fields,
        published: Some(published),
        ..proto::Content::default()
    };
    let key = format!("{}/{}", category.word(), number.replace('/', "-"));
    Ok(Read { category, unknown, subject: Subject { key, kind: category.kind(), content } })
}

impl Fields<'_> {
    fn person(&mut self) -> Result<proto::Person, Fault> {
        let birth = self.date("date_of_birth")?.map(|date| Birth { date: Some(date), ..Birth::default() });
        let birth_place = Place {
            city: self.line("place_of_birth")?,
            country: self.country("country_of_birth_id")?,
            ..Place::default()
        };
        let mut associates = Vec::new();
        for (role, name, forename) in [
            (AssociateRole::Father, "father_name", "father_forename"),
            (AssociateRole::Mother, "mother_name", "mother_forename"),
        ] {
            let name = named(self.line(name)?, self.line(forename)?, String::new());
            associates.extend(name.map(|name| Associate { role: role.into(), name: Some(name) }));
        }
        associates.extend(self.associates("associates", AssociateRole::Unspecified)?);
        let birth_name = [self.line("birth_name")?, self.line("name_at_birth")?];
        Ok(proto::Person {
            name: self.own_name()?,
            designations: Some(self.line("profession")?).filter(|text| !text.is_empty()).into_iter().collect(),
            gender: self.gender()?.into(),
            nationalities: self.countries("nationalities")?,
            births: birth.into_iter().collect(),
            birth_places: said(birth_place).into_iter().collect(),
            aliases: self.each("aliases", alias)?,
            addresses: self.addresses()?,
            documents: self.each("identity_documents", document)?,
            charges: self.each("arrest_warrants", charge)?,
            description: said(self.description()?),
            birth_name: birth_name.into_iter().find(|text| !text.is_empty()).map(whole),
            associates,
            disappearance: said(proto::Disappearance {
                date: self.date("date_of_event")?,
                place: said(Place {
                    city: self.line("place")?,
                    country: self.country("country")?,
                    ..Place::default()
                }),
                destinations: self.countries("countries_likely_to_be_visited")?,
            }),
            ..proto::Person::default()
        })
    }

    fn entity(&mut self) -> Result<proto::Entity, Fault> {
        let name = self.line("name")?;
        let original_script = self.line("name_in_original_script")?;
        let mut aliases = Vec::new();
        for (field, quality) in
            [("also_known_as", AliasQuality::AlsoKnownAs), ("formerly_known_as", AliasQuality::FormerlyKnownAs)]
        {
            aliases.extend(split_names(&self.line(field)?).map(|name| Alias {
                name,
                quality: quality.into(),
                ..Alias::default()
            }));
        }
        let mut associates = self.associates("administrators", AssociateRole::Administrator)?;
        associates.extend(self.associates("associates", AssociateRole::Unspecified)?);
        Ok(proto::Entity {
            name: said(Name { original_script, ..whole(name) }).map(|mut name| {
                name.parts.retain(|part| !part.text.is_empty());
                name
            }),
            aliases,
            addresses: self.addresses()?,
            associates,
            activity: self.line("main_activity")?,
            legal_form: self.line("legal_form")?,
            registration_number: self.line("registration_number")?,
            register: self.line("from_chamber_of_commerce")?,
            ..proto::Entity::default()
        })
    }

    fn own_name(&mut self) -> Result<Option<Name>, Fault> {
        let script = [self.line("forename_in_original_script")?, self.line("name_in_original_script")?];
        let script = script.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        Ok(named(self.line("name")?, self.line("forename")?, script))
    }

    fn gender(&mut self) -> Result<Gender, Fault> {
        let Some(json) = self.object.take("sex_id") else { return Ok(Gender::Unspecified) };
        match json.text()?.as_str() {
            "M" => Ok(Gender::Male),
            "F" => Ok(Gender::Female),
            "U" => Ok(Gender::Unknown),
            other => {
                self.unknown.push(UnknownField { path: json.path().to_owned(), text: other.to_owned() });
                Ok(Gender::Unspecified)
            }
        }
    }

    fn description(&mut self) -> Result<proto::Description, Fault> {
        let metres = |height: f64| if height > METRES_MAX { height / 100.0 } else { height };
        Ok(proto::Description {
            height_mm: self.thousandths("height", 3_000, metres)?,
            weight_g: self.thousandths("weight", 700_000, |kilograms| kilograms)?,
            eye_colours: self.texts("eyes_colors_id")?,
            hair_colours: self.texts("hairs_id")?,
            languages: self.texts("languages_spoken_ids")?,
            marks: self.lines("distinguishing_marks")?,
        })
    }

    fn addresses(&mut self) -> Result<Vec<Place>, Fault> {
        let texts = self.texts("adresses")?;
        Ok(texts.into_iter().map(|note| Place { note, ..Place::default() }).collect())
    }

    /// Objects with a name, or names alone.
    fn associates(&mut self, name: &str, role: AssociateRole) -> Result<Vec<Associate>, Fault> {
        let mut all = Vec::new();
        for item in self.object.take_items(name)? {
            let name = match item.text() {
                Ok(text) => said(whole(text::line(&text))),
                Err(_) => {
                    let mut fields = Self::of(&item)?;
                    let name = fields.own_name()?;
                    self.unknown.extend(fields.rest()?);
                    name
                }
            };
            all.extend(name.map(|name| Associate { role: role.into(), name: Some(name) }));
        }
        Ok(all)
    }

    /// What joins the notice to the UN's own list.
    fn listing(&mut self, category: Category) -> Result<Option<proto::Listing>, Fault> {
        let published = self.line("un_reference")?;
        let reference = text::reference(&published);
        let listing = proto::Listing {
            published_reference: if published == reference { String::new() } else { published },
            reference,
            listed_on: self.date("un_reference_date")?,
            resolution: self.word("un_resolution")?,
            measures: self.texts("purposes")?,
            ..proto::Listing::default()
        };
        let of_the_un = matches!(category, Category::UnPersons | Category::UnEntities);
        let list = if of_the_un { "UN Security Council Consolidated List" } else { "" };
        Ok(said(listing).map(|listing| proto::Listing { list: list.to_owned(), ..listing }))
    }
}

fn alias(fields: &mut Fields<'_>) -> Result<Alias, Fault> {
    let name = [fields.line("forename")?, fields.line("name")?];
    let script = [fields.line("forename_in_original_script")?, fields.line("name_in_original_script")?];
    let join = |texts: [String; 2]| texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    let script = Some(join(script)).filter(|script| !script.is_empty());
    let qualification = fields.line("qualification")?;
    let quality = match qualification.to_ascii_lowercase().as_str() {
        "good" => AliasQuality::Good,
        "low" => AliasQuality::Low,
        _ => AliasQuality::Unspecified,
    };
    let unread = Some(qualification).filter(|text| quality == AliasQuality::Unspecified && !text.is_empty());
    let notes = [script.map(|script| format!("original script: {script}")), unread];
    Ok(Alias {
        name: join(name),
        quality: quality.into(),
        birth_date: fields.date("date_of_birth")?,
        birth_city: fields.line("place_of_birth")?,
        birth_country: fields.country("country_of_birth_id")?,
        note: notes.into_iter().flatten().collect::<Vec<_>>().join("; "),
        ..Alias::default()
    })
}

fn document(fields: &mut Fields<'_>) -> Result<IdentityDocument, Fault> {
    Ok(IdentityDocument {
        r#type: fields.line("type")?,
        number: fields.line("nr")?,
        issuing_country: fields.country("citizenship_id")?,
        country_of_issue: fields.country("issuing_country_id")?,
        city_of_issue: fields.line("place_of_issue")?,
        issued_on: fields.date("issued_on")?,
        expires_on: fields.date("expiry_date")?,
        ..IdentityDocument::default()
    })
}

fn charge(fields: &mut Fields<'_>) -> Result<Charge, Fault> {
    Ok(Charge {
        text: fields.lines("charge")?,
        translation: fields.lines("charge_translation")?,
        issuing_country: fields.country("issuing_country_id")?,
    })
}

/// Nothing where nothing is said.
fn said<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn named(family: String, forename: String, original_script: String) -> Option<Name> {
    let parts = [(NamePartType::Forename, forename), (NamePartType::Family, family)];
    let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
    let parts = parts.map(|(kind, text)| NamePart { r#type: kind.into(), text }).collect();
    said(Name { parts, original_script })
}

/// A name that is not divided; no name for no text.
fn whole(text: String) -> Name {
    let part = NamePart { r#type: NamePartType::Whole.into(), text };
    let parts = Some(part).filter(|part| !part.text.is_empty()).into_iter().collect();
    Name { parts, ..Name::default() }
}

/// Names with semicolons between them, perhaps after "F.K.A.:".
fn split_names(text: &str) -> impl Iterator<Item = String> {
    let labelled = text.split_once(':').filter(|(label, _)| {
        let label = label.replace('.', "").to_ascii_lowercase();
        matches!(label.trim(), "fka" | "aka")
    });
    let names = labelled.map_or(text, |(_, names)| names);
    names.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_taken_is_known() {
        let code = include_str!("map.rs").split("#[cfg(test)]").next().expect("code");
        let calls =
            ["line(\"", "lines(\"", "word(\"", "texts(\"", "country(\"", "countries(\"", "date(\"", "each(\""];
        for call in calls {
            for rest in code.split(call).skip(1) {
                let name = rest.split('"').next().expect("a name");
                assert!(FIELDS.contains(&name), "{name}");
            }
        }
    }
}
