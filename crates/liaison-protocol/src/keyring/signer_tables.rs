//! The tables of those who sign often: a node sees the same few keys again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ed25519_dalek::VerifyingKey;

use super::strict::{self, Claim};
use super::{Form, PublicKey, SignatureRefusal, Signed, SignerTable, ed25519_signature};
use crate::id::KeyId;

/// Tables kept: 28 MiB, for those of a network's partners that sign about the same time. More would not be faster: what lies outside
/// the processor's cache costs nearly what a table saves.
const TABLES_MAX: usize = 256;
/// A table is computed for a key's so-many-th signature: it costs about what it saves with as many more, so that nobody loses more by
/// it than twice, however the signatures come.
const BUILT_AT: u64 = 16;
/// Only a table that has not been used for as many signatures, of all keys together, makes place for another. Where more keys sign in turn than
/// there are tables, some keep theirs, instead of all computing theirs anew each time.
const IDLE_MIN: u64 = 16_384;
/// Keys without a table whose signatures are counted; then all are forgotten, and counting begins anew.
const COUNTED_MAX: usize = 4_096;

/// Verifies signatures strictly, faster for keys that sign often. Bounded in memory, and shared between threads: nobody waits while
/// another verifies or computes a table.
#[derive(Debug, Default)]
pub struct SignerTables {
    kept: Mutex<Kept>,
}

/// How signatures have been verified so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignatureCounts {
    /// With the table of their key.
    pub with_table: u64,
    /// With nothing computed before.
    pub without_table: u64,
    /// Tables kept now.
    pub tables: usize,
}

#[derive(Debug, Default)]
struct Kept {
    tables: HashMap<KeyId, Table>,
    /// Signatures by keys that have no table.
    counted: HashMap<KeyId, u64>,
    with_table: u64,
    without_table: u64,
}

#[derive(Debug)]
struct Table {
    table: Arc<SignerTable>,
    /// How many signatures had been verified when it was last used.
    used: u64,
}

/// How the next signatures of a key are to be verified.
enum Way {
    With(Arc<SignerTable>),
    Without,
    /// With a table that has to be computed first.
    Build,
}

impl SignerTables {
    /// Verifies strictly what one key is said to have signed, each with the verdict of [`PublicKey::verify`] on its message and
    /// signature, and many together faster than each alone.
    pub fn verify(&self, key: &PublicKey, signed: &[Signed<'_>]) -> Vec<Result<(), SignatureRefusal>> {
        let Form::Ed25519(point) = &key.form else {
            return signed.iter().map(|one| key.verify(one.message, one.signature)).collect();
        };
        let table = match self.way(key.id, signed.len()) {
            Way::With(table) => Some(table),
            Way::Without => None,
            Way::Build => SignerTable::of(key).map(|table| self.keep(key.id, table)),
        };
        let (mut claims, mut verdicts) = (Vec::with_capacity(signed.len()), Vec::with_capacity(signed.len()));
        for one in signed {
            verdicts.push(claim(point, table.as_deref(), *one).map(|claim| claims.push(claim)));
        }
        let mut held = strict::hold(&claims).into_iter();
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_ok()) {
            if held.next() != Some(true) {
                *verdict = Err(SignatureRefusal::Wrong);
            }
        }
        verdicts
    }

    /// How signatures have been verified so far.
    pub fn counts(&self) -> SignatureCounts {
        let kept = self.kept();
        SignatureCounts {
            with_table: kept.with_table,
            without_table: kept.without_table,
            tables: kept.tables.len(),
        }
    }

    // Two functions of their own, so that the lock is let go of when they return and not at the end of a `match`.

    fn way(&self, key: KeyId, signatures: usize) -> Way {
        self.kept().way(key, signatures as u64)
    }

    fn keep(&self, key: KeyId, table: SignerTable) -> Arc<SignerTable> {
        self.kept().keep(key, table)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn claim<'s>(
    key: &VerifyingKey,
    table: Option<&SignerTable>,
    Signed { message, signature }: Signed<'s>,
) -> Result<Claim<'s>, SignatureRefusal> {
    let signed = Signed { message, signature: ed25519_signature(signature)? };
    let claim = match table {
        Some(table) => table.claim(signed),
        None => Claim::alone(key, signed),
    };
    claim.ok_or(SignatureRefusal::Wrong)
}

impl Kept {
    /// Signatures verified so far: the clock by which use is told.
    fn now(&self) -> u64 {
        self.with_table + self.without_table
    }

    /// Decides how a key's next signatures are verified, and counts them.
    fn way(&mut self, key: KeyId, signatures: u64) -> Way {
        let now = self.now();
        if let Some(kept) = self.tables.get_mut(&key) {
            self.with_table += signatures;
            kept.used = now;
            return Way::With(kept.table.clone());
        }
        if self.signed_often(key, signatures) && (self.tables.len() < TABLES_MAX || self.idle().is_some()) {
            self.with_table += signatures;
            return Way::Build;
        }
        self.without_table += signatures;
        Way::Without
    }

    /// Counts signatures of a key. True once they are `BUILT_AT`, and then counting begins anew.
    fn signed_often(&mut self, key: KeyId, signatures: u64) -> bool {
        if self.counted.len() >= COUNTED_MAX && !self.counted.contains_key(&key) {
            self.counted.clear();
        }
        let count = self.counted.entry(key).or_default();
        *count += signatures;
        let often = *count >= BUILT_AT;
        if often {
            self.counted.remove(&key);
        }
        often
    }

    /// Keeps a table, if there is place. Where two threads computed the same one, one is kept.
    fn keep(&mut self, key: KeyId, table: SignerTable) -> Arc<SignerTable> {
        let table = Arc::new(table);
        if self.tables.len() >= TABLES_MAX && !self.tables.contains_key(&key) {
            let Some(idle) = self.idle() else { return table };
            self.tables.remove(&idle);
        }
        let used = self.now();
        self.tables.insert(key, Table { table: table.clone(), used });
        table
    }

    /// The key of the table least recently used, if that was long ago.
    fn idle(&self) -> Option<KeyId> {
        let (key, table) = self.tables.iter().min_by_key(|(_, table)| table.used)?;
        (self.now() - table.used >= IDLE_MIN).then_some(*key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Hash;
    use crate::signer::{Ed25519Signer, Signer as _};

    fn signer(nth: u32) -> Ed25519Signer {
        Ed25519Signer::from_seed(&Hash::of(&[b"signer", &nth.to_le_bytes()]).0)
    }

    /// Signs once and has it verified so often.
    fn verify(tables: &SignerTables, signer: &Ed25519Signer, times: u64) {
        let signature = signer.sign(b"message").expect("a key in memory signs");
        for _ in 0..times {
            for (message, verdict) in [(b"message", Ok(())), (b"another", Err(SignatureRefusal::Wrong))] {
                let signed = Signed { message, signature: &*signature };
                assert_eq!(tables.verify(signer.public(), &[signed]), [verdict]);
            }
        }
    }

    #[test]
    fn a_key_gets_its_table_once_it_has_signed_often_enough() {
        let tables = SignerTables::default();
        let often = signer(0);
        verify(&tables, &often, BUILT_AT / 2 - 1);
        assert_eq!(tables.counts().tables, 0);
        verify(&tables, &often, 2);
        let before = BUILT_AT - 1;
        assert_eq!(tables.counts(), SignatureCounts { with_table: 3, without_table: before, tables: 1 });
        verify(&tables, &signer(1), 1);
        assert_eq!(tables.counts(), SignatureCounts { with_table: 3, without_table: before + 2, tables: 1 });
    }

    #[test]
    fn a_signature_of_another_length_is_malformed_with_a_table_and_without() {
        let tables = SignerTables::default();
        for _ in 0..=BUILT_AT {
            let signed = Signed { message: b"message", signature: &[0; 63][..] };
            let verdicts = tables.verify(signer(0).public(), &[signed]);
            assert!(matches!(verdicts[..], [Err(SignatureRefusal::Shape(_))]));
        }
        assert_eq!(tables.counts().tables, 1);
    }

    #[test]
    fn each_of_many_is_judged_by_itself_with_a_table_and_without() {
        let (tables, signer) = (SignerTables::default(), signer(0));
        let mut signatures: Vec<_> =
            (0..12u8).map(|nth| signer.sign(&[nth]).expect("a key in memory signs")).collect();
        signatures[1][0] ^= 1;
        signatures[2][63] |= 0x80;
        signatures[3].pop();
        signatures[11][40] ^= 4;
        let messages: Vec<_> = (0..12u8).map(|nth| [nth]).collect();
        let signed: Vec<_> = messages
            .iter()
            .zip(&signatures)
            .map(|(message, signature)| Signed { message, signature: signature.as_slice() })
            .collect();
        let alone: Vec<_> = signed.iter().map(|one| signer.public().verify(one.message, one.signature)).collect();
        assert_eq!(alone.iter().filter(|verdict| verdict.is_err()).count(), 4);
        for _ in 0..3 {
            assert_eq!(tables.verify(signer.public(), &signed), alone);
        }
        assert!(tables.verify(signer.public(), &[]).is_empty());
        assert_eq!(tables.counts(), SignatureCounts { with_table: 24, without_table: 12, tables: 1 });
    }

    #[test]
    fn threads_that_verify_at_once_get_their_verdicts_and_one_table_for_each_key() {
        let tables = SignerTables::default();
        let signers: Vec<_> = (0..3).map(signer).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| signers.iter().for_each(|signer| verify(&tables, signer, BUILT_AT)));
            }
        });
        let counts = tables.counts();
        assert_eq!(counts.tables, signers.len());
        assert_eq!(counts.with_table + counts.without_table, 2 * 4 * 3 * BUILT_AT, "each counts once");
    }

    /// Tables of one key under many names: what is kept does not look into them.
    fn full() -> Kept {
        let mut kept = Kept::default();
        let of_one = Arc::new(SignerTable::of(signer(0).public()).expect("an Ed25519 key"));
        for nth in 0..TABLES_MAX {
            kept.tables.insert(key(nth), Table { table: of_one.clone(), used: 0 });
        }
        kept
    }

    fn key(nth: usize) -> KeyId {
        KeyId(Hash::of(&[b"key", &nth.to_le_bytes()]))
    }

    #[test]
    fn more_keys_in_turn_than_tables_compute_none_anew() {
        let mut kept = full();
        for _ in 0..4 * BUILT_AT {
            for nth in 0..TABLES_MAX + 40 {
                match kept.way(key(nth), 1) {
                    Way::With(_) => assert!(nth < TABLES_MAX),
                    Way::Without => assert!(nth >= TABLES_MAX),
                    Way::Build => panic!("{nth} has its table computed, and all are in use"),
                }
            }
        }
        assert!(kept.now() > IDLE_MIN, "long enough for a table to become idle, had it not been used");
    }

    #[test]
    fn the_table_longest_unused_makes_place_once_it_is_idle() {
        let mut kept = full();
        let newcomer = key(TABLES_MAX);
        let idle = key(7);
        while kept.now() < IDLE_MIN {
            (0..TABLES_MAX).filter(|nth| *nth != 7).for_each(|nth| drop(kept.way(key(nth), 1)));
        }
        for _ in 1..BUILT_AT {
            assert!(matches!(kept.way(newcomer, 1), Way::Without));
        }
        assert!(matches!(kept.way(newcomer, 1), Way::Build));
        kept.keep(newcomer, SignerTable::of(signer(1).public()).expect("an Ed25519 key"));
        assert_eq!(kept.tables.len(), TABLES_MAX);
        assert!(kept.tables.contains_key(&newcomer) && !kept.tables.contains_key(&idle));
    }

    #[test]
    fn keys_that_are_counted_are_bounded_too() {
        let mut kept = Kept::default();
        for nth in 0..3 * COUNTED_MAX {
            assert!(matches!(kept.way(key(nth), 1), Way::Without));
            assert!(kept.counted.len() <= COUNTED_MAX);
        }
    }
}
