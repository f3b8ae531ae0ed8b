//! For tests: small networks in a few lines, with real keys, a sealed directory, and notices that are really signed and verified.

mod counted;
mod played;
mod rig;

pub(crate) use counted::{Counted, Reads};
pub(crate) use played::{PlayedClock, PlayedEntropy};
pub(crate) use rig::{Rig, one};

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use liaison_client::sign::{Draft, DraftPart, Recipient, SignedNotice, fresh_salt};
use liaison_protocol::ack::{Item, VerifiedAcknowledgement};
use liaison_protocol::directory::{self, AuthorityKeys, Directory, NewHead, Partner};
use liaison_protocol::envelope::{ACKNOWLEDGEMENT_TYPE, DIRECTORY_HEAD_TYPE, Expect, MANIFEST_TYPE, sign};
use liaison_protocol::id::{
    Hash, HeadVersion, LeafIndex, Micros, NodeId, NoticeId, Origin, PartnerId, PartnerNumber,
};
use liaison_protocol::keyring::{PublicKey, Usage};
use liaison_protocol::manifest::{AudienceNames, Handling, SignedManifest, VerifiedManifest};
use liaison_protocol::part::Parts;
use liaison_protocol::proto::{self, Kind, Precedence, Verdict, record::Body};
use liaison_protocol::reason::Refusal;
use liaison_protocol::signer::{Ed25519Signer, Signer as _};
use liaison_protocol::statement::HeadName;
use liaison_protocol::tlog::entry::Salt;
use prost::Message as _;

use crate::policy::{Audience, CompiledDirectory, Permit, RecipientSet, authorise, resolve};
use crate::state::Proposal;

/// When every test begins: 2026-01-01T00:00:00Z.
pub(crate) const START: Micros = Micros(1_767_225_600 * Micros::SECOND);
/// The node under test.
pub(crate) const HUB: &str = "hub-1";
/// Another node, to which nothing leads.
pub(crate) const SITE: &str = "site-1";
/// An agreement or key window that never ends within a test.
pub(crate) const FAR: Micros = Micros(START.0 + 10 * 366 * Micros::DAY);

/// A network still being written down.
pub(crate) struct Plan {
    bodies: Vec<Body>,
    partners: Vec<String>,
}

/// A network with a directory in force.
pub(crate) struct World {
    pub(crate) directory: Arc<CompiledDirectory>,
    pub(crate) opened: Arc<Directory>,
    pub(crate) hub: NodeId,
    pub(crate) origin: Origin,
    plan: Plan,
}

/// A key that follows from its owner and its use.
fn key(owner: &str, usage: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Hash::of(&[owner.as_bytes(), b"|", usage.as_bytes()]).0)
}

/// The key of the hub's log.
pub(crate) fn log_signer() -> Ed25519Signer {
    key(HUB, "log")
}

/// An agreement without ceilings, from the beginning, to be changed as a test needs it.
pub(crate) fn agreement(id: &str, originators: &[&str], recipients: &[&str]) -> proto::Agreement {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    proto::Agreement {
        id: id.into(),
        originators: names(originators),
        recipients: names(recipients),
        kinds: vec![Kind::Red.into(), Kind::Message.into()],
        highest_handling: proto::HandlingCode::H3.into(),
        highest_tlp: proto::Tlp::Red.into(),
        highest_precedence: Precedence::Flash.into(),
        from_us: START.plus(-Micros::DAY).0,
        until_us: FAR.0,
        legal_basis: "for tests".into(),
    }
}

impl Plan {
    /// Two nodes, and partners at home at the hub, numbered from 1.
    pub(crate) fn of(partners: &[&str]) -> Self {
        let mut plan = Self { bodies: Vec::new(), partners: Vec::new() };
        for node in [HUB, SITE] {
            plan.bodies.push(Body::Node(proto::Node {
                id: node.into(),
                log_origin: format!("{node}.example/log"),
                log_key: Some(key(node, "log").public().to_proto()),
                tls_authorities: vec![Bytes::from_static(b"an authority")],
                tls_keys: Vec::new(),
                addresses: Vec::new(),
            }));
        }
        for partner in partners {
            plan = plan.partner(partner, HUB);
        }
        plan
    }

    /// One more partner.
    pub(crate) fn partner(mut self, id: &str, home: &str) -> Self {
        self.partners.push(id.into());
        self.bodies.push(Body::Partner(proto::Partner {
            number: self.partners.len() as u32,
            id: id.into(),
            name: format!("Bureau {id}"),
            category: proto::PartnerCategory::NationalCentralBureau.into(),
            home: home.into(),
            status: proto::PartnerStatus::Active.into(),
            tls_authorities: vec![Bytes::from_static(b"an authority")],
            tls_keys: Vec::new(),
        }));
        for (usage, name) in
            [(proto::KeyUsage::Notice, "notice"), (proto::KeyUsage::Acknowledgement, "acknowledgement")]
        {
            self.bodies.push(Body::Key(proto::PartnerKey {
                partner: id.into(),
                usage: usage.into(),
                public_key: Some(key(id, name).public().to_proto()),
                not_before_us: START.plus(-Micros::DAY).0,
                not_after_us: FAR.0,
                denied: false,
            }));
        }
        self
    }

    /// A group.
    pub(crate) fn group(mut self, id: &str, members: &[&str]) -> Self {
        let members = members.iter().map(ToString::to_string).collect();
        self.bodies.push(Body::Group(proto::Group { id: id.into(), members }));
        self
    }

    /// An agreement.
    pub(crate) fn agreement(mut self, agreement: proto::Agreement) -> Self {
        self.bodies.push(Body::Agreement(agreement));
        self
    }

    /// Every record changed as a test needs it.
    pub(crate) fn changed(mut self, change: impl FnMut(&mut Body)) -> Self {
        self.bodies.iter_mut().for_each(change);
        self
    }

    /// Without some of its records.
    pub(crate) fn without(mut self, unwanted: impl Fn(&Body) -> bool) -> Self {
        self.bodies.retain(|body| !unwanted(body));
        self
    }

    /// As directory.toml would give them.
    pub(crate) fn records(&self) -> Vec<Bytes> {
        let record = |body: &Body| proto::Record { body: Some(body.clone()) }.encode_to_vec().into();
        self.bodies.iter().map(record).collect()
    }

    /// Sealed, signed and opened as version 1.
    pub(crate) fn open(self) -> World {
        let opened = seal(&self.bodies, None);
        let origin = opened.node(&HUB.parse().expect("a node")).expect("listed").log_origin.clone();
        let directory = Arc::new(CompiledDirectory::new(opened.clone()));
        World { directory, opened, hub: HUB.parse().expect("a node"), origin, plan: self }
    }
}

fn seal(bodies: &[Body], before: Option<&Directory>) -> Arc<Directory> {
    let authority = key("authority", "head");
    let public: PublicKey = authority.public().clone();
    let keys = AuthorityKeys::new(1, vec![public]).expect("one of one");
    let head = NewHead {
        network: before.map(|before| before.head().network()),
        name: "test.liaison.example".parse().expect("a network"),
        version: HeadVersion(before.map_or(1, |before| before.head().version().0 + 1)),
        previous: before.map(|before| before.head().digest()),
        issued_at: START,
        renew_by: FAR,
        authority: keys.clone(),
        next_number: PartnerNumber(1_000_000),
    };
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(nth, body)| {
            let record: Bytes = proto::Record { body: Some(body.clone()) }.encode_to_vec().into();
            (record, Salt(Hash::of(&[b"record", &nth.to_be_bytes()]).0))
        })
        .collect();
    let envelope =
        sign(DIRECTORY_HEAD_TYPE, directory::seal(&head, &records), &authority).expect("a key in memory signs");
    let opened = Directory::open(directory::join(envelope, &records), &keys, head.network);
    Arc::new(opened.expect("a consistent directory"))
}

impl World {
    /// One originator `FR`, which may send everything to `DE`, `IT` and the group `G` of `DE`, `ES` and `IT`; nobody covers `US`.
    pub(crate) fn small() -> Self {
        Plan::of(&["FR", "DE", "IT", "ES", "US"])
            .group("G", &["DE", "ES", "IT", "US"])
            .agreement(agreement("A-1", &["FR"], &["DE", "IT", "ES"]))
            .open()
    }

    /// The same network under its next head, changed.
    pub(crate) fn next(&self, change: impl FnOnce(Plan) -> Plan) -> Self {
        let plan = Plan { bodies: self.plan.bodies.clone(), partners: self.plan.partners.clone() };
        let plan = change(plan);
        let opened = seal(&plan.bodies, Some(&self.opened));
        let directory = Arc::new(CompiledDirectory::new(opened.clone()));
        Self { directory, opened, hub: self.hub.clone(), origin: self.origin.clone(), plan }
    }

    /// The head's name.
    pub(crate) fn head(&self) -> HeadName {
        HeadName::from(self.opened.head())
    }

    /// A partner.
    pub(crate) fn partner(&self, id: &str) -> &Partner {
        self.opened.partner(&id.parse().expect("an identifier")).expect("listed")
    }

    /// A message of one part, routine, that expires in 30 days and asks for no decision.
    pub(crate) fn draft(&self, from: &str, reference: &str, partners: &[&str]) -> Draft {
        Draft {
            network: self.opened.head().network(),
            directory_version: self.opened.head().version().0,
            reference: reference.parse().expect("a reference"),
            kind: Kind::Message,
            originator: from.parse().expect("an identifier"),
            audience: audience(partners, &[], &[]),
            handling: Handling {
                code: proto::HandlingCode::H0,
                restriction: String::new(),
                source: proto::SourceEvaluation::A,
                information: proto::InformationEvaluation::InformationEvaluation1,
                tlp: proto::Tlp::Green,
            },
            precedence: Precedence::Routine,
            issued_at: START,
            expires_at: START.plus(30 * Micros::DAY),
            respond_by: proto::RespondBy::None,
            retention: proto::Retention::OneYear,
            relation: None,
            parts: vec![DraftPart {
                role: proto::PartRole::Content,
                media_type: "text/plain".into(),
                bytes: Bytes::from_static(b"the content"),
            }],
        }
    }

    /// Signed by its originator's key.
    pub(crate) fn signed(&self, draft: Draft) -> SignedNotice {
        let key = key(draft.originator.as_str(), "notice");
        draft.sign(&key).expect("a key in memory signs")
    }

    /// Verified as the node would.
    pub(crate) fn verified(&self, notice: &SignedNotice, from: &str) -> VerifiedManifest {
        let expect = Expect {
            network: self.opened.head().network(),
            payload_type: MANIFEST_TYPE,
            usage: Usage::Notice,
            keys: self.opened.keys(self.partner(from).number),
            tables: None,
        };
        let manifest = SignedManifest::parse(notice.envelope.clone()).expect("an envelope");
        manifest.verify(&expect, START).expect("signed by its originator")
    }

    /// The whole way to a permit, with an audience salted by its names.
    pub(crate) fn permit(&self, draft: Draft) -> Result<Arc<Permit>, Refusal> {
        let from = draft.originator.to_string();
        let notice = self.signed(draft);
        let manifest = self.verified(&notice, &from);
        let parts = Parts::open(&manifest.manifest().parts, notice.parts)?;
        let caller = self.partner(&from);
        let permit = authorise(caller, manifest, parts, &self.hub, &self.directory, |manifest| {
            let resolved = resolve(caller, manifest, &self.hub, &self.directory, START)?;
            let names = format!("{:?}", manifest.audience);
            Ok(Arc::new(Audience {
                set: Arc::new(RecipientSet::new(Hash::of(&[names.as_bytes()]).0, resolved.members)),
                passed_over: resolved.passed_over,
                agreements: resolved.agreements,
            }))
        })?;
        Ok(Arc::new(permit))
    }

    /// A proposal to take a notice that nothing is wrong with.
    pub(crate) fn submit(&self, draft: Draft) -> Proposal {
        Proposal::Submit(self.permit(draft).expect("covered"))
    }

    /// A plain notice and its name.
    pub(crate) fn notice(&self, from: &str, reference: &str, partners: &[&str]) -> (Proposal, NoticeId) {
        let permit = self.permit(self.draft(from, reference, partners)).expect("covered");
        let id = permit.manifest().id();
        (Proposal::Submit(permit), id)
    }

    /// Signed items: the envelope, and the items beside it.
    pub(crate) fn signed_items(
        &self,
        by: &str,
        items: &[(LeafIndex, NoticeId, Verdict)],
    ) -> (Bytes, Vec<proto::AcknowledgedItem>) {
        let recipient = Recipient {
            network: self.opened.head().network(),
            log_origin: self.origin.clone(),
            partner: by.parse().expect("an identifier"),
            system: "main".parse().expect("a system"),
        };
        let item = |(leaf, notice, verdict): &(LeafIndex, NoticeId, Verdict)| Item {
            salt: fresh_salt(),
            leaf: *leaf,
            notice: *notice,
            verdict: *verdict,
            reason: if *verdict == Verdict::Refused { "not ours".into() } else { String::new() },
        };
        let items: Vec<_> = items.iter().map(item).collect();
        let envelope = recipient.sign(&items, START, &key(by, "acknowledgement")).expect("a key in memory signs");
        (envelope, items.iter().map(Item::to_proto).collect())
    }

    /// A recipient's verified word.
    pub(crate) fn acknowledge(&self, by: &str, items: &[(LeafIndex, NoticeId, Verdict)]) -> Proposal {
        let (envelope, items) = self.signed_items(by, items);
        let number = self.partner(by).number;
        let expect = Expect {
            network: self.opened.head().network(),
            payload_type: ACKNOWLEDGEMENT_TYPE,
            usage: Usage::Acknowledgement,
            keys: self.opened.keys(number),
            tables: None,
        };
        let verified = VerifiedAcknowledgement::verify(envelope, &items, &expect, START).expect("signed by it");
        Proposal::Acknowledge(number, Arc::new(verified), self.opened.head().version())
    }
}

/// Names of an audience.
pub(crate) fn audience(partners: &[&str], groups: &[&str], exempted: &[&str]) -> AudienceNames {
    let ids = |names: &[&str]| names.iter().map(|name| name.parse::<PartnerId>().expect("an identifier")).collect();
    AudienceNames { partners: ids(partners), groups: ids(groups), exempted: ids(exempted) }
}

/// What a refusal names beside its reason.
pub(crate) fn named(refusal: &Refusal) -> BTreeMap<String, String> {
    refusal.metadata.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
}
