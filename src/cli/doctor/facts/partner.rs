//! What a partner's machine knows: its own files, and what its node tells it.

use std::path::{Path, PathBuf};

use liaison_client::{Client, ClientError, Endpoint, KnownDirectory};
use liaison_protocol::id::{Hash, Micros, NodeId};
use liaison_protocol::keyring::PublicKey;
use liaison_protocol::proto::GetMailboxResponse;
use liaison_protocol::reason::Class;
use liaison_protocol::trust::Trust;

use super::super::check::Code;
use super::super::pin::{self, Growth, Seen};
use super::files::{self, Certificate, Rights};
use super::wire::{self, Wire};
use super::{Fact, Missing, bounded};
use crate::cli::context::ContextFile;
use crate::clock::SharedClock;
use crate::peer::Identity;

/// Everything that a partner knows.
pub(in crate::cli::doctor) struct Partner {
    /// Its context's file.
    pub(in crate::cli::doctor) context: PathBuf,
    pub(in crate::cli::doctor) now: Micros,
    /// Err: what is wrong with the context's file.
    pub(in crate::cli::doctor) found: Result<Found, String>,
}

/// What follows from a context that can be read.
pub(in crate::cli::doctor) struct Found {
    pub(in crate::cli::doctor) folder: PathBuf,
    pub(in crate::cli::doctor) file: ContextFile,
    pub(in crate::cli::doctor) identity: Identity,
    /// Files it names that are not there.
    pub(in crate::cli::doctor) absent: Vec<String>,
    pub(in crate::cli::doctor) private: Vec<Rights>,
    pub(in crate::cli::doctor) public: Vec<Rights>,
    pub(in crate::cli::doctor) certificate: Certificate,
    /// The authority of the node's certificate.
    pub(in crate::cli::doctor) authority: Fact<Vec<rustls::pki_types::CertificateDer<'static>>>,
    pub(in crate::cli::doctor) notice_key: Fact<PublicKey>,
    pub(in crate::cli::doctor) acknowledgement_key: Fact<PublicKey>,
    pub(in crate::cli::doctor) trust: Fact<Trust>,
    pub(in crate::cli::doctor) wire: Wire,
    /// That the node answers calls of this partner.
    pub(in crate::cli::doctor) admitted: Fact<()>,
    pub(in crate::cli::doctor) directory: Fact<KnownDirectory>,
    pub(in crate::cli::doctor) checkpoint: Fact<Seen>,
    pub(in crate::cli::doctor) growth: Growth,
    /// The mailbox, and this machine's clock half-way between question and answer.
    pub(in crate::cli::doctor) mailbox: Fact<(GetMailboxResponse, Micros)>,
}

/// Looks at everything.
pub(in crate::cli::doctor) async fn gather(context: &Path, clock: &SharedClock) -> Partner {
    let found = match read(context) {
        Ok((file, identity)) => Ok(look(context, file, identity, clock).await),
        Err(problem) => Err(problem),
    };
    Partner { context: context.into(), now: clock.now(), found }
}

fn read(context: &Path) -> Result<(ContextFile, Identity), String> {
    let text = std::fs::read_to_string(context).map_err(|error| error.to_string())?;
    let file: ContextFile = toml_edit::de::from_str(&text).map_err(|error| error.message().to_string())?;
    let partner = file.partner.parse().map_err(|bad| format!("partner: {bad}"))?;
    let system = file.system.parse().map_err(|bad| format!("system: {bad}"))?;
    Ok((file, Identity::Partner { partner, system }))
}

async fn look(context: &Path, file: ContextFile, identity: Identity, clock: &SharedClock) -> Found {
    let folder = context.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new(".")).to_path_buf();
    let at = |path: &Path| folder.join(path);
    let private =
        [("key", &file.key), ("notice_key", &file.notice_key), ("acknowledgement_key", &file.acknowledgement_key)];
    let public = [("authority", &file.authority), ("certificate", &file.certificate), ("trust", &file.trust)];
    let named = private.iter().chain(&public).map(|(key, path)| (*key, at(path)));
    let absent = named.filter(|(_, path)| !path.exists());
    let absent = absent.map(|(key, path)| format!("{key}: {} is not there", path.display())).collect();
    let certificate = files::certificate(&at(&file.certificate), &at(&file.key));
    let trust = files::text(&at(&file.trust))
        .and_then(|text| text.parse::<Trust>().map_err(|bad| Missing::Failed(bad.to_string())));
    let pinned = pin::read(&pin::beside(context));
    let wire = wire::probe(&file.node, file.server_name.as_deref(), &certificate, clock).await;
    let asked = ask(&folder, &file, &wire, trust.as_ref(), &pinned, clock).await;
    let mut public: Vec<_> = public.map(|(key, path)| files::rights(key, &at(path))).into();
    public.push(files::rights("context", context));
    Found {
        private: private.map(|(key, path)| files::rights(key, &at(path))).into(),
        authority: files::chain(&at(&file.authority)),
        notice_key: files::signing_key(&at(&file.notice_key)),
        acknowledgement_key: files::signing_key(&at(&file.acknowledgement_key)),
        growth: Growth { file: pin::beside(context), pinned, path: asked.path },
        admitted: asked.admitted,
        directory: asked.directory,
        checkpoint: asked.checkpoint,
        mailbox: asked.mailbox,
        public,
        folder,
        file,
        identity,
        absent,
        certificate,
        trust,
        wire,
    }
}

/// What the node answered.
struct Asked {
    admitted: Fact<()>,
    directory: Fact<KnownDirectory>,
    checkpoint: Fact<Seen>,
    path: Fact<Vec<Hash>>,
    mailbox: Fact<(GetMailboxResponse, Micros)>,
}

impl Asked {
    fn nothing(why: &Missing) -> Self {
        let (directory, checkpoint, path, mailbox) =
            (Err(why.clone()), Err(why.clone()), Err(why.clone()), Err(why.clone()));
        Self { admitted: Err(why.clone()), directory, checkpoint, path, mailbox }
    }
}

async fn ask(
    folder: &Path,
    file: &ContextFile,
    wire: &Wire,
    trust: Result<&Trust, &Missing>,
    pinned: &Fact<Option<Seen>>,
    clock: &SharedClock,
) -> Asked {
    let earlier =
        [(wire.tcp.is_err(), Code::C01), (wire.tls.is_err(), Code::C02), (wire.accepted.is_err(), Code::C03)];
    if let Some((_, code)) = earlier.into_iter().find(|(failed, _)| *failed) {
        return Asked::nothing(&Missing::After(code));
    }
    let connect = async {
        let endpoint = endpoint(folder, file)?;
        // TLS, ALPN and the caller's own certificate have just been seen to work: what fails here is the node's certificate.
        Client::connect(&endpoint).await.map_err(|_| Missing::After(Code::C05))
    };
    let client = match bounded(clock, connect).await {
        Ok(client) => client,
        Err(missing) => return Asked::nothing(&missing),
    };
    let began = clock.now();
    let answered = bounded(clock, async { Ok(client.mailbox().await) }).await;
    let between = began.plus(clock.now().since(began) / 2);
    let (admitted, mailbox) = match answered {
        Ok(Ok(mailbox)) => (Ok(()), Ok((mailbox, between))),
        Ok(Err(error)) => match answer(&error) {
            Missing::After(code) => (Err(Missing::Failed(error.to_string())), Err(Missing::After(code))),
            failed => (Ok(()), Err(failed)),
        },
        Err(silent) => (Ok(()), Err(silent)),
    };
    let directory = match trust {
        Ok(trust) => {
            bounded(clock, async { client.known_directory(0, trust).await.map_err(|error| answer(&error)) }).await
        }
        Err(_) => Err(Missing::After(Code::D01)),
    };
    let checkpoint = bounded(clock, async {
        let note = client.checkpoint().await.map_err(|error| answer(&error))?;
        Seen::parse(&note).map_err(Missing::Failed)
    });
    let checkpoint = checkpoint.await;
    let path = match (pinned, &checkpoint) {
        (Ok(Some(before)), Ok(now))
            if before.checkpoint.size <= now.checkpoint.size && before.checkpoint.size > 0 =>
        {
            let (old, new) = (before.checkpoint.size, now.checkpoint.size);
            bounded(clock, async {
                let proof = client.consistency(old, new).await.map_err(|error| answer(&error))?;
                pin::path(&proof.path)
            })
            .await
        }
        _ => Ok(Vec::new()),
    };
    Asked { admitted, directory, checkpoint, path, mailbox }
}

fn endpoint(folder: &Path, file: &ContextFile) -> Fact<Endpoint> {
    let text = |path: &Path| files::text(&folder.join(path)).map(|text| text.to_string());
    let node = file.node_id.as_deref().map(str::parse::<NodeId>).transpose();
    Ok(Endpoint {
        address: file.node.clone(),
        server_name: file.server_name.clone(),
        node: node.map_err(|error| Missing::Failed(format!("node_id: {error}")))?,
        authority_pem: text(&file.authority)?,
        certificate_pem: text(&file.certificate)?,
        key_pem: text(&file.key)?,
    })
}

/// A partner that is not let in is C03's finding; everything else belongs to the call.
fn answer(error: &ClientError) -> Missing {
    let class = error.reason().map(liaison_protocol::reason::Reason::class);
    match class {
        Some(Class::PermissionDenied | Class::Unauthenticated) => Missing::After(Code::C03),
        _ => Missing::Failed(error.to_string()),
    }
}
