//! The UN list comes in whole: every entry, every field, whatever its spelling; and what is broken is named.

mod chain;
mod contents;
mod damage;
mod fixture;
mod guard;
mod interpol;
mod ledger;
mod lists;
mod motion;
mod motion_properties;
mod node;
mod plan;
mod properties;
mod published;
mod step;
mod walk;

use liaison::import::un_list::{Entry, UnList, read};
use liaison_protocol::proto;
use proto::content::Body;

/// Twelve made-up records and a thirteenth of another kind, with every quirk of the published lists.
const FIXTURE: &[u8] = include_bytes!("../fixtures/un-list-2026-01-01.xml");

fn fixture() -> UnList {
    read(FIXTURE).expect("the fixture is a list")
}

fn entry<'a>(list: &'a UnList, reference: &str) -> &'a Entry {
    list.entries.iter().find(|entry| entry.reference == reference).expect("the record was read")
}

fn person(entry: &Entry) -> &proto::Person {
    match &entry.content.body {
        Some(Body::Person(person)) => person,
        other => panic!("not a person: {other:?}"),
    }
}

fn entity(entry: &Entry) -> &proto::Entity {
    match &entry.content.body {
        Some(Body::Entity(entity)) => entity,
        other => panic!("not an entity: {other:?}"),
    }
}

fn listing(entry: &Entry) -> &proto::Listing {
    entry.content.listing.as_ref().expect("the content comes from a list")
}
