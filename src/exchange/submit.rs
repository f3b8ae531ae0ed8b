//! submit → verify → authorise → propose: from bytes to a receipt.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use liaison_protocol::envelope::{Expect, MANIFEST_TYPE};
use liaison_protocol::keyring::Usage;
use liaison_protocol::manifest::{SignedManifest, VerifiedManifest};
use liaison_protocol::part::Parts;
use liaison_protocol::proto;
use liaison_protocol::reason::{Reason, Refusal};

use super::history::Shown;
use super::{Caller, Exchange, RETRY_AFTER_MS, away, busy, full, unknown};
use crate::policy::{Permit, authorise};
use crate::sequencer::{Answer, Pooled, Published, pool};
use crate::state::Proposal;

/// A notice submitted alone gets, in its receipt, the items of the recipients it named one by one, up to this many: more would make
/// the receipt larger than the notice. `GetNotice` shows them all.
const NAMED_SHOWN_MAX: usize = 16;
/// How often a notice is judged again because the directory changed under it.
const JUDGED_AGAIN_MAX: usize = 4;

/// One notice as it came.
#[derive(Clone, Debug)]
pub struct Submission {
    /// A serialized envelope over a manifest.
    pub envelope: Bytes,
    /// Its parts, in the manifest's order.
    pub parts: Vec<proto::Part>,
}

/// What became of one of a chunk.
#[derive(Debug)]
pub enum Taken {
    /// Taken: its receipt is the nth of the chunk's. `duplicate`: it had been taken before.
    Receipt {
        /// Place among the chunk's receipts.
        nth: usize,
        /// True: taken before.
        duplicate: bool,
    },
    /// Refused; nothing of it is kept.
    Refused(Refusal),
}

/// How one notice stands while its chunk is under way.
#[derive(Debug)]
enum Standing {
    Waiting,
    Shown(Shown, bool),
    Refused(Refusal),
}

/// A notice that was judged with others and is answered by itself: how it stands, and a head that covers it.
#[derive(Debug)]
pub struct Judged(Arc<Published>, Standing);

impl Exchange {
    /// Takes what arrived together, each accepted or refused by itself, and answers with their receipts under one checkpoint.
    pub async fn submit(&self, caller: &Caller, chunk: Vec<Submission>) -> (Vec<Taken>, proto::Receipts) {
        let (published, standings) = self.judged(caller, &chunk, chunk.len() == 1).await;
        self.answer(&published, standings).await
    }

    /// Judges what arrived together and is answered one by one, each with [`Exchange::answer_one`].
    pub async fn judge(&self, caller: &Caller, chunk: &[Submission]) -> Vec<Judged> {
        let (published, standings) = self.judged(caller, chunk, true).await;
        standings.into_iter().map(|standing| Judged(published.clone(), standing)).collect()
    }

    /// Answers one notice with its receipt, which shows the items of the recipients that it names one by one.
    pub async fn answer_one(&self, judged: Judged) -> (Taken, proto::Receipts) {
        let Judged(published, standing) = judged;
        let (taken, receipts) = self.answer(&published, vec![standing]).await;
        let unanswered = || Taken::Refused(Refusal::new(Reason::Defect, "no answer"));
        (taken.into_iter().next().unwrap_or_else(unanswered), receipts)
    }

    /// How each of a chunk stands, and a head that covers them all. `alone`: each is answered by itself, and shown its items.
    async fn judged(&self, caller: &Caller, chunk: &[Submission], alone: bool) -> (Arc<Published>, Vec<Standing>) {
        let mut standings: Vec<_> = chunk.iter().map(|_| Standing::Waiting).collect();
        let mut published = self.published();
        for _ in 0..JUDGED_AGAIN_MAX {
            let caller = match self.readmit(caller) {
                Ok(caller) => caller,
                Err(refusal) => {
                    refuse_waiting(&mut standings, &refusal);
                    break;
                }
            };
            let stale = self.round(&caller, chunk, alone, &mut standings, &mut published).await;
            // The directory changed between judging and deciding: judge again under the one that is in force now.
            if !stale || !self.adopted_after(caller.directory.version()).await {
                break;
            }
        }
        (published, standings)
    }

    fn count(&self, taken: &[Taken]) {
        let counts = &self.counts.submitted;
        let (mut fresh, mut duplicates) = (0, 0);
        for taken in taken {
            match taken {
                Taken::Receipt { duplicate: false, .. } => fresh += 1,
                Taken::Receipt { duplicate: true, .. } => duplicates += 1,
                Taken::Refused(refusal) => counts.refuse(refusal.reason),
            }
        }
        counts.taken.add(fresh);
        counts.duplicate.add(duplicates);
    }

    /// One round over everything that still waits. True: something has to be judged again.
    async fn round(
        &self,
        caller: &Caller,
        chunk: &[Submission],
        alone: bool,
        standings: &mut [Standing],
        published: &mut Arc<Published>,
    ) -> bool {
        let (mut places, mut proposals) = (VecDeque::new(), Vec::new());
        let waiting: Vec<_> =
            chunk.iter().enumerate().filter(|(nth, _)| matches!(standings[*nth], Standing::Waiting)).collect();
        let manifests = self.verified_manifests(caller, waiting.iter().map(|(_, submission)| *submission));
        for ((nth, submission), manifest) in waiting.into_iter().zip(manifests) {
            match manifest.and_then(|manifest| self.permit(caller, manifest, submission)) {
                Ok(permit) => {
                    let named = if alone { named_items(&permit, caller) } else { Vec::new() };
                    places.push_back((nth, named));
                    proposals.push(Proposal::Submit(Arc::new(permit)));
                }
                Err(refusal) => standings[nth] = self.taken_before(caller, submission, refusal).await,
            }
        }
        if proposals.is_empty() {
            return false;
        }
        let answers = match self.sequencer.append(proposals).await {
            Ok(answers) => answers,
            Err(full) => {
                places.into_iter().for_each(|(nth, _)| standings[nth] = Standing::Refused(busy(full)));
                return false;
            }
        };
        let mut stale = false;
        for ((nth, items), answer) in places.into_iter().zip(answers) {
            standings[nth] = match answer {
                Answer::Stated(stated) => {
                    *published = stated.published;
                    Standing::Shown(Shown { seq: stated.seq, opening: stated.opening, items }, false)
                }
                Answer::Already(seq) => match self.shown(seq).await {
                    Ok(shown) => Standing::Shown(shown, true),
                    Err(refusal) => Standing::Refused(refusal),
                },
                Answer::Refused(refusal) => Standing::Refused(refusal),
                Answer::Stale => {
                    stale = true;
                    continue;
                }
                Answer::NoRoom => Standing::Refused(full()),
                Answer::Away => Standing::Refused(away()),
                Answer::Unknown => Standing::Refused(unknown()),
            };
        }
        stale
    }

    /// What may not be sent any more may have been taken while it could: sent again, it gets its first receipt.
    async fn taken_before(&self, caller: &Caller, submission: &Submission, refusal: Refusal) -> Standing {
        let by_policy = matches!(
            refusal.reason,
            Reason::NotCovered | Reason::NoRoute | Reason::NobodyToReach | Reason::NotHome
        );
        if !by_policy {
            return Standing::Refused(refusal);
        }
        let Some(Ok(manifest)) = self.verified_manifests(caller, std::iter::once(submission)).pop() else {
            return Standing::Refused(refusal);
        };
        let name = (caller.partner.number, manifest.manifest().reference.clone());
        let known = match self.store.named(&[name]).await {
            Ok(known) => known.into_iter().flatten().find(|known| known.notice == manifest.id()),
            Err(error) => return Standing::Refused(self.unreadable(None, error)),
        };
        match known {
            None => Standing::Refused(refusal),
            Some(known) => match self.shown(known.seq).await {
                Ok(shown) => Standing::Shown(shown, true),
                Err(refusal) => Standing::Refused(refusal),
            },
        }
    }

    /// One for each submission, in order.
    fn verified_manifests<'s>(
        &self,
        caller: &Caller,
        submissions: impl Iterator<Item = &'s Submission>,
    ) -> Vec<Result<VerifiedManifest, Refusal>> {
        let directory = caller.directory.directory();
        let expect = Expect {
            network: directory.head().network(),
            payload_type: MANIFEST_TYPE,
            usage: Usage::Notice,
            keys: directory.keys(caller.partner.number),
            tables: Some(&self.tables),
        };
        let envelopes = submissions.map(|submission| submission.envelope.clone());
        SignedManifest::verify_all(envelopes, &expect, self.clock.now())
    }

    /// Every step's input is what only the step before can make.
    fn permit(
        &self,
        caller: &Caller,
        manifest: VerifiedManifest,
        submission: &Submission,
    ) -> Result<Permit, Refusal> {
        let (now, directory) = (self.clock.now(), &caller.directory);
        let parts = Parts::open(&manifest.manifest().parts, submission.parts.clone())?;
        authorise(&caller.partner, manifest, parts, &self.node, directory, |manifest| {
            self.audience(&caller.partner, manifest, directory, now)
        })
    }

    async fn answer(&self, published: &Arc<Published>, standings: Vec<Standing>) -> (Vec<Taken>, proto::Receipts) {
        // A duplicate of something still in flight elsewhere may lie behind the newest checkpoint.
        let newest = self.published();
        let published = if newest.size() > published.size() { &newest } else { published };
        let (mut taken, mut shown) = (Vec::with_capacity(standings.len()), Vec::new());
        for standing in standings {
            taken.push(match standing {
                Standing::Shown(receipt, duplicate) => {
                    shown.push(receipt);
                    Taken::Receipt { nth: shown.len() - 1, duplicate }
                }
                Standing::Refused(refusal) => Taken::Refused(refusal),
                Standing::Waiting => Taken::Refused(
                    Refusal::new(Reason::Busy, "the directory keeps changing").retry_after_ms(RETRY_AFTER_MS),
                ),
            });
        }
        let (taken, receipts) = match self.proven(published, shown).await {
            Ok((checkpoint, proven)) => only_proven(taken, checkpoint, proven),
            Err(refusal) => {
                let unproven = |taken| match taken {
                    Taken::Receipt { .. } => Taken::Refused(refusal.clone()),
                    refused @ Taken::Refused(_) => refused,
                };
                (taken.into_iter().map(unproven).collect(), proto::Receipts::default())
            }
        };
        self.count(&taken);
        (taken, receipts)
    }
}

/// Leaves out the receipts that cannot be proven: damage to one statement costs no other its receipt.
fn only_proven(
    taken: Vec<Taken>,
    checkpoint: Bytes,
    proven: Vec<Result<Pooled, Refusal>>,
) -> (Vec<Taken>, proto::Receipts) {
    let (mut pooled, mut outcomes) = (Vec::with_capacity(proven.len()), Vec::with_capacity(proven.len()));
    for proven in proven {
        outcomes.push(proven.map(|proven| {
            pooled.push(proven);
            pooled.len() - 1
        }));
    }
    let place = |taken| match taken {
        Taken::Receipt { nth, duplicate } => match &outcomes[nth] {
            Ok(nth) => Taken::Receipt { nth: *nth, duplicate },
            Err(refusal) => Taken::Refused(refusal.clone()),
        },
        refused @ Taken::Refused(_) => refused,
    };
    (taken.into_iter().map(place).collect(), pool(checkpoint, pooled))
}

fn refuse_waiting(standings: &mut [Standing], refusal: &Refusal) {
    for standing in standings.iter_mut().filter(|standing| matches!(standing, Standing::Waiting)) {
        *standing = Standing::Refused(refusal.clone());
    }
}

/// The items of the recipients that the originator named one by one: it knows them anyway.
fn named_items(permit: &Permit, caller: &Caller) -> Vec<proto::ItemProof> {
    let partners = &permit.manifest().manifest().audience.partners;
    if partners.len() > NAMED_SHOWN_MAX {
        return Vec::new();
    }
    let directory = caller.directory.directory();
    let numbers = partners.iter().filter_map(|id| directory.partner(id)).map(|partner| partner.number);
    numbers.filter_map(|number| permit.audience().set.item(number)).collect()
}
