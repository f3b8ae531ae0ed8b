//! SHA-256 (FIPS 180-4) of what is put together from parts. Most of what is hashed here is short: a leaf, a node, an item of a tree. Of
//! those, the library's bookkeeping costs half as much as the hash itself, where the processor has instructions for it; there one or two
//! blocks are padded and compressed at once. Everything else is the library's affair.

use std::sync::LazyLock;

use ring::digest;

/// Bytes of a block.
const BLOCK: usize = 64;
/// Blocks that are compressed at once.
const BLOCKS_MAX: usize = 2;
/// What the padding takes of the last block at least: one bit, in a byte of its own, and the length.
const PADDING_MIN: usize = 9;
/// What is short.
const SHORT_MAX: usize = BLOCKS_MAX * BLOCK - PADDING_MIN;
/// Section 5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Whether the processor has instructions for SHA-256; without them the library is faster.
static INSTRUCTIONS: LazyLock<bool> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("sha")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("sha2")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
});

/// Of the parts, one after the other.
pub(crate) fn of(parts: &[&[u8]]) -> [u8; 32] {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length <= SHORT_MAX && *INSTRUCTIONS { short(parts, length) } else { any(parts) }
}

fn any(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Of at most [`SHORT_MAX`] bytes.
fn short(parts: &[&[u8]], length: usize) -> [u8; 32] {
    let mut blocks = [[0; BLOCK]; BLOCKS_MAX];
    let room = blocks.as_flattened_mut();
    let mut at = 0;
    for part in parts {
        room[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    // Section 5.1.1.
    room[length] = 0x80;
    let count = (length + PADDING_MIN).div_ceil(BLOCK);
    room[count * BLOCK - 8..count * BLOCK].copy_from_slice(&(8 * length as u64).to_be_bytes());
    let mut state = INITIAL;
    sha2::block_api::compress256(&mut state, &blocks[..count]);
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_has_the_hash_that_the_library_gives_it_at_every_length() {
        let bytes: Vec<u8> = (0..=SHORT_MAX as u8).map(|n| n.wrapping_mul(151) ^ 0x5a).collect();
        for length in 0..=SHORT_MAX {
            let all = &bytes[..length];
            for cut in [0, length / 3, length / 2, length] {
                let (left, right) = all.split_at(cut);
                let parts: &[&[u8]] = &[left, &[], right];
                assert_eq!(short(parts, length), any(parts), "{length} bytes, cut at {cut}");
                assert_eq!(of(parts), any(parts));
            }
        }
    }

    #[test]
    fn the_standards_examples_come_out() {
        let rows: [(&[&[u8]], &str); 3] = [
            (&[], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (&[b"a", b"bc"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                &[b"abcdbcdecdefdefgefghfghighij", b"hijkijkljklmklmnlmnomnopnopq"],
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ];
        for (parts, expected) in rows {
            assert_eq!(crate::id::to_hex(&of(parts)), expected);
        }
    }
}
