//! Each quirk of the published lists, in a record made up for it.

use liaison_protocol::proto::{AliasQuality, Birth, BirthType, Country, Date, Gender, NamePartType};

use super::{entity, entry, fixture, listing, person};

fn texts<'a>(countries: impl IntoIterator<Item = &'a Country>) -> Vec<(&'a str, &'a str)> {
    countries.into_iter().map(|country| (country.text.as_str(), country.code.as_str())).collect()
}

fn words(date: &Option<Date>) -> (&str, u32, u32, u32) {
    date.as_ref().map_or(("", 0, 0, 0), |date| (date.text.as_str(), date.year, date.month, date.day))
}

#[test]
fn names_keep_their_parts_and_their_own_script() {
    let list = fixture();
    let name = person(entry(&list, "UTi.101")).name.as_ref().expect("named");
    let parts: Vec<_> = name.parts.iter().map(|part| (part.r#type(), part.text.as_str())).collect();
    let expected =
        [(NamePartType::First, "‘ALI-EXAMPLE"), (NamePartType::Second, "BIN NOBODY"), (NamePartType::Fourth, "na")];
    assert_eq!(parts, expected, "a fourth part stays the fourth without a third, and a literal na stays");
    assert_eq!(name.original_script, "مثال بن\u{fffd} لا أحد", "damage of the source is kept as it is");
}

#[test]
fn an_entity_has_one_name_even_with_a_semicolon_in_it() {
    let list = fixture();
    let guild = entity(entry(&list, "UTe.110"));
    let name = guild.name.as_ref().expect("named");
    let [part] = name.parts.as_slice() else { panic!("one part: {name:?}") };
    assert_eq!(part.r#type(), NamePartType::Whole);
    assert_eq!(part.text, "GUILD OF PAPER PIRATES (GPP); SOUTHERN BRANCH");
    assert_eq!(name.original_script, "纸海盗公会");
    assert!(guild.aliases.is_empty());
    assert_eq!(words(&listing(entry(&list, "UTe.110")).submitted_on), ("2012-11-11", 2012, 11, 11));
}

#[test]
fn aliases_keep_their_quality_and_what_belongs_to_them_and_placeholders_are_left_out() {
    let list = fixture();
    let [several, low] = person(entry(&list, "UTi.101")).aliases.as_slice() else { panic!("two aliases") };
    assert_eq!(several.name, "Ali Nemo; Ali Nobody ; Aly Niemand", "as published");
    assert_eq!(several.names, ["Ali Nemo", "Ali Nobody", "Aly Niemand"], "and one by one");
    assert_eq!(several.quality(), AliasQuality::Good);
    assert_eq!(low.name, "Abu Nadir (previously listed as)");
    assert!(low.names.is_empty(), "one name needs no list");
    assert_eq!(low.quality(), AliasQuality::Low);
    assert_eq!(words(&low.birth_date), ("1971", 1971, 0, 0));
    assert_eq!(low.birth_city, "Amaurot");
    assert_eq!(texts(&low.birth_country), [("Yemen", "YE")]);
    assert_eq!(low.note, "nom de guerre, since 1999");

    let corsairs = entity(entry(&list, "GBe.111"));
    let qualities: Vec<_> = corsairs.aliases.iter().map(|alias| (alias.name.as_str(), alias.quality())).collect();
    let expected = [
        ("Corsairs", AliasQuality::AlsoKnownAs),
        ("Pirates", AliasQuality::FormerlyKnownAs),
        ("Pirates", AliasQuality::Good),
    ];
    assert_eq!(qualities, expected, "a name that stands twice stays twice");
}

#[test]
fn births_of_every_type_stand_beside_one_another() {
    let list = fixture();
    let told = |birth: &Birth| {
        let dates = [&birth.date, &birth.from, &birth.to].map(|date| words(date).0.to_owned());
        (birth.r#type(), dates.join("|"), birth.note.clone())
    };
    let births = |reference| -> Vec<_> { person(entry(&list, reference)).births.iter().map(told).collect() };
    let row = |kind, dates: &str, note: &str| (kind, dates.to_owned(), note.to_owned());
    assert_eq!(
        births("UTi.101"),
        [
            row(BirthType::Exact, "1970-01-01-05:00||", "from false passport"),
            row(BirthType::Exact, "1972||", ""),
            row(BirthType::Approximately, "1973||", "24/06/1402 (Hijri Calendar)"),
            row(BirthType::Between, "|1974|1976", ""),
        ]
    );
    assert_eq!(
        births("UTi.102"),
        [
            row(BirthType::Exact, "||", "Nov. 1973"),
            row(BirthType::Unspecified, "1955-1956||", ""),
            row(BirthType::Exact, "||", ""),
        ],
        "a note alone, a span in one element, a type alone; and no placeholder"
    );
    let with_zone = &person(entry(&list, "UTi.101")).births[0].date;
    assert_eq!(words(with_zone), ("1970-01-01-05:00", 1970, 1, 1), "the zone moves no day");
}

#[test]
fn countries_keep_their_words_and_get_a_code_where_it_is_certain() {
    let list = fixture();
    let person = person(entry(&list, "UTi.101"));
    let expected =
        [("Côte d’Ivoire", "CI"), ("Bahrain (citizenship revoked in Jan. 2015)", ""), ("Egyptian", "EG")];
    assert_eq!(texts(&person.nationalities), expected, "NATIONALITY2 is one more nationality");
    assert_eq!(texts(&person.birth_places[0].country), [("Syria/Turkey border area", "")]);
    assert_eq!(texts(&person.addresses[1].country), [("the Philippines", "PH")]);
    let guinea_bissau = entry(&list, "GBe.111");
    assert_eq!(guinea_bissau.regime, "GB", "a regime is not a country code");
    assert_eq!(texts(&entity(guinea_bissau).addresses[0].country), [("Guinea-Bissau", "GW")]);
}

#[test]
fn addresses_and_documents_keep_what_stands_in_the_wrong_place() {
    let list = fixture();
    let person = person(entry(&list, "UTi.101"));
    let [note_only, address] = person.addresses.as_slice() else { panic!("two addresses") };
    assert_eq!((note_only.note.as_str(), &note_only.country), ("in prison, as at 2015", &None));
    assert_eq!(address.city, "Amaurot");
    assert_eq!(address.state_or_province, "Branch Office 9: Island");
    assert_eq!(address.postal_code, "Chalk, Island Province");
    assert_eq!(person.birth_places[0].street, "near Old-Gate");

    let [document] = person.documents.as_slice() else { panic!("one document") };
    assert_eq!(document.r#type, "National Identification Number", "a line break inside is a blank");
    assert_eq!(document.type_detail, "residence card");
    assert_eq!(document.number, "Utopian card number 0007");
    assert_eq!(texts(&document.issuing_country), [("Kenya", "KE")]);
    assert_eq!(texts(&document.country_of_issue), [("Uganda", "UG")], "two countries that differ both stay");
    assert_eq!(words(&document.issued_on), ("2001-02-03", 2001, 2, 3));
    assert_eq!(words(&document.expires_on), ("2011-02-03", 2011, 2, 3));
}

#[test]
fn a_listing_keeps_its_dates_its_key_as_published_and_its_link() {
    let list = fixture();
    let first = listing(entry(&list, "UTi.101"));
    assert_eq!(words(&first.listed_on), ("2015-07-01-04:00", 2015, 7, 1));
    assert_eq!(first.published_reference, "", "blanks around a key are no other spelling");
    let days = |dates: &[Date]| dates.iter().map(|date| date.text.clone()).collect::<Vec<_>>();
    assert_eq!(days(&first.updated_on), ["2020-05-05", "2019-04-04"], "in the order of the source");
    assert_eq!(days(&first.reviewed_on), ["2021-06-06"]);
    assert_eq!(texts(&first.submitted_by), [("Atlantis", "")]);
    assert_eq!((first.sort_key.as_str(), first.sort_key_last_modified.as_str()), ("EXAMPLE", "2015"));
    assert_eq!(listing(entry(&list, "UTi.102")).published_reference, "UTi.102.");

    let linked = listing(entry(&list, "LPi.103"));
    assert_eq!(linked.published_reference, "LPI.103");
    assert_eq!(linked.interpol_notice_exists, Some(true));
    assert_eq!(linked.interpol_link, "https://notices.example/individuals#2019-00001");
    assert_eq!(first.interpol_notice_exists, None, "older lists do not say");
}

#[test]
fn comments_keep_their_lines_and_references_are_resolved() {
    let list = fixture();
    let expected = "First line of three,\nindented second & last of its kind.\n\n\
                    Third, after empty ones. [Old Reference # U.1.A.1]";
    assert_eq!(entry(&list, "UTi.101").content.comments, expected);
    assert_eq!(entry(&list, "LPi.103").content.comments, "Café — \"closed\"");
    let name = person(entry(&list, "LPi.103")).name.as_ref().expect("named");
    assert_eq!(name.parts[0].text, "SAMPLE <PERSON>");
}

#[test]
fn titles_designations_and_gender_come_from_everywhere_they_stand() {
    let list = fixture();
    let person = person(entry(&list, "UTi.101"));
    assert_eq!(person.titles, ["Dr.", "Captain"]);
    assert_eq!(person.designations, ["a) Keeper of keys", "b) Keeper of locks"]);
    assert_eq!(person.gender(), Gender::Male);
    assert_eq!(super::person(entry(&list, "UTi.102")).gender(), Gender::Unknown);
}

#[test]
fn what_nobody_knows_yet_is_kept_and_named() {
    let list = fixture();
    let entry = entry(&list, "LPi.104");
    let kept: Vec<_> =
        entry.content.unknown_fields.iter().map(|field| (field.path.as_str(), field.text.as_str())).collect();
    let expected = [
        ("FIRST_NAME", "SECOND FIRST"),
        ("GENDER", "Undecided"),
        ("HAS_INTERPOL_LINK", "MAYBE"),
        ("EYE_COLOUR", "grey"),
        ("INDIVIDUAL_ALIAS/QUALITY", "Excellent"),
        ("INDIVIDUAL_ADDRESS/COUNTRY/@code", "LP"),
        ("INDIVIDUAL_ADDRESS/PHONE/NUMBER", "555 0100"),
        ("INDIVIDUAL_DATE_OF_BIRTH/YEAR", "1981"),
    ];
    assert_eq!(kept, expected);
    assert!(entry.unknown.iter().eq(expected.iter().map(|(path, _)| path)), "{:?}", entry.unknown);
    assert_eq!(words(&listing(entry).listed_on), ("last spring", 0, 0, 0), "words for a date stay words");
}
