//! What has become of a notice so far, recipient by recipient: three marks each. Most notices reach few, and then a mark is a bit.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use roaring::RoaringBitmap;

use crate::state::base::{self, BadBase};

/// Up to so many recipients, a mark is a bit at the recipient's place among them.
const FEW_MAX: u64 = 64;

/// What can be marked for a recipient. None is ever taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Its system has signed for it.
    HandedOver,
    /// It expired unsigned.
    Undelivered,
    /// It was decided, or the time to decide is over.
    Decided,
}

/// How many marks there are.
pub(super) const MARKS: usize = 3;

/// The marks of all recipients. Which form they have follows from how many recipients there are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    Few([u64; MARKS]),
    Many(Box<[RoaringBitmap; MARKS]>),
}

impl Progress {
    /// Nothing is marked yet.
    pub(super) fn new(members: &RoaringBitmap) -> Self {
        if members.len() <= FEW_MAX { Self::Few([0; MARKS]) } else { Self::Many(Box::default()) }
    }

    /// As it lies in a base: three numbers for few recipients, else three lists, each after its length.
    pub(super) fn write(&self, bytes: &mut BytesMut) {
        match self {
            Self::Few(marks) => marks.iter().for_each(|mark| bytes.put_u64(*mark)),
            Self::Many(marks) => {
                for mark in &**marks {
                    bytes.put_u64(mark.len());
                    mark.iter().for_each(|number| bytes.put_u32(number));
                }
            }
        }
    }

    /// As [`Progress::write`] wrote it.
    pub(super) fn read(members: &RoaringBitmap, bytes: &mut Bytes) -> Result<Self, BadBase> {
        let mut progress = Self::new(members);
        match &mut progress {
            Self::Few(marks) => {
                for mark in marks {
                    *mark = bytes.try_get_u64()?;
                }
            }
            Self::Many(marks) => {
                for mark in &mut **marks {
                    for _ in 0..base::u64_of(bytes)? {
                        mark.insert(base::u32_of(bytes)?);
                    }
                }
            }
        }
        Ok(progress)
    }

    /// Whether a recipient is marked.
    pub(super) fn has(&self, members: &RoaringBitmap, mark: Mark, number: u32) -> bool {
        match self {
            Self::Few(marks) => marks[mark as usize] & bit(members, number) != 0,
            Self::Many(marks) => marks[mark as usize].contains(number),
        }
    }

    /// Marks a recipient.
    pub(super) fn set(&mut self, members: &RoaringBitmap, mark: Mark, number: u32) {
        match self {
            Self::Few(marks) => marks[mark as usize] |= bit(members, number),
            Self::Many(marks) => drop(marks[mark as usize].insert(number)),
        }
    }

    /// Recipients with this mark.
    pub(super) fn count(&self, mark: Mark) -> u64 {
        match self {
            Self::Few(marks) => u64::from(marks[mark as usize].count_ones()),
            Self::Many(marks) => marks[mark as usize].len(),
        }
    }

    /// Recipients with one of two marks.
    pub(super) fn count_either(&self, one: Mark, other: Mark) -> u64 {
        match self {
            Self::Few(marks) => u64::from((marks[one as usize] | marks[other as usize]).count_ones()),
            Self::Many(marks) => marks[one as usize].union_len(&marks[other as usize]),
        }
    }
}

/// A recipient's bit: at its place among the members, in ascending order. A stranger has none.
fn bit(members: &RoaringBitmap, number: u32) -> u64 {
    let place = || u32::try_from(members.rank(number).saturating_sub(1)).ok();
    members.contains(number).then(place).flatten().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_recipients_are_marked_alike() {
        for count in [1, 4, 64, 65, 200] {
            let members: RoaringBitmap = (0..count).map(|nth| 7 + 3 * nth).collect();
            let mut progress = Progress::new(&members);
            let last = members.max().expect("not empty");
            progress.set(&members, Mark::HandedOver, 7);
            progress.set(&members, Mark::HandedOver, last);
            progress.set(&members, Mark::Decided, last);
            assert!(
                progress.has(&members, Mark::HandedOver, last) && !progress.has(&members, Mark::Undelivered, 7)
            );
            assert!(!progress.has(&members, Mark::HandedOver, 8), "a stranger is never marked");
            let both = u64::from(count > 1) + 1;
            assert_eq!(progress.count(Mark::HandedOver), both);
            assert_eq!(progress.count_either(Mark::Undelivered, Mark::Decided), 1);
            assert_eq!(progress.count_either(Mark::HandedOver, Mark::Decided), both);
        }
    }
}
