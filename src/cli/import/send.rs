//! Planned notices signed, sent on a stream, and what the node said to each; or read back, where it had taken one before.

use liaison_client::sign::{CONTENT_TYPE, DraftPart, SignedNotice};
use liaison_client::{Client, ClientError, KnownDirectory, by_reference};
use liaison_protocol::id::{NoticeId, PartnerId, Reference};
use liaison_protocol::manifest::Relation;
use liaison_protocol::part::Parts;
use liaison_protocol::proto::{self, PartRole, get_notice_request};
use liaison_protocol::reason::Reason;
use liaison_protocol::signer::Ed25519Signer;
use liaison_protocol::statement::{Event, Statement};
use prost::Message as _;

use crate::cli::context::Context;
use crate::cli::work::Rules;
use crate::cli::{Exit, Failure, output};
use crate::import::Planned;

/// Notices signed and sent before their answers are read, and lost from the ledger's view by a crash at most.
pub(super) const UNDER_WAY: usize = 256;

/// Partners, groups, and partners left out.
pub(super) type Audience = (Vec<PartnerId>, Vec<PartnerId>, Vec<PartnerId>);

/// A line to the node and what it takes to sign for it.
pub(super) struct Sender<'c> {
    context: &'c Context,
    client: Client,
    known: KnownDirectory,
    key: Ed25519Signer,
    audience: Audience,
}

/// What the node said to one notice.
pub(super) enum Outcome {
    /// It has it.
    Taken {
        /// Its name.
        notice: NoticeId,
        /// These very bytes had been taken before.
        duplicate: bool,
        /// To how many it goes.
        deliveries: usize,
    },
    /// Another notice of this partner has the reference: signed anew, so other bytes; what it says has to be read back.
    ReferenceTaken,
    /// It will not have it.
    Refused(String),
}

/// A notice of this partner as the node keeps it.
pub(super) struct ReadBack {
    pub(super) notice: NoticeId,
    pub(super) relation: Option<Relation>,
    /// None: its content has been erased, or is not typed.
    pub(super) content: Option<proto::Content>,
}

/// What sending came to.
#[derive(Debug, Default)]
pub(in crate::cli) struct Sent {
    pub(in crate::cli) accepted: usize,
    pub(in crate::cli) duplicates: usize,
    pub(in crate::cli) refused: Vec<(String, String)>,
    pub(in crate::cli) deliveries: usize,
}

/// Signs and sends planned notices to whoever it is for, without a ledger.
pub(in crate::cli) async fn send_all(
    context: &Context,
    planned: &[Planned],
    audience: Audience,
) -> Result<Sent, Failure> {
    let sender = Sender::open(context, audience).await?;
    let mut sent = Sent::default();
    for chunk in planned.chunks(UNDER_WAY) {
        let chunk: Vec<_> = chunk.iter().collect();
        let (outcomes, failure) = sender.send(&chunk).await?;
        for (planned, outcome) in chunk.iter().zip(outcomes) {
            sent.count(&planned.reference, outcome);
        }
        failure.map_or(Ok(()), Err)?;
    }
    Ok(sent)
}

impl Sent {
    /// A reference that is taken says that this entry of this list was sent.
    fn count(&mut self, reference: &str, outcome: Outcome) {
        match outcome {
            Outcome::Taken { duplicate, deliveries, .. } => {
                self.deliveries += deliveries;
                if duplicate { self.duplicates += 1 } else { self.accepted += 1 }
            }
            Outcome::ReferenceTaken => self.duplicates += 1,
            Outcome::Refused(why) => self.refused.push((reference.to_owned(), why)),
        }
    }
}

impl<'c> Sender<'c> {
    pub(super) async fn open(context: &'c Context, audience: Audience) -> Result<Self, Failure> {
        let (client, known) = context.connect_and_know().await?;
        Ok(Self { context, client, known, key: context.notice_key()?, audience })
    }

    /// Sends a chunk on a stream of its own. Outcomes come in the order of the notices; there are fewer where the line broke, and
    /// then the failure says so. What has no outcome may have been taken or not.
    pub(super) async fn send(&self, chunk: &[&Planned]) -> Result<(Vec<Outcome>, Option<Failure>), Failure> {
        let notices = chunk.iter().map(|planned| self.sign(planned)).collect::<Result<Vec<_>, _>>()?;
        let mut stream = self.client.submit_stream().await?;
        let sender = stream.sender();
        let requests: Vec<_> = notices
            .iter()
            .map(|notice| proto::SubmitStreamRequest {
                envelope: notice.envelope.clone(),
                parts: notice.parts.clone(),
            })
            .collect();
        stream.close();
        let send = async move {
            let Some(sender) = sender else { return };
            for request in requests {
                if sender.send(request).await.is_err() {
                    break;
                }
            }
        };
        let read = async {
            let mut outcomes = Vec::with_capacity(notices.len());
            let failure = loop {
                match stream.answers().await {
                    Ok(Some(answers)) => {
                        for answer in answers {
                            let notice = notices.get(outcomes.len()).map(|notice| notice.id);
                            outcomes.extend(notice.map(|notice| outcome(notice, answer)));
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(Failure::from(error)),
                }
            };
            (outcomes, failure)
        };
        let ((), (outcomes, failure)) = tokio::join!(send, read);
        let missing = outcomes.len() < notices.len();
        let failure = failure.or_else(|| {
            let text = format!("the stream ended after {} of {} answers", outcomes.len(), notices.len());
            missing.then(|| Failure::new(Exit::Unavailable, text))
        });
        Ok((outcomes, failure.map(|failure| failure.next("run the same command again: nothing is sent twice"))))
    }

    fn sign(&self, planned: &Planned) -> Result<SignedNotice, Failure> {
        let reference = planned.reference.parse().map_err(|bad| Failure::failed(format!("{bad}")))?;
        let bytes = planned.content.encode_to_vec().into();
        let part = DraftPart { role: PartRole::Content, media_type: CONTENT_TYPE.into(), bytes };
        let rules = Rules::published(planned.kind, planned.relation.as_ref());
        let (head, now) = (self.known.head(), output::now());
        let draft = rules.draft(self.context, head, reference, self.audience.clone(), vec![part], now)?;
        draft.sign(&self.key).map_err(|error| Failure::failed(error.to_string()))
    }

    /// This partner's notice under a reference. None: there is none.
    pub(super) async fn read_back(&self, reference: &Reference) -> Result<Option<ReadBack>, Failure> {
        let name = get_notice_request::Name::Notice(by_reference(None, reference));
        let delivered = match self.client.notice(name).await {
            Ok(delivered) => delivered,
            Err(error) if error.reason() == Some(Reason::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let manifest = &delivered.manifest;
        let other = manifest.reference != *reference || manifest.originator != self.context.partner;
        let opened = Parts::open(&manifest.parts, delivered.parts.clone());
        if other || (opened.is_err() && !delivered.parts.is_empty()) {
            let text = format!("the node's answer about {reference} does not hold");
            return Err(Failure::new(Exit::Unverified, text));
        }
        let parts = manifest.parts.iter().zip(&delivered.parts);
        let typed = parts.into_iter().find(|(said, _)| said.media_type == CONTENT_TYPE);
        Ok(Some(ReadBack {
            notice: delivered.id,
            relation: manifest.relation.clone(),
            content: typed.and_then(|(_, part)| proto::Content::decode(part.bytes.clone()).ok()),
        }))
    }
}

fn outcome(notice: NoticeId, answer: Result<liaison_client::Submitted, ClientError>) -> Outcome {
    match answer {
        Ok(submitted) => {
            let deliveries = match Statement::decode(submitted.receipt.opening.statement.clone()) {
                Ok(Statement { event: Event::Accepted(accepted), .. }) => accepted.recipient_count as usize,
                _ => 0,
            };
            Outcome::Taken { notice, duplicate: submitted.duplicate, deliveries }
        }
        Err(error) if error.reason() == Some(Reason::ReferenceConflict) => Outcome::ReferenceTaken,
        Err(error) => Outcome::Refused(error.to_string()),
    }
}
