//! C2SP tlog-tiles: full tiles of 256 hashes, and full bundles of 256 entries.

/// Hashes or entries of a full tile, and the height it spans as a power of two.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// Levels of the tree in one tile.
pub const TILE_HEIGHT: u32 = 8;

/// One immutable, full tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileId {
    /// 256 hashes of the tree at height `8 × level`, 32 bytes each.
    Hashes {
        /// 0 for leaf hashes.
        level: u8,
        /// Place among the tiles of its level, from 0.
        index: u64,
    },
    /// 256 entries, each with its length before it as two bytes, big-endian.
    Entries {
        /// Place among the bundles, from 0.
        index: u64,
    },
}
