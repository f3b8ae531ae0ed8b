//! Collecting: notices from the caller's own mailbox, each with its receipt, and what the log says of them.

use bytes::{Buf as _, Bytes};
use liaison_protocol::envelope::Envelope;
use liaison_protocol::envelope::MANIFEST_TYPE;
use liaison_protocol::id::{LeafIndex, NoticeId, PartnerId, Reference};
use liaison_protocol::manifest::{Manifest, SignedManifest};
use liaison_protocol::proto;
use liaison_protocol::receipt::{Consigned, Consignments, Receipt};
use liaison_protocol::wire::{self, Value};
use prost::Message as _;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstEncoder;

use crate::{Client, ClientError};

/// `CollectResponse.resume_token`.
const RESUME_TOKEN: u32 = 1;
/// `CollectResponse.deliveries`.
const DELIVERIES: u32 = 2;
/// `CollectResponse.damaged`.
const DAMAGED: u32 = 4;

/// A notice from the mailbox. Its signature and receipt are what the caller checks; its name has been computed from its bytes.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Its name on every route.
    pub id: NoticeId,
    /// What it says of itself; believed once its receipt verifies.
    pub manifest: Manifest,
    /// The envelope, exactly as its originator sent it.
    pub envelope: Bytes,
    /// Empty when the content has been erased.
    pub parts: Vec<proto::Part>,
    /// The receipt of its acceptance.
    pub receipt: Receipt,
}

impl Delivered {
    fn read(envelope: Bytes, parts: Vec<proto::Part>, receipt: Option<Receipt>) -> Result<Self, ClientError> {
        Ok(Self {
            id: NoticeId(Envelope::parse(envelope.clone())?.digest(MANIFEST_TYPE)),
            manifest: SignedManifest::parse(envelope.clone())?.unproven()?,
            envelope,
            parts,
            receipt: receipt.ok_or_else(|| ClientError::Unproven("a notice without a receipt".into()))?,
        })
    }

    /// The leaf that accepted it.
    pub fn leaf(&self) -> LeafIndex {
        self.receipt.leaf
    }
}

/// Notices as they came together, for whoever needs no more of them than that they are proven: serialized, until they are read.
#[derive(Debug)]
pub struct Frame {
    answer: Bytes,
    resume_token: Bytes,
    notices: usize,
    damaged: Vec<LeafIndex>,
}

impl Frame {
    /// How many notices; none in a heartbeat.
    pub fn len(&self) -> usize {
        self.notices
    }

    /// Whether it holds no notice: a heartbeat, unless it names damaged ones.
    pub fn is_empty(&self) -> bool {
        self.notices == 0
    }

    /// Leaves of notices that wait for the caller and that the node cannot deliver, because what it has stored of them is damaged.
    pub fn damaged(&self) -> &[LeafIndex] {
        &self.damaged
    }

    /// Checks all receipts together, and names the notices.
    pub fn check(&self, consignments: &mut Consignments) -> Result<Vec<Consigned>, ClientError> {
        consignments.check(&self.answer).map_err(|not| ClientError::Unproven(not.to_string()))
    }

    /// The notices one by one, each with its receipt.
    pub fn read(self) -> Result<Vec<Delivered>, ClientError> {
        let undecodable = |error: prost::DecodeError| ClientError::Unproven(error.to_string());
        let proto::CollectResponse { deliveries, receipts, .. } =
            proto::CollectResponse::decode(self.answer).map_err(undecodable)?;
        let receipts = receipts.unwrap_or_default();
        let read = |(nth, delivery): (usize, proto::Delivery)| {
            Delivered::read(delivery.envelope, delivery.parts, Receipt::cut(&receipts, nth))
        };
        deliveries.into_iter().enumerate().map(read).collect()
    }
}

/// Sends a request and leaves what comes as it is.
#[derive(Default)]
struct Frames;

impl Codec for Frames {
    type Encode = proto::CollectRequest;
    type Decode = Frame;
    type Encoder = ProstEncoder<proto::CollectRequest>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Decoder for Frames {
    type Item = Frame;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Frame>, Status> {
        let answer = buffer.copy_to_bytes(buffer.remaining());
        let (mut resume_token, mut notices, mut damaged) = (Bytes::new(), 0, Vec::new());
        let malformed = |problem| Status::internal(format!("CollectResponse {problem}"));
        for field in wire::fields(&answer) {
            match field.map_err(malformed)? {
                (RESUME_TOKEN, Value::Bytes(token)) => resume_token = Bytes::copy_from_slice(token),
                (DELIVERIES, Value::Bytes(_)) => notices += 1,
                (DAMAGED, Value::Number(leaf)) => damaged.push(LeafIndex(leaf)),
                (DAMAGED, Value::Bytes(leaves)) => {
                    for leaf in wire::packed(leaves) {
                        damaged.push(LeafIndex(leaf.map_err(malformed)?));
                    }
                }
                _ => {}
            }
        }
        Ok(Some(Frame { answer, resume_token, notices, damaged }))
    }
}

/// A mailbox being collected.
pub struct Collecting {
    client: Client,
    frames: Streaming<Frame>,
    resume_token: Bytes,
    damaged: Vec<LeafIndex>,
}

impl Client {
    /// Begins to collect, from the start or from a token.
    pub async fn collect(&self, resume_token: Bytes, until_idle: bool) -> Result<Collecting, ClientError> {
        let request = proto::CollectRequest { resume_token: resume_token.clone(), until_idle };
        let mut line = self.line();
        let lost = |error: tonic::transport::Error| self.refused(&Status::unknown(format!("the line: {error}")));
        line.ready().await.map_err(lost)?;
        let path = PathAndQuery::from_static("/liaison.v1.ExchangeService/Collect");
        let frames = line.server_streaming(Request::new(request), path, Frames).await;
        let frames = frames.map_err(|status| self.refused(&status))?;
        Ok(Collecting { client: self.clone(), frames: frames.into_inner(), resume_token, damaged: Vec::new() })
    }

    /// How much waits in the caller's own mailbox, without collecting any of it.
    pub async fn mailbox(&self) -> Result<proto::GetMailboxResponse, ClientError> {
        let answer = self.exchange().get_mailbox(proto::GetMailboxRequest {}).await;
        Ok(answer.map_err(|status| self.refused(&status))?.into_inner())
    }

    /// One notice that the caller sent or was sent.
    pub async fn notice(&self, name: proto::get_notice_request::Name) -> Result<Delivered, ClientError> {
        let request = proto::GetNoticeRequest { name: Some(name) };
        let answer =
            self.exchange().get_notice(request).await.map_err(|status| self.refused(&status))?.into_inner();
        let receipt = answer.receipts.as_ref().and_then(|receipts| Receipt::cut(receipts, 0));
        Delivered::read(answer.envelope, answer.parts, receipt)
    }

    /// What has become of one notice: all pages of its evidence.
    pub async fn evidence(
        &self,
        name: proto::list_evidence_request::Name,
    ) -> Result<(proto::ListEvidenceResponse, Vec<Receipt>), ClientError> {
        let mut request = proto::ListEvidenceRequest { name: Some(name), ..Default::default() };
        let (mut first, mut all) = (None, Vec::new());
        loop {
            let answer = self.exchange().list_evidence(request.clone()).await;
            let answer = answer.map_err(|status| self.refused(&status))?.into_inner();
            if let Some(receipts) = &answer.receipts {
                all.extend((0..receipts.receipts.len()).filter_map(|nth| Receipt::cut(receipts, nth)));
            }
            request.page_token.clone_from(&answer.next_page_token);
            // Where recipients stand is said with the first page.
            let first = first.get_or_insert(answer);
            if request.page_token.is_empty() {
                return Ok((std::mem::take(first), all));
            }
        }
    }
}

impl Collecting {
    /// The next notices; empty for a heartbeat, and where all are damaged. None: nothing more waits, and that was all that was asked for.
    pub async fn next(&mut self) -> Result<Option<Vec<Delivered>>, ClientError> {
        self.frame().await?.map(Frame::read).transpose()
    }

    /// The next notices as they came. None as for [`Collecting::next`].
    pub async fn frame(&mut self) -> Result<Option<Frame>, ClientError> {
        let frame = self.frames.message().await.map_err(|status| self.client.refused(&status))?;
        let Some(frame) = frame else { return Ok(None) };
        self.resume_token = frame.resume_token.clone();
        self.damaged.extend_from_slice(&frame.damaged);
        Ok(Some(frame))
    }

    /// What [`Frame::damaged`] named since this was asked last.
    pub fn take_damaged(&mut self) -> Vec<LeafIndex> {
        std::mem::take(&mut self.damaged)
    }

    /// Where to continue after what has been read.
    pub fn resume_token(&self) -> &Bytes {
        &self.resume_token
    }
}

/// A notice by its originator's reference; None for the caller's own.
pub fn by_reference(originator: Option<&PartnerId>, reference: &Reference) -> proto::NoticeName {
    proto::NoticeName {
        originator: originator.map(ToString::to_string).unwrap_or_default(),
        reference: reference.to_string(),
    }
}
