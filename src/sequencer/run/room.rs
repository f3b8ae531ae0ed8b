//! A full disk: submissions are refused until the writer finds room for its reserve and a margin, and what recipients sign goes on
//! from the reserve.

use std::time::Duration;

use super::super::outside::Known;
use super::{Answer, Became, Run, Stopped};
use crate::state::Proposal;
use crate::store::Room;

/// Room returns by somebody's hand, who waits this long at most until it is noticed.
const FULL_ASKED_EVERY: Duration = Duration::from_secs(5);
/// A reserve that somebody has deleted is made again after this long at most.
const RESERVE_ASKED_EVERY: Duration = Duration::from_secs(60);

impl Run {
    /// Asks for room, if it is time. Room for the reserve alone ends nothing: a disk at its edge would be full, and not, and full.
    pub(super) async fn ask_for_room_if_due(&mut self) {
        let now = self.parts.clock.monotonic();
        let pause = if self.full { FULL_ASKED_EVERY } else { RESERVE_ASKED_EVERY };
        if self.away.is_some() || self.asked_for_room.is_some_and(|asked| now.saturating_sub(asked) < pause) {
            return;
        }
        let first = self.asked_for_room.replace(now).is_none();
        let room = self.writer.room().await;
        // A start does not know why the node before it ended: what was refused then is refused now.
        let full = match room {
            Room::Enough => false,
            Room::ReserveOnly => self.full || first,
            Room::NoReserve => true,
        };
        self.set_full(full, full && room == Room::NoReserve);
    }

    /// Readiness says `store_full` for as long as `full` is set, and submissions are refused for exactly as long.
    fn set_full(&mut self, full: bool, no_reserve: bool) {
        let before = std::mem::replace(&mut self.full, full);
        let counts = &self.parts.counts;
        let had_none = counts.no_reserve.is_set();
        match (before, full) {
            (true, false) => tracing::warn!(target: "audit", event = "disk_room"),
            (false, true) => tracing::error!(target: "audit", event = "disk_full", reserve = !no_reserve),
            _ if no_reserve && !had_none => {
                tracing::error!(target: "audit", event = "disk_full", reserve = false);
            }
            _ => {}
        }
        counts.store_full.set(full);
        counts.no_reserve.set(no_reserve);
    }

    /// Nothing of a batch was written for want of room. Its submissions are given up; asking for room begins with a full pause.
    pub(super) fn found_no_room(&mut self) {
        if !self.full {
            self.asked_for_room = Some(self.parts.clock.monotonic());
        }
        self.set_full(true, self.parts.counts.no_reserve.is_set());
    }

    /// Gives up new submissions and states the rest, from the reserve where it fits nowhere else. A submission whose name was given
    /// before writes nothing, and is answered as ever.
    pub(super) async fn without_submissions(
        &mut self,
        proposals: &[Proposal],
        known: &Known,
    ) -> Result<Vec<Answer>, Stopped> {
        let is_new = |proposal: &Proposal| match proposal {
            Proposal::Submit(permit) => {
                let reference = permit.manifest().manifest().reference.clone();
                !known.contains_key(&(permit.originator(), reference))
            }
            _ => false,
        };
        let small: Vec<_> = proposals.iter().filter(|proposal| !is_new(proposal)).cloned().collect();
        let mut answers = self.stated_from_reserve(&small, known).await?.into_iter();
        let each = |proposal| match is_new(proposal) {
            true => Answer::NoRoom,
            false => answers.next().expect("one for each of the rest"),
        };
        Ok(proposals.iter().map(each).collect())
    }

    /// What is due expires with it, unless there is no room for that.
    async fn stated_from_reserve(&mut self, small: &[Proposal], known: &Known) -> Result<Vec<Answer>, Stopped> {
        let mut expire = !self.clocks.alarm_if_apart();
        loop {
            match self.stated(small, known, expire).await? {
                Ok(answers) => return Ok(answers),
                Err(Became::NoRoom) if self.writer.free_reserve().await => self.set_full(true, true),
                Err(Became::NoRoom) if expire && !small.is_empty() => expire = false,
                Err(became) => {
                    if became == Became::NoRoom {
                        self.set_full(true, true);
                    }
                    return Ok(vec![became.answer(); small.len()]);
                }
            }
        }
    }
}
