//! A partner with its keys on its line. Whatever it is shown is remembered, to be judged when the story is over.

use std::sync::Arc;

use bytes::Bytes;
use liaison_client::sign::{Draft, DraftPart, Recipient, SignedNotice};
use liaison_client::{
    Acknowledged, Client, ClientError, Delivered, Endpoint, ItemOutcome, Signed, Submitted, key_file,
};
use liaison_protocol::id::{LeafIndex, Micros, NoticeId, PartnerId, Reference};
use liaison_protocol::manifest::{AudienceNames, Handling};
use liaison_protocol::proto::{
    self, HandlingCode, InformationEvaluation, Kind, ListEvidenceResponse, PartRole, Precedence, RespondBy,
    Retention, SourceEvaluation, Tlp, Verdict,
};
use liaison_protocol::receipt::Receipt;
use liaison_protocol::signer::Ed25519Signer;
use liaison_protocol::tlog::checkpoint::{Checkpoint, SignedNote};
use liaison_protocol::trust::Trust;
use tonic::Code;

use super::sight::Sight;
use super::{Network, Node, Raw, Refused, now, soon};

/// A partner that is connected.
pub(crate) struct Partner {
    pub(crate) id: PartnerId,
    pub(crate) notice_key: Ed25519Signer,
    pub(crate) acknowledgement_key: Ed25519Signer,
    /// The key of its TLS certificate, PKCS #8 in PEM.
    pub(crate) tls_key_pem: String,
    pub(crate) client: Client,
    pub(crate) raw: Raw,
    pub(crate) trust: Trust,
    pub(super) sight: Arc<Sight>,
}

impl Partner {
    /// What a partner connects with.
    pub(crate) fn endpoint(network: &Network, id: &str, node: &Node) -> Endpoint {
        let text = |file: &str| std::fs::read_to_string(network.path(&format!("partners/{id}/{file}"))).unwrap();
        Endpoint {
            address: node.address.clone(),
            server_name: Some("hub-1".into()),
            node: Some("hub-1".parse().unwrap()),
            authority_pem: text("authority.pem"),
            certificate_pem: text("tls.pem"),
            key_pem: text("tls.key"),
        }
    }

    pub(super) async fn connect(network: &Network, id: &str, node: &Node) -> Self {
        let text = |file: &str| std::fs::read_to_string(network.path(&format!("partners/{id}/{file}"))).unwrap();
        let endpoint = Self::endpoint(network, id, node);
        Self {
            id: id.parse().unwrap(),
            notice_key: key_file::signer(&text("notice.key")).unwrap(),
            acknowledgement_key: key_file::signer(&text("acknowledgement.key")).unwrap(),
            tls_key_pem: text("tls.key"),
            client: soon("the line", Client::connect(&endpoint)).await.unwrap(),
            raw: soon("the raw line", Raw::connect(&endpoint)).await,
            trust: network.trust.clone(),
            sight: network.sight.clone(),
        }
    }

    /// A message with one part that is about nothing in particular.
    pub(crate) fn draft(&self, reference: &str, to: &[&str]) -> Draft {
        let text = format!("The content of {reference}.");
        Draft {
            network: self.trust.network(),
            directory_version: 1,
            reference: reference.parse().unwrap(),
            kind: Kind::Message,
            originator: self.id.clone(),
            audience: AudienceNames { partners: names(to), groups: Vec::new(), exempted: Vec::new() },
            handling: Handling {
                code: HandlingCode::H0,
                restriction: String::new(),
                source: SourceEvaluation::A,
                information: InformationEvaluation::InformationEvaluation1,
                tlp: Tlp::Amber,
            },
            precedence: Precedence::Routine,
            issued_at: now(),
            expires_at: now().plus(30 * Micros::DAY),
            respond_by: RespondBy::None,
            retention: Retention::OneYear,
            relation: None,
            parts: vec![DraftPart { role: PartRole::Content, media_type: "text/plain".into(), bytes: text.into() }],
        }
    }

    /// Signs a draft.
    pub(crate) fn sign(&self, draft: Draft) -> SignedNotice {
        draft.sign(&self.notice_key).unwrap()
    }

    /// A signed message.
    pub(crate) fn notice(&self, reference: &str, to: &[&str]) -> SignedNotice {
        self.sign(self.draft(reference, to))
    }

    /// Submits, and keeps the receipt.
    pub(crate) async fn submit(&self, notice: &SignedNotice) -> Result<Submitted, ClientError> {
        let submitted = soon("the receipt", self.client.submit(notice)).await?;
        self.keep_submitted(notice, &submitted);
        Ok(submitted)
    }

    /// Whoever submits this envelope with a notice's parts is refused, and nothing of it is kept.
    pub(crate) async fn is_refused(
        &self,
        notice: &SignedNotice,
        envelope: impl Into<Bytes>,
        code: Code,
        reason: &str,
    ) -> Refused {
        let size = self.log_size().await;
        let refused = soon("the refusal", self.raw.submit(envelope.into(), notice.parts.clone())).await;
        let refused = refused.expect_err(reason);
        assert_eq!((refused.code, refused.reason.as_str()), (code, reason), "{refused:?}");
        assert_eq!(self.log_size().await, size, "{reason}");
        refused
    }

    /// Signs and submits a message that must be taken.
    pub(crate) async fn send(&self, reference: &str, to: &[&str]) -> (SignedNotice, Submitted) {
        let notice = self.notice(reference, to);
        let submitted = self.submit(&notice).await.unwrap();
        (notice, submitted)
    }

    /// Everything that waits, and the token to continue with.
    pub(crate) async fn collect_after(&self, token: Bytes) -> (Vec<Delivered>, Bytes) {
        let mut collecting = soon("the stream", self.client.collect(token, true)).await.unwrap();
        let mut all = Vec::new();
        while let Some(frame) = soon("a frame", collecting.next()).await.unwrap() {
            all.extend(frame);
        }
        self.keep(&all);
        (all, collecting.resume_token().clone())
    }

    /// Everything that waits.
    pub(crate) async fn collect(&self) -> Vec<Delivered> {
        self.collect_after(Bytes::new()).await.0
    }

    /// Keeps what was delivered, to be judged with the rest.
    pub(crate) fn keep(&self, delivered: &[Delivered]) {
        for notice in delivered {
            self.sight.notice(notice.id, notice.envelope.clone());
            self.sight.receipt(&notice.receipt);
        }
    }

    /// Keeps what was taken on a stream.
    pub(crate) fn keep_submitted(&self, notice: &SignedNotice, submitted: &Submitted) {
        self.sight.notice(notice.id, notice.envelope.clone());
        self.sight.receipt(&submitted.receipt);
    }

    /// Who acknowledges, to the node's log.
    pub(crate) fn recipient(&self) -> Recipient {
        Recipient {
            network: self.trust.network(),
            log_origin: self.trust.policy().logs()[0].name().parse().unwrap(),
            partner: self.id.clone(),
            system: "ops-1".parse().unwrap(),
        }
    }

    /// Signs one verdict for all.
    pub(crate) fn verdict(&self, delivered: &[Delivered], verdict: Verdict) -> Signed {
        Signed::for_all(&self.recipient(), delivered, verdict, now(), &self.acknowledgement_key).unwrap()
    }

    /// Signs a verdict on one, with its reason.
    pub(crate) fn verdict_over(&self, delivered: &Delivered, verdict: Verdict, reason: &str) -> Signed {
        let one = [(delivered.leaf(), delivered.id, verdict, reason.to_string())];
        Signed::over(&self.recipient(), one, now(), &self.acknowledgement_key).unwrap()
    }

    /// Accepts whatever is named.
    pub(crate) fn over<const N: usize>(&self, named: [(LeafIndex, NoticeId); N]) -> Signed {
        let named = named.map(|(leaf, notice)| (leaf, notice, Verdict::Accepted, String::new()));
        Signed::over(&self.recipient(), named, now(), &self.acknowledgement_key).unwrap()
    }

    /// Acknowledges, and keeps the receipts.
    pub(crate) async fn acknowledge(&self, signed: &Signed) -> Result<Acknowledged, ClientError> {
        let answer = soon("the acknowledgement", self.client.acknowledge(signed)).await?;
        answer.receipts.iter().for_each(|receipt| self.sight.receipt(receipt));
        Ok(answer)
    }

    /// Acknowledges what must stand; gives the one receipt.
    pub(crate) async fn settle(&self, signed: &Signed) -> Receipt {
        let answer = self.acknowledge(signed).await.unwrap();
        let stands = |outcome: &ItemOutcome| matches!(outcome, ItemOutcome::Stands { .. });
        assert!(answer.outcomes.iter().all(stands), "{:?}", answer.outcomes);
        assert_eq!(answer.receipts.len(), 1);
        answer.receipts[0].clone()
    }

    /// What has become of a notice; None for the caller's own.
    pub(crate) async fn evidence(
        &self,
        originator: Option<&Self>,
        reference: &Reference,
    ) -> (ListEvidenceResponse, Vec<Receipt>) {
        use proto::list_evidence_request::Name;
        let name = liaison_client::by_reference(originator.map(|partner| &partner.id), reference);
        let evidence = soon("evidence", self.client.evidence(Name::Notice(name))).await.unwrap();
        evidence.1.iter().for_each(|receipt| self.sight.receipt(receipt));
        evidence
    }

    /// The newest checkpoint, kept.
    pub(crate) async fn checkpoint(&self) -> Checkpoint {
        let note = soon("the checkpoint", self.client.checkpoint()).await.unwrap();
        self.sight.checkpoint(&note);
        Checkpoint::parse(SignedNote::parse(&note).unwrap().text()).unwrap()
    }

    /// Leaves in the log now.
    pub(crate) async fn log_size(&self) -> u64 {
        self.checkpoint().await.size
    }
}

/// What was delivered, by name.
pub(crate) fn ids(delivered: &[Delivered]) -> Vec<NoticeId> {
    delivered.iter().map(|notice| notice.id).collect()
}

pub(crate) fn names(ids: &[&str]) -> Vec<PartnerId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// A notice as a stream takes it.
pub(crate) fn request(notice: &SignedNotice) -> proto::SubmitStreamRequest {
    proto::SubmitStreamRequest { envelope: notice.envelope.clone(), parts: notice.parts.clone() }
}
