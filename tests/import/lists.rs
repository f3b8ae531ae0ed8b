//! Made-up lists of three regimes, for stories.

use liaison::import::Edition;
use liaison::import::un_list::read;

use super::motion::Importer;

/// A whole list of three regimes; each record is its key and what else is in it.
pub(super) fn list(generated: &str, records: &[(&str, &str)]) -> String {
    let (mut individuals, mut entities) = (String::new(), String::new());
    for (key, inside) in records {
        let regime = match &key[..2] {
            "UT" => "Utopia",
            "LP" => "Lilliput",
            _ => "Atlantis",
        };
        let inside =
            format!("<REFERENCE_NUMBER>{key}</REFERENCE_NUMBER><UN_LIST_TYPE>{regime}</UN_LIST_TYPE>{inside}");
        match &key.to_ascii_lowercase()[2..3] {
            "i" => individuals += &format!("<INDIVIDUAL>{inside}</INDIVIDUAL>"),
            _ => entities += &format!("<ENTITY>{inside}</ENTITY>"),
        }
    }
    format!(
        "<CONSOLIDATED_LIST dateGenerated=\"{generated}\"><INDIVIDUALS>{individuals}</INDIVIDUALS>\
         <ENTITIES>{entities}</ENTITIES></CONSOLIDATED_LIST>"
    )
}

pub(super) fn edition(generated: &str, records: &[(&str, &str)]) -> Edition {
    Edition::from(&read(list(generated, records).as_bytes()).expect("a list"))
}

pub(super) const JANUARY: &str = "2026-01-01T23:00:00Z";
pub(super) const FEBRUARY: &str = "2026-02-01T00:00:00Z";
pub(super) const MARCH: &str = "2026-03-01T00:00:00Z";

pub(super) const ALI: (&str, &str) = ("UTi.001", "<FIRST_NAME>ALI EXAMPLE</FIRST_NAME>");
pub(super) const EVE: (&str, &str) = ("LPi.001", "<FIRST_NAME>EVE SPECIMEN</FIRST_NAME>");
pub(super) const GUILD: (&str, &str) = ("ATe.001", "<FIRST_NAME>PAPER GUILD</FIRST_NAME>");

pub(super) fn importer_of(edition: &Edition) -> Importer {
    let mut importer = Importer::default();
    importer.run(None, edition);
    importer
}
