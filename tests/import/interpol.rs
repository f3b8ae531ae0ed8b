//! INTERPOL's notices come in as typed content with nothing dropped, whatever is odd about them; and what is no notice is refused
//! with its field and byte.

use liaison::import::interpol::{Category, FILE_BYTES_MAX, Notices};
use liaison::import::{Rules, Subject, Threshold, subject};
use liaison_protocol::proto::{
    self, AliasQuality, AssociateRole, ChangeType, Country, Date, Gender, Kind, NamePartType, RelationType,
    content::Body,
};
use proptest::prelude::*;

use super::motion::{Importer, counts};

const RED: &str = include_str!("../fixtures/interpol/red.json");
const YELLOW: &str = include_str!("../fixtures/interpol/yellow.json");
const UN_PERSON: &str = include_str!("../fixtures/interpol/un-person.json");
const UN_ENTITY: &str = include_str!("../fixtures/interpol/un-entity.json");
const RED_PAGE: &str = include_str!("../fixtures/interpol/red-page.json");

fn read(files: &[&str]) -> Notices {
    let mut notices = Notices::default();
    for file in files {
        notices.read(file.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    }
    notices
}

fn only(file: &str) -> Subject {
    let notices = read(&[file]);
    assert_eq!(notices.unreadable, []);
    let mut subjects = notices.edition(true).subjects;
    assert_eq!(subjects.len(), 1);
    subjects.remove(0)
}

fn person(subject: &Subject) -> &proto::Person {
    match &subject.content.body {
        Some(Body::Person(person)) => person,
        other => panic!("not a person: {other:?}"),
    }
}

fn country(country: &Option<Country>) -> (&str, &str) {
    country.as_ref().map_or(("", ""), |country| (country.text.as_str(), country.code.as_str()))
}

fn day(date: &Option<Date>) -> (u32, u32, u32) {
    date.as_ref().map_or((0, 0, 0), |date| (date.year, date.month, date.day))
}

fn unknown(subject: &Subject) -> Vec<(&str, &str)> {
    let fields = subject.content.unknown_fields.iter();
    fields.map(|field| (field.path.as_str(), field.text.as_str())).collect()
}

fn name(name: &Option<proto::Name>) -> Vec<(NamePartType, &str)> {
    let parts = name.iter().flat_map(|name| &name.parts);
    parts.map(|part| (part.r#type(), part.text.as_str())).collect()
}

#[test]
fn a_red_notice_keeps_its_charges_codes_and_what_nobody_knows() {
    let red = only(RED);
    assert_eq!((red.key.as_str(), red.kind), ("red/2099-114539", Kind::Red));
    assert_eq!(subject(&red.content), "DOE EXAMPLE, JOHN (b. 1985)");
    let published = red.content.published.as_ref().expect("it says whose it is");
    assert_eq!((published.publisher.as_str(), published.number.as_str()), ("INTERPOL", "2099/114539"));
    let person = person(&red);
    let [first, second] = person.charges.as_slice() else { panic!("two charges") };
    assert_eq!(first.text, "1) Theft of a lighthouse\n2) Perjury", "lines stay lines");
    assert_eq!((country(&first.issuing_country), first.translation.as_str()), (("KE", "KE"), ""));
    assert_eq!(country(&second.issuing_country), ("914", ""), "a code of INTERPOL's own stays a word");
    assert_eq!(second.translation, "Contrebande de brouillard");
    assert_eq!(day(&person.births[0].date), (1985, 3, 0), "a month without a day");
    assert_eq!(person.births[0].date.as_ref().map(|date| date.text.as_str()), Some("1985/03/00"));
    assert_eq!(
        (person.birth_places[0].city.as_str(), country(&person.birth_places[0].country)),
        ("Amaurot", ("KE", "KE"))
    );
    let looks = person.description.as_ref().expect("described");
    assert_eq!((looks.height_mm, looks.weight_g), (1_680, 68_500));
    assert_eq!(
        (looks.eye_colours.as_slice(), looks.hair_colours.as_slice()),
        (&["BRO".to_owned()][..], &["BLA".to_owned(), "BROH".to_owned()][..])
    );
    assert_eq!((looks.languages.len(), looks.marks.as_str()), (2, "Tattoo of a fish\non the left arm"));
    assert_eq!(person.gender(), Gender::Male);
    assert_eq!(unknown(&red), [("shoe_size", "44")]);
    assert_eq!(read(&[RED]).unknown.into_iter().collect::<Vec<_>>(), [("shoe_size".to_owned(), 1)]);
}

#[test]
fn a_yellow_notice_tells_where_someone_went_missing_and_zero_is_not_known() {
    let yellow = only(YELLOW);
    assert_eq!((yellow.key.as_str(), yellow.kind), ("yellow/2099-9888", Kind::Yellow));
    let person = person(&yellow);
    assert_eq!(name(&person.name), [(NamePartType::Family, "MUSTERMANN")], "a hyphen is no forename");
    assert_eq!(name(&person.birth_name), [(NamePartType::Whole, "SPECIMEN")]);
    assert_eq!((day(&person.births[0].date), person.gender()), ((1972, 0, 0), Gender::Unknown));
    let looks = person.description.as_ref().expect("described");
    assert_eq!((looks.height_mm, looks.weight_g), (1_650, 0), "165 is in centimetres, and 0 kg is not known");
    assert_eq!((person.birth_places.len(), person.nationalities.len()), (0, 0));
    let around: Vec<_> = person.associates.iter().map(|other| (other.role(), name(&other.name))).collect();
    let father = vec![(NamePartType::Forename, "MAX"), (NamePartType::Family, "MUSTERMANN")];
    let mother = vec![(NamePartType::Forename, "ERIKA")];
    assert_eq!(around, [(AssociateRole::Father, father), (AssociateRole::Mother, mother)]);
    let missing = person.disappearance.as_ref().expect("missing");
    assert_eq!(day(&missing.date), (2099, 2, 1));
    assert_eq!(
        missing.place.as_ref().map(|place| (place.city.as_str(), country(&place.country))),
        Some(("Mildendo", ("DE", "DE")))
    );
    let destinations: Vec<_> = missing.destinations.iter().map(|to| (to.text.as_str(), to.code.as_str())).collect();
    assert_eq!(destinations, [("FR", "FR"), ("XYZ", "")], "nothing is said by null");
    assert_eq!(country(&yellow.content.published.as_ref().expect("published").issuing_country), ("DE", "DE"));
    assert_eq!(unknown(&yellow), []);
}

#[test]
fn a_un_persons_notice_joins_the_list_by_its_reference() {
    let notice = only(UN_PERSON);
    assert_eq!((notice.key.as_str(), notice.kind), ("un/persons/2099-35448", Kind::UnSpecial));
    let listing = notice.content.listing.as_ref().expect("listed");
    assert_eq!((listing.reference.as_str(), listing.resolution.as_str()), ("UTi.001", "1267"));
    assert_eq!((day(&listing.listed_on), listing.measures.len()), ((2015, 6, 1), 2));
    let person = person(&notice);
    assert_eq!(person.name.as_ref().map(|name| name.original_script.as_str()), Some("مثال لا أحد"));
    assert_eq!(
        (person.births.len(), person.gender(), person.designations.as_slice()),
        (0, Gender::Unspecified, &["Keeper of keys".to_owned()][..])
    );
    let [good, other] = person.aliases.as_slice() else { panic!("two aliases") };
    assert_eq!(
        (good.name.as_str(), good.quality(), day(&good.birth_date)),
        ("ALI NEMO", AliasQuality::Good, (1980, 0, 0))
    );
    assert_eq!((other.name.as_str(), other.note.as_str()), ("NIEMAND", "original script: Никто; nom de plume"));
    let document = &person.documents[0];
    assert_eq!(
        (country(&document.issuing_country), country(&document.country_of_issue)),
        (("YE", "YE"), ("SD", "SD"))
    );
    assert_eq!((day(&document.expires_on), document.city_of_issue.as_str()), ((2020, 1, 2), "Amaurot"));
    assert_eq!(person.addresses[0].note, "1 Nowhere Lane, Amaurot");
    assert_eq!(person.associates.len(), 2, "with objects and with names alone");
    assert_eq!(notice.content.comments, "UTi.001\nMade up for a test.");
    assert_eq!(unknown(&notice), [("sex_id", "X"), ("aliases/since", "1999"), ("weight", "900000")]);
    assert_eq!(read(&[UN_PERSON]).unknown.len(), 1, "a known field with a strange value is no unknown field");
}

#[test]
fn an_entity_is_known_by_its_fields_and_its_names_are_taken_apart() {
    let notice = only(UN_ENTITY);
    assert_eq!((notice.key.as_str(), notice.kind), ("un/entities/2099-110", Kind::UnSpecial));
    let Some(Body::Entity(entity)) = &notice.content.body else { panic!("an entity") };
    let aliases: Vec<_> = entity.aliases.iter().map(|alias| (alias.name.as_str(), alias.quality())).collect();
    let expected = [
        ("Paper Pirates", AliasQuality::AlsoKnownAs),
        ("GPP", AliasQuality::AlsoKnownAs),
        ("Cardboard Corsairs", AliasQuality::FormerlyKnownAs),
    ];
    assert_eq!(aliases, expected);
    assert_eq!((entity.legal_form.as_str(), entity.registration_number.as_str()), ("Guild", "0007"));
    assert_eq!((entity.register.as_str(), entity.activity.as_str()), ("Amaurot", "Folding ships"));
    assert_eq!(entity.associates[0].role(), AssociateRole::Administrator);
    assert_eq!(notice.content.comments, "UTe.001\n\nSails them in fountains.");
    assert_eq!(notice.content.listing.as_ref().map(|listing| listing.resolution.as_str()), Some("1267 (1999)"));
}

#[test]
fn a_page_is_a_summary_and_says_how_much_of_the_list_it_is() {
    let notices = read(&[RED_PAGE, RED]);
    assert_eq!((notices.len(), notices.summaries()), (2, 1), "the whole notice goes before its summary");
    let page = &notices.pages[&Category::Red];
    assert_eq!((page.total, page.held, page.is_incomplete()), (6_432, 2, true));
    let whole = notices.edition(false).subjects;
    assert_eq!(whole.iter().map(|subject| subject.key.as_str()).collect::<Vec<_>>(), ["red/2099-114539"]);
    assert_eq!(notices.edition(true).subjects.len(), 2);
    assert_eq!(read(&[RED, RED_PAGE]), notices, "in whatever order");
    assert!(!read(&[&RED_PAGE.replace("6432", "2")]).pages[&Category::Red].is_incomplete());
}

#[test]
fn a_notice_that_changed_amends_and_one_that_is_missing_says_nothing() {
    let mut importer = Importer::default();
    let first = read(&[RED, YELLOW]).edition(false);
    assert_eq!(counts(&importer.run(None, &first)), [2, 0, 0, 0]);
    assert_eq!(counts(&importer.run(None, &first)), [0; 4], "running it twice sends nothing twice");

    let changed = RED.replace("Perjury", "Perjury at sea");
    let second = read(&[&changed]).edition(false);
    let step = importer.run(None, &second);
    assert_eq!((counts(&step), step.held.len()), ([0, 1, 0, 0], 0), "yellow is not withdrawn");
    let notice = &step.items[0].notice;
    assert_eq!((notice.reference.as_str(), notice.kind), ("INTERPOL/red/2099-114539.2", Kind::Red));
    let relation = notice.relation.as_ref().expect("amends");
    assert_eq!((relation.kind, relation.reference.as_str()), (RelationType::Amends, "INTERPOL/red/2099-114539"));
    assert_eq!(notice.content.change.as_ref().map(|change| change.r#type()), Some(ChangeType::Amended));

    let again = RED.replace("Perjury", "Nothing");
    assert_eq!(
        importer.run(None, &read(&[&again]).edition(false)).items[0].notice.reference,
        "INTERPOL/red/2099-114539.3"
    );
}

#[test]
fn keys_in_another_order_links_and_unknown_fields_are_no_change() {
    let mut importer = Importer::default();
    importer.run(None, &read(&[RED]).edition(false));
    let moved =
        RED.replace("\"weight\":68.5,", "").replace("\"shoe_size\":44", "\"weight\":68.50,\"shoe_size\":45");
    let moved = moved.replace("/images\"", "/images/1\"").replace("[\"ENG\",\"SWA\"]", "[\"SWA\",\"ENG\",\"SWA\"]");
    let moved = read(&[&moved]).edition(false);
    let step = importer.decide(None, &moved).expect("a step");
    assert_eq!((counts(&step), step.details_differ), ([0; 4], 1));
    importer.rules = Rules { threshold: Threshold::AnyChange, many: false };
    let step = importer.decide(None, &moved).expect("a step");
    assert_eq!(counts(&step), [0, 1, 0, 0]);
}

#[test]
fn a_summary_never_takes_anything_away_from_a_whole_notice() {
    let page = read(&[RED_PAGE]).edition(true);
    let whole = read(&[RED]).edition(true);
    let mut importer = Importer::default();
    assert_eq!(counts(&importer.run(None, &page)), [2, 0, 0, 0]);
    assert_eq!(counts(&importer.run(None, &whole)), [0, 1, 0, 0], "the whole says more");
    let step = importer.run(None, &page);
    assert_eq!((counts(&step), step.unchanged), ([0; 4], 2));
}

#[test]
fn what_is_no_notice_is_refused_with_its_field_and_byte() {
    let of = |file: &str| {
        let mut notices = Notices::default();
        match notices.read(file.as_bytes()) {
            Err(fault) => fault,
            Ok(()) => notices.unreadable.first().cloned().unwrap_or_else(|| panic!("{file}")),
        }
    };
    let red = |change: (&str, &str)| {
        assert!(RED.contains(change.0), "{}", change.0);
        RED.replacen(change.0, change.1, 1)
    };
    let at = |file: &str, what: &str| file.find(what).expect("there");
    for (file, field, byte, problem) in [
        (red(("\"DOE EXAMPLE\"", "7")), "name", "7,\"disting", "expected a text, found a number"),
        (red(("\"DOE EXAMPLE\"", "{\"a\":1}")), "name", "{\"a\":1}", "expected a text, found an object"),
        (
            red(("\"2099/114539\"", "\"2099\"")),
            "entity_id",
            "\"2099\"",
            "expected a year and a number, as in 2019/114539",
        ),
        (
            red(("\"2099/114539\"", "\"../../etc/1\"")),
            "entity_id",
            "\"../../etc/1\"",
            "expected a year and a number, as in 2019/114539",
        ),
        (
            red(("\"Smuggling of fog\"", "[1]")),
            "arrest_warrants/charge",
            "[1],\"charge_tr",
            "expected a text, found a list",
        ),
        (red(("1.68", "\"tall\"")), "height", "\"tall\"", "expected a number, found a text"),
        (red(("[\"ENG\",\"SWA\"]", "\"ENG\"")), "languages_spoken_ids", "\"ENG\"", "expected a list, found a text"),
        (red(("\"sex_id\":\"M\"", "\"name\":\"TWICE\"")), "name", "\"DOE EXAMPLE\"", "stands there twice"),
        (red(("/red/", "/yellow/")), "", "{\"arrest", "its address says yellow, and its fields say red"),
        (
            r#"{"status":404,"name":"NotFoundError","message":"Not Found"}"#.into(),
            "",
            "{\"status",
            "an error's answer, and no notice",
        ),
        (
            r#"{"entity_id":"2099/1","name":"NOBODY"}"#.into(),
            "",
            "{\"entity",
            "neither _links/self/href nor any field says which notice this is",
        ),
        (r#"[{"arrest_warrants":[]}]"#.into(), "", "{\"arrest", "entity_id is not there"),
        ("[[]]".into(), "", "[]]", "expected an object, found a list"),
        ("7".into(), "", "7", "expected an object, found a number"),
        (r#"{"total":-1,"_embedded":{"notices":[]}}"#.into(), "total", "-1", "expected a whole number"),
        (r#"{"total":1,"_embedded":{"x":[]}}"#.into(), "", "{\"total", "_embedded/notices is not there"),
    ] {
        let fault = of(&file);
        assert_eq!(
            (fault.field.as_str(), fault.offset, fault.problem.as_str()),
            (field, at(&file, byte), problem),
            "{file}"
        );
    }
    for (file, offset) in
        [("", 0), ("{\"a\":", 4), ("{\"a\":1,}", 7), ("\n{\"a\"\n:01}", 8), ("{} {}", 3), (&RED[..100], 99)]
    {
        let fault = of(file);
        assert_eq!((fault.field.as_str(), fault.offset), ("", offset), "{file:?}: {fault}");
    }
    let latin = Notices::default().read(b"{\"name\":\"\xff\"}").expect_err("not UTF-8");
    assert_eq!(
        (latin.offset, latin.problem.as_str()),
        (
            9,
            "a byte that is not UTF-8; it is in an encoding of single bytes such as windows-1252 (first 0xFF at byte 9)"
        )
    );
}

/// A notice of a colour that is not read here went out as a red one, because it has a warrant.
#[test]
fn what_a_notice_says_of_itself_and_nobody_knows_is_not_taken_for_silence() {
    const OWN: &str = "\"self\":{\"href\":\"https://notices.example/notices/v1/red/2099-114539\"}";
    let of = |file: &str| {
        let mut notices = Notices::default();
        let refused = notices.read(file.as_bytes());
        assert!(notices.is_empty(), "{file}");
        refused.err().unwrap_or_else(|| notices.unreadable[0].clone())
    };
    let unknown = "it is no address of a red, yellow, un/persons or un/entities notice: ";
    let own = |href: &str| RED.replace(OWN, &format!("\"self\":{{\"href\":\"{href}\"}}"));
    let at = "https://notices.example/notices/v1";
    for colour in ["silver", "blue", "black", "green", "orange", "purple", "un", "un/vessels", "RED", "r%65d"] {
        let address = format!("{at}/{colour}/2099-114539");
        let fault = of(&own(&address));
        assert_eq!(fault.field, "_links/self/href");
        assert_eq!(fault.problem, format!("{unknown}{address}"));
    }
    for address in [
        "https://notices.example/notices/v1/blue/2099-114539?was=/notices/v1/red/2099-114539",
        "https://notices.example/notices/v1/red/2099-114539/../../blue/2099-114539",
        "https://notices.example/notices/v1/red",
        "https://notices.example/2099-114539",
        "2099-114539",
        "...",
    ] {
        assert_eq!(of(&own(address)).field, "_links/self/href", "{address}");
    }
    let links = |links: &str| {
        let (before, _) = RED.split_once("\"_links\":").expect("it has links");
        format!("{before}\"_links\":{links}}}")
    };
    let field = |name: &str, value: &str| RED.replacen("\"shoe_size\":44", &format!("\"{name}\":{value}"), 1);
    for (file, at, problem) in [
        (
            own(&format!("{at}/red/2099-114540")),
            "_links/self/href",
            "it is of the notice 2099-114540, and entity_id says 2099-114539",
        ),
        (
            own(&format!("{at}/red/2099-114539/images")),
            "_links/self/href",
            "it leads to something below the notice, and not to the notice itself",
        ),
        (links("\"https://x.example/notices/v1/blue/2099-114539\""), "_links", "expected an object, found a text"),
        (
            links("{\"self\":\"https://x.example/notices/v1/red/2099-114539\"}"),
            "_links/self",
            "expected an object, found a text",
        ),
        (links("{\"self\":{\"href\":7}}"), "_links/self/href", "expected a text, found a number"),
        (links("{\"self\":{\"href\":\"a\",\"href\":\"b\"}}"), "_links/self/href", "stands there twice"),
        // The other links and what copies add tell which notice it is, too.
        (
            links("{\"images\":{\"href\":\"https://x.example/notices/v1/silver/2099-114539/images\"}}"),
            "_links/images/href",
            "it is no address of a red",
        ),
        (
            RED.replace("/red/2099-114539/images", "/yellow/2099-114539/images"),
            "_links/images/href",
            "it says yellow, and the rest of the notice says red",
        ),
        (
            RED.replace("/red/2099-114539/images", "/red/2099-1/images"),
            "_links/images/href",
            "it is of the notice 2099-1, and entity_id says 2099-114539",
        ),
        (
            links("{\"thumbnail\":{\"href\":\"https://x.example/notices/v1/yellow/2099-114539/images/1\"}}"),
            "",
            "its address says yellow, and its fields say red",
        ),
        (
            field("url", "\"https://x.example/notices/v1/blue/2099-114539\""),
            "url",
            "it is no address of the red notice 2099-114539",
        ),
        (field("notice_type", "\"Silver\""), "notice_type", "expected red, as the rest of the notice says"),
        (field("type", "\"blue\""), "type", "expected red, as the rest of the notice says"),
        // Fields of two categories.
        (field("date_of_event", "\"2099/02/01\""), "", "its fields say red and yellow, and it can only be one"),
        (field("un_reference", "\"UTi.001\""), "", "its fields say red and un/persons, and it can only be one"),
        // At any depth, also where nobody looks.
        (field("shoes", "{\"left\":[{\"size\":44,\"size\":45}]}"), "shoes/left/size", "stands there twice"),
        (
            RED.replacen("\"charge\":\"Smuggling", "\"charge\":\"Arson\",\"charge\":\"Smuggling", 1),
            "arrest_warrants/charge",
            "stands there twice",
        ),
        (RED.replacen("\"sex_id\":\"M\"", "\"n\\u0061me\":\"TWICE\"", 1), "name", "stands there twice"),
        ("{}".to_owned(), "", "entity_id is not there"),
    ] {
        let fault = of(&file);
        assert_eq!(fault.field, at, "{fault}");
        assert!(fault.problem.starts_with(problem), "{fault}");
    }
    // What says nothing is no contradiction, and what agrees is none either.
    for file in [
        links("null"),
        links("{\"self\":null}"),
        links("{\"self\":{\"href\":\"\"}}"),
        links("{\"images\":{\"href\":\"/notices/v1/red/2099-114539/images\"}}"),
        field("notice_type", "\"RED\""),
        field("url", "\"/notices/v2/red/2099-114539\""),
        field("seen_at", "\"https://x.example/notices/view-them\""),
        field("date_of_event", "null"),
    ] {
        assert_eq!(only(&file).key, "red/2099-114539", "{file}");
    }
}

#[test]
fn a_page_holds_only_what_its_own_address_lists() {
    let page = |address: &str| {
        RED_PAGE.replace("{\"self\": {\"href\": \"...\"}", &format!("{{\"self\": {{\"href\": \"{address}\"}}"))
    };
    for (address, unreadable) in [
        ("https://x.example/notices/v1/red?page=1&resultPerPage=160", 0),
        ("https://x.example/notices/v1/red", 0),
        ("https://x.example/notices/v1/yellow?page=1", 2),
        ("https://x.example/notices/v1/un?page=1", 2),
    ] {
        let mut notices = Notices::default();
        notices.read(page(address).as_bytes()).expect("a page");
        assert_eq!(notices.unreadable.len(), unreadable, "{address}");
    }
    let mut notices = Notices::default();
    let fault =
        notices.read(page("https://x.example/notices/v1/silver?page=1").as_bytes()).expect_err("no such list");
    assert_eq!(fault.field, "_links/self/href");
    let twice = RED_PAGE.replace("\"query\": {", "\"query\": {\"page\": 2, ");
    assert_eq!(notices.read(twice.as_bytes()).expect_err("twice").field, "query/page");
    assert_eq!(notices.read(b"[]").expect_err("nothing in it").problem, "there is no notice in it");
    assert!(notices.is_empty());
}

#[test]
fn hostile_files_end_at_a_limit_and_cost_nothing_else() {
    let refused = |file: String| {
        let mut notices = Notices::default();
        match notices.read(file.as_bytes()) {
            Err(fault) => fault.to_string(),
            Ok(()) => notices.unreadable[0].to_string(),
        }
    };
    assert!(refused(" ".repeat(FILE_BYTES_MAX + 1)).contains("at most"));
    assert!(refused("[".repeat(1 << 20)).starts_with("the file at byte"));
    let long = "x".repeat(70_000);
    assert!(refused(RED.replace("DOE EXAMPLE", &long)).contains("name at byte"));
    assert!(
        refused(RED.replace("\"shoe_size\":44", &format!("\"shoe_size\":[{}1]", "1,".repeat(40_000))))
            .contains("shoe_size at byte")
    );
    assert!(
        refused(RED.replace("\"KE\",\"914\"", &vec!["\"KE\""; 1_025].join(","))).contains("nationalities at byte")
    );
    let members: String = (0..300).map(|nth| format!("\"m{nth}\":1,")).collect();
    assert!(refused(RED.replacen('{', &format!("{{{members}"), 1)).contains("members"));
    assert!(refused(RED.replace("DOE EXAMPLE", "\\ud800")).starts_with("name at byte"));
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let kept = read(&[&RED.replace("\"shoe_size\":44", &format!("\"shoe_size\":{deep}"))]);
    assert_eq!((kept.unreadable.len(), kept.len()), (0, 1), "what nobody looks into may be deep");
    // One bad notice of an array costs nobody else.
    let mixed = read(&[&format!("[{RED},{{}},{YELLOW}]")]);
    assert_eq!((mixed.len(), mixed.unreadable.len()), (2, 1));
    let contradiction = read(&[RED, &RED.replace("JOHN", "JANE")]);
    assert_eq!((contradiction.len(), contradiction.unreadable.len()), (1, 1));
    assert_eq!(read(&[RED, RED]).unreadable, [], "twice the same is once");
}

/// The samples of real answers, where somebody has them.
#[test]
fn every_published_sample_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/interpol");
    let Ok(files) = std::fs::read_dir(folder) else {
        println!("skipped: ../shared/data/interpol is not there");
        return;
    };
    let mut read = 0;
    for path in files.map(|file| file.expect("readable").path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let mut notices = Notices::default();
        notices.read(&std::fs::read(&path).expect("readable")).expect("JSON");
        if name.starts_with("error-") {
            assert_eq!((notices.len(), notices.unreadable.len()), (0, 1), "{name}");
        } else {
            assert_eq!(
                (notices.len(), notices.unreadable.len(), notices.unknown.len()),
                (1, 0, 0),
                "{name}: {:?}",
                notices.unknown
            );
            read += 1;
        }
    }
    assert!(read >= 4, "the folder is there and holds {read} notices");
}

proptest! {
    #[test]
    fn no_edit_of_a_notice_makes_the_reader_panic(
        file in prop::sample::select(vec![RED, YELLOW, UN_PERSON, UN_ENTITY, RED_PAGE]),
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        put in prop::sample::select(vec!["", "{", "}", "[", "]", "\"", ":", ",", "null", "0", "-1", "1e999", "\\u0000", "\\ud800", "\u{202e}", "\n", "\"name\":"]),
    ) {
        let mut bytes = file.as_bytes().to_vec();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + length);
        bytes.splice(at..end, put.bytes());
        let mut notices = Notices::default();
        match notices.read(&bytes) {
            Err(fault) => prop_assert!(fault.offset <= bytes.len()),
            Ok(()) => {
                prop_assert!(notices.unreadable.iter().all(|fault| fault.offset <= bytes.len()));
                let mut importer = Importer::default();
                importer.run(None, &notices.edition(true));
                prop_assert!(importer.taken.keys().all(|reference| reference.len() <= 64));
            }
        }
    }
}
