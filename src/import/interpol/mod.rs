//! INTERPOL's published notices in the JSON of its public service: red and yellow notices, those for the UN Security Council, and
//! pages of lists, which only summarise. One that cannot be read is named and the rest goes on; nothing is dropped in silence.

mod category;
mod codes;
mod fields;
mod map;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::edition::{Absence, Edition, Source, Subject};
pub use super::json::{Fault, ITEMS_MAX, TEXT_BYTES_MAX};
use super::json::{Json, Object};
pub use category::Category;

// How much of a file is read. The largest page of the service holds 160 notices.

/// A whole file.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// Notices of all files together.
pub const NOTICES_MAX: usize = 100_000;
/// One notice as JSON, so that its content stays well below a notice's 1 MiB. The largest seen has 3 kB.
pub const NOTICE_BYTES_MAX: usize = 256 << 10;

/// What files hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notices {
    /// By key, such as `red/2019-114539`; a whole notice before a summary of it.
    notices: BTreeMap<String, Notice>,
    /// What could not be read, in the order of the files.
    pub unreadable: Vec<Fault>,
    /// Fields that nobody knows yet, with how often each stands there. They are kept in the contents.
    pub unknown: BTreeMap<String, usize>,
    /// For each category that pages were given of: what the pages say there is in all, and how many notices they hold.
    pub pages: BTreeMap<Category, Page>,
}

/// One notice.
#[derive(Clone, Debug, PartialEq)]
struct Notice {
    subject: Subject,
    category: Category,
}

/// Pages of one category's list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What the service says there is.
    pub total: u64,
    /// What the pages hold.
    pub held: u64,
}

impl Page {
    /// The service cuts its answers off at 160 notices and more, and says so only in its total.
    pub fn is_incomplete(&self) -> bool {
        self.held < self.total
    }
}

impl Notices {
    /// Reads one more file: a notice, an array of notices, or a page of a list.
    ///
    /// Err: the file is no JSON, or no such file; nothing of it is taken.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let file = Json::parse(bytes, FILE_BYTES_MAX)?;
        if file.is_array() {
            let items = file.items(NOTICES_MAX)?;
            if items.is_empty() {
                return Err(file.fault("there is no notice in it"));
            }
            for item in items {
                self.take(&item, None);
            }
            return Ok(());
        }
        let mut object = file.object()?;
        match object.take("_embedded") {
            // Whole notices have an empty `_embedded/links`.
            Some(embedded) if object.has("total") => self.take_page(embedded.object()?, object),
            _ => {
                self.take(&file, None);
                Ok(())
            }
        }
    }

    /// How many of the notices are summaries.
    pub fn summaries(&self) -> usize {
        self.notices.values().filter(|notice| notice.subject.is_summary()).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.notices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// What can be sent of it. A notice that is not in it may still be published.
    pub fn edition(&self, summaries: bool) -> Edition {
        let subjects = self.notices.values().map(|notice| notice.subject.clone());
        Edition {
            source: Source::Interpol,
            generated: None,
            subjects: subjects.filter(|subject| summaries || !subject.is_summary()).collect(),
            absence: Absence::Nothing,
        }
    }

    fn take_page(&mut self, mut embedded: Object<'_>, mut page: Object<'_>) -> Result<(), Fault> {
        let notices = embedded.take_any("notices").ok_or_else(|| page.fault("_embedded/notices is not there"))?;
        let total = page.take("total").ok_or_else(|| page.fault("total is not there"))?;
        let total = total.count()?;
        let listed = Category::of_page(&page)?;
        page.leftovers().chain(embedded.leftovers()).try_for_each(Json::has_no_member_twice)?;
        let mut held = BTreeMap::<Category, u64>::new();
        for item in notices.items(NOTICES_MAX)? {
            if let Some(category) = self.take(&item, Some(&listed)) {
                *held.entry(category).or_default() += 1;
            }
        }
        for (category, held) in held {
            let page = self.pages.entry(category).or_default();
            page.total = page.total.max(total);
            page.held += held;
        }
        Ok(())
    }

    /// Reads one notice, and keeps what is wrong with it if it cannot be read. `page`: it is a summary in a page that may list
    /// these.
    fn take(&mut self, json: &Json<'_>, page: Option<&[Category]>) -> Option<Category> {
        let read = map::notice(json, page.is_some()).and_then(|read| {
            let category = read.category;
            if page.is_some_and(|listed| !listed.contains(&category)) {
                return Err(
                    json.fault(format!("it is {}, and the page's address is of another list", category.word()))
                );
            }
            let unknown = read.unknown.clone();
            self.keep(json, read.subject, category)?;
            unknown.into_iter().for_each(|path| *self.unknown.entry(path).or_default() += 1);
            Ok(category)
        });
        match read {
            Ok(category) => Some(category),
            Err(fault) => {
                self.unreadable.push(fault);
                None
            }
        }
    }

    /// A whole notice says more than a summary of it; two that differ otherwise are one too many.
    fn keep(&mut self, json: &Json<'_>, subject: Subject, category: Category) -> Result<(), Fault> {
        if self.notices.len() == NOTICES_MAX {
            return Err(json.fault(format!("more than {NOTICES_MAX} notices")));
        }
        match self.notices.entry(subject.key.clone()) {
            Entry::Vacant(free) => {
                free.insert(Notice { subject, category });
            }
            Entry::Occupied(mut first) => {
                let kept = &first.get().subject;
                if kept.is_summary() && !subject.is_summary() {
                    first.insert(Notice { subject, category });
                } else if kept.is_summary() == subject.is_summary() && *kept != subject {
                    return Err(json.fault(format!("{} was given before and says something else", subject.key)));
                }
            }
        }
        Ok(())
    }
}

/// Whether the path of an unknown field ends in a field that is known, with a value that is not.
pub(super) fn knows(path: &str) -> bool {
    map::FIELDS.contains(&path.rsplit('/').next().unwrap_or_default())
}
