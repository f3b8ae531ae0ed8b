//! Which of INTERPOL's notices a JSON is. It does not say so itself: its own address does, or the fields that only one kind has. What
//! it says and nobody knows is not taken for silence: a notice of a colour that is not read here is refused, whatever its fields.

use liaison_protocol::proto::Kind;

use super::Fault;
use crate::import::json::{Json, Object};
use crate::import::un_list::text::quote;

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

/// An address of the service: `https://HOST/notices/v1/CATEGORY/YEAR-NUMBER`, with more behind it where it leads to pictures.
#[derive(Debug)]
pub(super) struct Address {
    category: Category,
    /// `2019-114539`.
    number: String,
    /// Something stands behind the number.
    is_below: bool,
}

/// What addresses of the service have between their host and their category, but for the version.
const NOTICES: &str = "/notices/v";
/// Fields in which copies of the service's answers name the category.
const CATEGORY_FIELDS: [&str; 5] = ["category", "color", "colour", "notice_type", "type"];

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

    /// By the notice's own address; where there is none, by the fields that only this category has. Every address of the service in
    /// the notice, and every field that names a category, has to agree.
    ///
    /// `number` is the notice's own, with a hyphen.
    pub(super) fn of(notice: &Object<'_>, links: Option<&Json<'_>>, number: &str) -> Result<Self, Fault> {
        let links = links.map(|links| addresses(links, number)).transpose()?.unwrap_or_default();
        // Without its own address, that of its pictures tells as much.
        let own = links.iter().find(|link| link.is_own).or(links.first());
        let category = Self::by(notice, own.map(|link| link.category))?;
        if let Some(link) = links.iter().find(|link| link.category != category) {
            let said = (link.category.word(), category.word());
            return Err(link.href.fault(format!("it says {}, and the rest of the notice says {}", said.0, said.1)));
        }
        for json in notice.leftovers() {
            agrees(json, category, number)?;
        }
        Ok(category)
    }

    /// The categories that a page of a list may hold, by the page's own address; all, where that is not of the service.
    pub(super) fn of_page(page: &Object<'_>) -> Result<Vec<Self>, Fault> {
        let own = page.get("_links").map(Json::object).transpose()?.and_then(|links| links.get("self").cloned());
        let own = own.map(|own| own.object()).transpose()?;
        let Some(href) = own.as_ref().and_then(|own| own.get("href")).filter(|href| !href.says_nothing()) else {
            return Ok(Self::ALL.into());
        };
        let text = href.text()?;
        let Some((_, path)) = text.split_once(NOTICES).filter(|_| holds_an_address(&text)) else {
            return Ok(Self::ALL.into());
        };
        let (_, path) = path.split_once('/').unwrap_or_default();
        let word = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let all = Self::ALL.into_iter();
        let listed: Vec<_> =
            all.filter(|category| category.word() == word || word == "un" && category.is_of_the_un()).collect();
        if listed.is_empty() {
            return Err(
                href.fault(format!("it is no address of a list of red, yellow or un notices: {}", quote(&text)))
            );
        }
        Ok(listed)
    }

    fn is_of_the_un(self) -> bool {
        matches!(self, Self::UnPersons | Self::UnEntities)
    }

    fn by(notice: &Object<'_>, address: Option<Self>) -> Result<Self, Fault> {
        let has = |names: &[&str]| names.iter().any(|name| notice.says(name));
        let entity =
            has(&["main_activity", "legal_form", "administrators", "also_known_as", "registration_number"]);
        let fields = [
            (Self::Red, has(&["arrest_warrants"])),
            (Self::UnEntities, has(&["un_reference", "un_resolution"]) && entity),
            (Self::UnPersons, has(&["un_reference", "un_resolution"]) && !entity),
            (Self::Yellow, has(&["date_of_event", "countries_likely_to_be_visited"])),
        ];
        let mut found = fields.into_iter().filter(|(_, found)| *found).map(|(category, _)| category);
        // Persons on the UN's list have parents, too.
        let parents = || has(&["father_name", "mother_name"]).then_some(Self::Yellow);
        let by_fields = found.next().or_else(parents);
        if let (Some(one), Some(other)) = (by_fields, found.next()) {
            let text = format!("its fields say {} and {}, and it can only be one", one.word(), other.word());
            return Err(notice.fault(&text));
        }
        match (address, by_fields) {
            // Whether it is a person or an entity, the fields only suggest.
            (Some(address), Some(fields)) if address.is_of_the_un() && fields.is_of_the_un() => Ok(address),
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

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.split_once(NOTICES)?;
        let host = host.strip_prefix("https://").or_else(|| host.strip_prefix("http://")).unwrap_or(host);
        let (version, path) = path.split_once('/')?;
        let category =
            Category::ALL.into_iter().find(|category| path.starts_with(&format!("{}/", category.word())))?;
        let path = &path[category.word().len() + 1..];
        let (number, below) = path.split_once('/').unwrap_or((path, ""));
        let (year, count) = number.split_once('-')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = !host.contains(['/', '?', '#', '\\']) && !below.contains("..");
        (plain && digits(version) && digits(year) && digits(count)).then(|| Self {
            category,
            number: number.to_owned(),
            is_below: !below.is_empty(),
        })
    }
}

/// An address in `_links` of a notice.
struct Link<'a> {
    href: Json<'a>,
    category: Category,
    /// It is the notice's own, `_links/self/href`.
    is_own: bool,
}

/// The addresses in `_links`, each of them of this notice.
fn addresses<'a>(links: &Json<'a>, number: &str) -> Result<Vec<Link<'a>>, Fault> {
    let mut all = Vec::new();
    for (name, link) in links.object()?.into_members().filter(|(_, link)| !link.says_nothing()) {
        let Some(href) = link.object()?.take("href") else { continue };
        let (text, is_own) = (href.text()?, name == "self");
        let Some(address) = Address::parse(&text) else {
            let problem = "it is no address of a red, yellow, un/persons or un/entities notice";
            return Err(href.fault(format!("{problem}: {}", quote(&text))));
        };
        if address.number != number {
            return Err(href.fault(format!("it is of the notice {}, and entity_id says {number}", address.number)));
        }
        if is_own && address.is_below {
            return Err(href.fault("it leads to something below the notice, and not to the notice itself"));
        }
        all.push(Link { href, category: address.category, is_own });
    }
    Ok(all)
}

/// Whether a text holds an address of the service, well formed or not.
fn holds_an_address(text: &str) -> bool {
    text.match_indices(NOTICES)
        .any(|(at, _)| text[at + NOTICES.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// A field that has no place in a content may still tell which notice this is.
fn agrees(json: &Json<'_>, category: Category, number: &str) -> Result<(), Fault> {
    let Ok(text) = json.text() else { return Ok(()) };
    if CATEGORY_FIELDS.contains(&json.path()) {
        let word = text.trim().to_ascii_lowercase();
        if word != category.word() && !(word == "un" && category.is_of_the_un()) {
            return Err(json.fault(format!("expected {}, as the rest of the notice says", category.word())));
        }
    }
    if super::knows(json.path()) || !holds_an_address(&text) {
        return Ok(());
    }
    match Address::parse(&text) {
        Some(address) if address.category == category && address.number == number => Ok(()),
        _ => Err(json.fault(format!("it is no address of the {} notice {number}", category.word()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_category_that_is_known_or_it_is_none() {
        for (text, expected) in [
            ("https://ws-public.interpol.int/notices/v1/red/2099-1", Some((Category::Red, "2099-1", false))),
            ("/notices/v1/yellow/2099-12", Some((Category::Yellow, "2099-12", false))),
            ("https://x.example/notices/v2/un/persons/2099-1", Some((Category::UnPersons, "2099-1", false))),
            (
                "https://x.example/notices/v1/un/entities/2099-1/images",
                Some((Category::UnEntities, "2099-1", true)),
            ),
            ("https://x.example/notices/v1/red/2099-1/images/7", Some((Category::Red, "2099-1", true))),
            ("https://x.example/notices/v1/silver/2099-1", None),
            ("https://x.example/notices/v1/un/2099-1", None),
            ("https://x.example/notices/v1/un/ships/2099-1", None),
            ("https://x.example/notices/v1/redder/2099-1", None),
            ("https://x.example/notices/v1/RED/2099-1", None),
            ("https://x.example/notices/v1/red", None),
            ("https://x.example/notices/v1/red/", None),
            ("https://x.example/notices/v1/red/2099-1?as=blue", None),
            ("https://x.example/notices/v1/red/2099-1/../../blue/2099-1", None),
            ("https://x.example/notices/v1/%72ed/2099-1", None),
            ("https://x.example/blue/?of=/notices/v1/red/2099-1", None),
            ("https://x.example/notices/v1/blue/2099-1#/notices/v1/red/2099-1", None),
            ("https://x.example/notices/vx/red/2099-1", None),
            ("...", None),
        ] {
            let found = Address::parse(text);
            let found = found.as_ref().map(|found| (found.category, found.number.as_str(), found.is_below));
            assert_eq!(found, expected, "{text}");
        }
    }
}
