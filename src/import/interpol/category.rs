//! Which of INTERPOL's notices a JSON is. It does not say so itself: its own address does, or the fields that only one kind has.

use liaison_protocol::proto::Kind;

use super::Fault;
use super::json::Object;

/// A category of the service.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Category {
    /// Wanted persons.
    Red,
    /// Missing persons.
    Yellow,
    /// Persons under UN Security Council sanctions.
    UnPersons,
    /// Entities under UN Security Council sanctions.
    UnEntities,
}

impl Category {
    const ALL: [Self; 4] = [Self::Red, Self::Yellow, Self::UnPersons, Self::UnEntities];

    /// As in the service's addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::UnPersons => "un/persons",
            Self::UnEntities => "un/entities",
        }
    }

    /// Which notice it becomes here.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Red => Kind::Red,
            Self::Yellow => Kind::Yellow,
            Self::UnPersons | Self::UnEntities => Kind::UnSpecial,
        }
    }

    /// By its own address; where there is none, by the fields that only this category has.
    pub(super) fn of(notice: &Object<'_>, address: Option<&str>) -> Result<Self, Fault> {
        let by_address = address.and_then(|address| {
            let (_, path) = address.split_once("/notices/v1/")?;
            Self::ALL.into_iter().find(|category| path.starts_with(&format!("{}/", category.word())))
        });
        let has = |names: &[&str]| names.iter().any(|name| notice.has(name));
        let by_fields = if has(&["arrest_warrants"]) {
            Some(Self::Red)
        } else if has(&["un_reference", "un_resolution"]) {
            let entity =
                has(&["main_activity", "legal_form", "administrators", "also_known_as", "registration_number"]);
            Some(if entity { Self::UnEntities } else { Self::UnPersons })
        } else if has(&["date_of_event", "countries_likely_to_be_visited", "father_name", "mother_name"]) {
            Some(Self::Yellow)
        } else {
            None
        };
        match (by_address, by_fields) {
            (Some(Self::UnPersons | Self::UnEntities), Some(Self::UnPersons | Self::UnEntities) | None) => {
                Ok(by_address.expect("it was just seen"))
            }
            (Some(address), Some(fields)) if address != fields => Err(notice.fault(&format!(
                "its address says {}, and its fields say {}",
                address.word(),
                fields.word()
            ))),
            (Some(category), _) | (None, Some(category)) => Ok(category),
            (None, None) => Err(notice.fault("neither _links/self/href nor any field says which notice this is")),
        }
    }
}
