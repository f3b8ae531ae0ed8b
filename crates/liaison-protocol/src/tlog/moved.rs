//! What each item of an acknowledgement moved, as its statement packs it: two bits an item, readable by whoever holds the item.

use bytes::Bytes;

use crate::id::Hash;

/// Items in one byte.
const ITEMS_A_BYTE: usize = 4;
/// The bits of one item.
const BITS: u8 = 0b11;

/// What one item moved. An item that moved nothing came too late, or said again what had been said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// It handed the notice over.
    pub delivery: bool,
    /// It decided.
    pub decision: bool,
}

impl Moved {
    /// It moved nothing.
    pub const NOTHING: Self = Self { delivery: false, decision: false };

    /// Whether it settled anything.
    pub fn any(self) -> bool {
        self.delivery || self.decision
    }

    fn bits(self) -> u8 {
        u8::from(self.delivery) | u8::from(self.decision) << 1
    }

    fn from_bits(bits: u8) -> Self {
        Self { delivery: bits & 1 != 0, decision: bits & 2 != 0 }
    }
}

/// An item's leaf data is salted and known to nobody else: paths show its hash alone. Its lowest bits hide what the item moved.
fn mask(leaf_data: &Hash) -> u8 {
    leaf_data.0[31] & BITS
}

/// Packs what items moved, each with its leaf data, in the items' order.
pub fn pack(items: impl ExactSizeIterator<Item = (Moved, Hash)>) -> Bytes {
    let mut packed = vec![0; items.len().div_ceil(ITEMS_A_BYTE)];
    for (nth, (moved, leaf_data)) in items.enumerate() {
        packed[nth / ITEMS_A_BYTE] |= (moved.bits() ^ mask(&leaf_data)) << (2 * (nth % ITEMS_A_BYTE));
    }
    packed.into()
}

/// What the item at a place moved. None: there is no such place.
pub fn unpack(packed: &[u8], index: u64, leaf_data: &Hash) -> Option<Moved> {
    let nth = usize::try_from(index).ok()?;
    let byte = packed.get(nth / ITEMS_A_BYTE)?;
    Some(Moved::from_bits((byte >> (2 * (nth % ITEMS_A_BYTE)) & BITS) ^ mask(leaf_data)))
}

/// Whether these are two bits for each of `count` items, and 0 behind the last.
pub fn fits(packed: &[u8], count: u32) -> bool {
    let count = count as usize;
    let in_last = count % ITEMS_A_BYTE;
    let rest = packed.last().map_or(0, |last| if in_last == 0 { 0 } else { last >> (2 * in_last) });
    packed.len() == count.div_ceil(ITEMS_A_BYTE) && rest == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_read_again_and_takes_two_bits_an_item() {
        let all = [(false, false), (true, false), (true, true), (false, true)];
        for count in 0..10_usize {
            let items: Vec<_> = (0..count)
                .map(|nth| {
                    let (delivery, decision) = all[nth % all.len()];
                    (Moved { delivery, decision }, Hash::of(&[&[nth as u8]]))
                })
                .collect();
            let packed = pack(items.iter().copied());
            assert!(fits(&packed, count as u32) && !fits(&packed, count as u32 + 4));
            for (nth, (moved, leaf_data)) in items.iter().enumerate() {
                assert_eq!(unpack(&packed, nth as u64, leaf_data), Some(*moved));
            }
            assert_eq!(unpack(&packed, count.next_multiple_of(4) as u64, &Hash([0; 32])), None);
        }
    }

    #[test]
    fn bits_behind_the_last_item_are_zero() {
        let rows: [(&[u8], u32, bool); 6] = [
            (&[0x3f], 3, true),
            (&[0x40], 3, false),
            (&[0xff], 4, true),
            (&[0xff, 1], 4, false),
            (&[], 1, false),
            (&[0xff, 4], 5, false),
        ];
        for (packed, count, expected) in rows {
            assert_eq!(fits(packed, count), expected, "{packed:?} of {count}");
        }
    }
}
