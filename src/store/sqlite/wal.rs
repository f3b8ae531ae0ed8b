//! The write-ahead log, judged frame by frame (SQLite's file format, section 4). SQLite itself ends its recovery at the first frame
//! that does not fit and says nothing, so that one bit gone wrong would take back every commit behind it.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Its lowest bit says in which order the words of a checksum are read.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
/// Read from the file at a time.
const READ_BYTES: usize = 256 << 10;

/// What a write-ahead log comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wal {
    /// Every commit in it is whole. Behind the last lie so many frames of one that was not finished, which SQLite cuts off.
    Whole { cut: u64 },
    /// A commit is damaged that others follow, so it was synchronised before they began: it counted once, and how it is damaged.
    Damaged(String),
}

/// Frame by frame, what there is to know.
struct Frame {
    /// Pages of the database after this commit; 0: no frame of this commit is its last yet.
    commits: u32,
    salts: [u32; 2],
    sums: [u32; 2],
    /// The checksum over all frames up to this one.
    summed: [u32; 2],
}

/// Reads the log beside a database. It changes nothing. While somebody writes, the answer means nothing.
pub(super) fn judge(path: &Path) -> io::Result<Wal> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Wal::Whole { cut: 0 }),
        Err(error) => return Err(error),
    };
    let mut bytes = BufReader::with_capacity(READ_BYTES, file);
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut bytes, &mut header)? {
        // The header is synchronised before the first frame is written, so there is none.
        return Ok(Wal::Whole { cut: 0 });
    }
    let [magic, version, page, _, salt1, salt2, sum1, sum2] = words(&header);
    let big_endian = magic & 1 == 1;
    let summed = sum([0, 0], &header[..24], big_endian);
    let is_header = magic & !1 == MAGIC && version == VERSION && summed == [sum1, sum2];
    if !is_header || !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        let mut rest = Vec::new();
        bytes.take(1 << 20).read_to_end(&mut rest)?;
        return Ok(match rest.iter().any(|byte| *byte != 0) {
            true => Wal::Damaged("its header is damaged, and frames follow it".into()),
            false => Wal::Whole { cut: 0 },
        });
    }
    let (salts, page) = ([salt1, salt2], page as usize);
    let mut page_bytes = vec![0; page];
    let mut before = summed;
    // Whole frames, and those up to the last whole commit.
    let (mut frames, mut committed) = (0_u64, 0_u64);
    // From the first frame that does not fit on: frames of this log, and whether the commit that it belongs to has ended.
    let mut behind = None::<u64>;
    let mut ended = false;
    loop {
        let mut head = [0; FRAME_HEADER_BYTES];
        if !fill(&mut bytes, &mut head)? || !fill(&mut bytes, &mut page_bytes)? {
            break;
        }
        let frame = Frame::of(&head, &page_bytes, before, big_endian);
        // Frames of the log before this one, which was written over from its start, have two other salts.
        let ours = frame.salts[0] == salts[0] || frame.salts[1] == salts[1];
        match &mut behind {
            None if frame.salts == salts && frame.sums == frame.summed => {
                before = frame.summed;
                frames += 1;
                if frame.commits != 0 {
                    committed = frames;
                }
            }
            None => {
                behind = Some(u64::from(ours));
                ended = ours && frame.commits != 0;
            }
            Some(_) if ours && ended => {
                return Ok(Wal::Damaged(format!("frame {frames} is damaged, and later commits follow it")));
            }
            Some(behind) if ours => {
                *behind += 1;
                ended = frame.commits != 0;
            }
            Some(_) => {}
        }
    }
    Ok(Wal::Whole { cut: frames - committed + behind.unwrap_or(0) })
}

impl Frame {
    fn of(head: &[u8; FRAME_HEADER_BYTES], page: &[u8], before: [u32; 2], big_endian: bool) -> Self {
        let [_, commits, salt1, salt2, sum1, sum2] = words(head);
        let summed = sum(sum(before, &head[..8], big_endian), page, big_endian);
        Self { commits, salts: [salt1, salt2], sums: [sum1, sum2], summed }
    }
}

/// Numbers are big-endian in a header, whatever the checksums read.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    }
    words
}

/// SQLite's running checksum over pairs of words.
fn sum([mut first, mut second]: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    let word = |bytes: &[u8]| {
        let bytes = bytes.try_into().expect("four bytes");
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    [first, second]
}

/// False: the file ends before.
fn fill(bytes: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match bytes.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
