//! The contract of `store/mod.rs`, one story a clause, told to every implementation.

mod basing;
mod erasing;
mod noting;
pub(super) mod random;
mod reading;
pub(super) mod samples;
mod writing;

use std::sync::Arc;

use tempfile::TempDir;

use self::samples::batch;
use super::memory::MemoryStore;
use super::sqlite::{SqliteOptions, SqliteStore};
use super::{Batch, CommitError, NewEntry, Store, Writer};

/// A place where a store lies; each `open` is another handle to what lies there.
pub(super) struct House {
    open: Box<dyn Fn() -> Arc<dyn Store>>,
    _folder: Option<TempDir>,
}

impl House {
    fn memory() -> Self {
        let store = MemoryStore::new();
        Self { open: Box::new(move || Arc::new(store.clone())), _folder: None }
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        Self {
            open: Box::new(move || {
                let store = SqliteStore::open(&path, small());
                Arc::new(store.expect("a store"))
            }),
            _folder: Some(folder),
        }
    }

    fn open(&self) -> Arc<dyn Store> {
        (self.open)()
    }
}

/// Options that make a test quick.
pub(super) fn small() -> SqliteOptions {
    SqliteOptions { readers: 2, reserve_bytes: 4096, margin_bytes: 4096, ..SqliteOptions::default() }
}

pub(super) async fn writer(store: &Arc<dyn Store>) -> Box<dyn Writer> {
    store.writer().await.expect("nobody else writes")
}

/// Commits what follows the writer's head.
pub(super) async fn append(writer: &mut Box<dyn Writer>, entries: Vec<NewEntry>) -> Batch {
    let batch = batch(writer.head(), entries);
    writer.commit(&batch).await.expect("a sound batch");
    batch
}

fn is_refusal(outcome: Result<(), CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Fatal(why)) if why.contains("refused and nothing"))
}

macro_rules! contract {
    ($($part:ident { $($clause:ident)* })*) => {
        mod memory {
            use super::*;
            $($(#[tokio::test] async fn $clause() { $part::$clause(House::memory()).await; })*)*
        }
        mod sqlite {
            use super::*;
            $($(#[tokio::test] async fn $clause() { $part::$clause(House::sqlite()).await; })*)*
        }
    };
}

contract! {
    reading {
        an_empty_store_answers_every_read_with_nothing
        a_batch_is_read_back_as_it_was_given
        a_notice_near_a_place_is_the_next_one_or_the_last
        statements_about_one_come_in_pages
        entries_come_as_many_as_fit_but_at_least_one
        answers_come_in_the_order_asked
        a_set_that_is_not_there_is_damage
        a_reader_never_sees_part_of_a_commit
    }
    writing {
        a_batch_that_contradicts_the_history_or_itself_is_refused_and_changes_nothing
        a_taken_name_refuses_the_whole_batch
        a_tile_is_written_once
        a_set_already_there_is_left_as_it_is
        fault_73_a_second_writer_is_held_until_the_first_is_gone
        a_reopened_store_continues_at_its_head
        a_new_log_begins_where_the_old_one_ended
        the_reserve_is_freed_once_and_made_again_when_room_is_asked_for
    }
    basing {
        the_base_committed_last_is_the_one_that_is_read
        a_base_that_does_not_end_where_its_batch_begins_is_refused
    }
    noting {
        a_note_never_runs_ahead_of_the_head_it_covers
        the_newest_head_with_a_note_is_what_may_be_shown
        a_batch_of_notes_alone_moves_nothing
    }
    erasing {
        erased_parts_are_gone_and_the_envelope_stays
        an_erased_opening_is_gone_and_the_leaf_stays
        erasing_what_is_not_there_is_refused
    }
}
