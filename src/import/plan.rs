//! What an import would send: one content and one reference for each entry, the same whenever the same file is read.

use liaison_protocol::proto;

use super::subject;
use super::un_list::UnList;

/// One notice that an import would send.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The notice's reference: 1 to 64 of `A-Z a-z 0-9 . _ / -`, such as `UN/QDi.001/2026-05-08`.
    pub reference: String,
    /// What its content part says.
    pub content: proto::Content,
    /// One line for people.
    pub subject: String,
}

/// Plans a notice for every entry of the list, in the list's order.
///
/// A reference is made of the entry's own and of the day the list was made, so a second import of the same file names the same
/// notices, and the node answers with the first receipts instead of sending twice.
pub fn plan(list: &UnList) -> Vec<Planned> {
    let day = list.day();
    list.entries
        .iter()
        .map(|entry| Planned {
            reference: format!("UN/{}/{day}", entry.reference),
            content: entry.content.clone(),
            subject: subject(&entry.content),
        })
        .collect()
}
