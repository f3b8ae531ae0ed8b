//! Names beside their notices and in their table: whoever asks sees no difference.

use std::sync::Arc;

use liaison_protocol::id::{PartnerNumber, Seq};
use rusqlite::Connection;

use super::Disk;
use crate::store::contract::samples::{accepting_as, batch, notice_id};
use crate::store::contract::{append, writer};
use crate::store::sqlite::names::ASIDE_MAX;
use crate::store::{CommitError, Known, Name, Store, Writer};

/// Three originators: one counts up, one down, and one gives its names in no order.
fn given(seq: u64) -> Name {
    let reference = match seq % 3 {
        0 => format!("UP/{seq:06}"),
        1 => format!("DOWN/{:06}", 999_999 - seq),
        _ => format!("ANY/{:06}", seq.wrapping_mul(7_919) % 1_000_003),
    };
    (PartnerNumber((seq % 3) as u32), reference.parse().expect("a reference"))
}

async fn accept(writer: &mut Box<dyn Writer>, count: u64) {
    let first = writer.head().map_or(0, |head| head.next.0);
    append(writer, (first..first + count).map(|seq| accepting_as(seq, given(seq))).collect()).await;
}

/// Everyone knows all names before `next`, and none after them; and no name is given twice.
async fn all_are_known(store: &Arc<dyn Store>, writer: &mut Box<dyn Writer>, next: u64) {
    let names: Vec<_> = (0..next + 3).map(given).collect();
    let expected: Vec<_> =
        (0..next + 3).map(|seq| (seq < next).then(|| Known { seq: Seq(seq), notice: notice_id(seq) })).collect();
    // One at a time is slow where it stands beside its notice: some, the first and the last.
    for nth in (0..names.len()).step_by(97).chain(names.len() - 4..names.len()) {
        assert_eq!(store.named(&names[nth..=nth]).await.expect("reads"), expected[nth..=nth], "{next}: {nth}");
    }
    assert_eq!(writer.named(&names).await.expect("reads"), expected, "{next}");
    for taken in [0, next / 2, next - 1] {
        let again = batch(writer.head(), vec![accepting_as(next, given(taken))]);
        let refused = writer.commit(&again).await;
        assert!(matches!(refused, Err(CommitError::Fatal(why)) if why.contains("is taken")), "{next}: {taken}");
    }
}

/// How many names are in the table.
fn in_table(disk: &Disk) -> u64 {
    let connection = Connection::open(disk.path()).expect("a database");
    connection
        .query_row("SELECT count(*) FROM names", [], |row| row.get::<_, i64>(0))
        .expect("counted")
        .cast_unsigned()
}

#[tokio::test]
async fn a_name_is_known_beside_its_notice_and_in_the_table_before_a_restart_and_after_it() {
    let (disk, mut next) = (Disk::new(), 0);
    let step = ASIDE_MAX as u64 / 2 - 1;
    // Aside, still aside, into the table, and again; the last more at once than may stand aside.
    for (count, tabled) in [
        (step, 0),
        (step, 0),
        (2, 2 * step + 2),
        (step, 2 * step + 2),
        (2 * step, 5 * step + 2),
        (1, 5 * step + 2),
        (4 * step, 9 * step + 3),
    ] {
        let store = disk.open();
        let mut writer = writer(&store).await;
        if next > 0 {
            all_are_known(&store, &mut writer, next).await;
        }
        accept(&mut writer, count).await;
        next += count;
        assert_eq!(in_table(&disk), tabled, "of {next}");
        all_are_known(&store, &mut writer, next).await;
        all_are_known(&disk.open(), &mut writer, next).await;
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_leaves_its_names_free() {
    let disk = Disk::new();
    let store = disk.open();
    let mut writer = writer(&store).await;
    accept(&mut writer, ASIDE_MAX as u64 - 1).await;
    let next = ASIDE_MAX as u64 - 1;
    // It would have brought all names into the table.
    let entries = vec![accepting_as(next, given(next)), accepting_as(next + 1, given(0))];
    assert!(writer.commit(&batch(writer.head(), entries)).await.is_err());
    assert_eq!(in_table(&disk), 0);
    all_are_known(&store, &mut writer, next).await;
    accept(&mut writer, 1).await;
    assert_eq!(in_table(&disk), ASIDE_MAX as u64);
    all_are_known(&store, &mut writer, next + 1).await;
}
