//! FAULTS 107: what is secret or about a person is planted everywhere, and looked for wherever a node says anything.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use liaison_client::sign::DraftPart;
use liaison_protocol::proto::{self, PartRole, Verdict};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::{ask, watched};
use crate::support::*;

/// What is planted, each where its name says.
const PLANTED: &[&str] = &[
    "CanaryPayload",
    "CanaryAttachment",
    "CanaryPersonSubject",
    "CanaryRestriction",
    "CanaryRefusal",
    "CANARYREFERENCE",
    "CanaryPartnerName",
    "CanaryConfigComment",
    "CanaryConfigValue",
    "CanarySelfSigned",
    "CanaryCommonName",
    "CanaryGarbage",
    "CanaryField",
    "CanaryHeader",
    "CanaryPath",
    "CanaryDirectory",
    "CanaryKeyFile",
];

/// Every form in which a key may give itself away: the lines of its file, and its secret bytes in digits and as they are shown.
fn secrets(folder: &Path) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "key") {
                let pem = std::fs::read_to_string(&path).unwrap();
                // The first line of a key of this kind says only which kind it is.
                secrets
                    .extend(pem.lines().filter(|line| !line.starts_with("--")).map(|line| line[26..].to_owned()));
                if let Ok(seed) = liaison_client::key_file::seed(&pem) {
                    secrets.push(seed.iter().map(|byte| format!("{byte:02x}")).collect());
                    secrets.push(seed[8..16].iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
                }
            }
        }
    }
    assert!(secrets.len() > 15 && secrets.iter().all(|secret| secret.len() > 10), "{secrets:?}");
    secrets
}

/// What stands in a text and must not.
fn found<'a>(text: &str, canaries: &'a [String]) -> Vec<&'a str> {
    canaries.iter().map(String::as_str).filter(|canary| text.contains(*canary)).collect()
}

/// Comes to the door with a certificate whose subject is a canary.
async fn knock(network: &Network, node: &Node, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(network.path("pki/ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(&node.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut line = connector.connect(ServerName::try_from("hub-1").unwrap(), tcp).await.unwrap();
    let refused = soon("the alert", line.read_u8()).await;
    assert!(refused.unwrap_err().to_string().contains("alert"), "it was let in");
}

fn named(name: &str) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

async fn hostile_certificates(network: &Network, node: &Node) {
    let der = |key: &rcgen::KeyPair| PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let alone = named("CanarySelfSigned").self_signed(&key).unwrap();
    knock(network, node, vec![alone.der().clone()], der(&key)).await;
    let issuer = rcgen::Issuer::new(named("Some other authority"), rcgen::KeyPair::generate().unwrap());
    let issued = named("CanaryCommonName").signed_by(&key, &issuer).unwrap();
    knock(network, node, vec![issued.der().clone()], der(&key)).await;
}

/// Bytes that are no message, a field that breaks its rule, and a header that nobody asked for; what the caller is told.
async fn bad_input(fr: &Partner) -> Vec<String> {
    let mut told = Vec::new();
    let garbage = fr.raw.submit(Bytes::from_static(b"CanaryGarbage"), Vec::new()).await.unwrap_err();
    told.push(format!("{garbage:?}"));
    let mut draft = fr.draft("FR/field", &["KE"]);
    draft.handling.restriction = "CanaryField: a restriction where the code takes none".into();
    let signed = fr.sign(draft);
    told.push(format!("{:?}", fr.raw.submit(signed.envelope.clone(), signed.parts.clone()).await.unwrap_err()));
    let notice = fr.notice("FR/header", &["NOBODY"]);
    let mut request = tonic::Request::new(proto::SubmitRequest { envelope: notice.envelope, parts: notice.parts });
    request.metadata_mut().insert("x-note", "CanaryHeader".parse().unwrap());
    told.push(format!("{:?}", refused(&fr.raw.exchange().submit(request).await.unwrap_err())));
    told
}

/// Files that cannot be used: a directory, a key, a configuration. What the operator is told.
fn bad_reload(network: &Network) -> Vec<String> {
    let right = std::fs::read(network.path("hub.toml")).unwrap();
    let newest = std::fs::read_dir(network.path("directory")).unwrap().count();
    let next = network.path("directory").join(format!("directory-{:06}.sealed", newest + 1));
    std::fs::write(&next, "CanaryDirectory").unwrap();
    let key = network.path("pki/hub-1.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::write(&key, "CanaryKeyFile").unwrap();
    network.configure_more("\nsurprise = \"CanaryConfigValue\"\n");
    let (exit, stdout, stderr) = network.operator(&["reload"]);
    assert_eq!(exit, 1, "{stdout}{stderr}");
    assert_eq!(stdout.matches("kept as it was").count(), 3, "{stdout}");
    let check = network.operator(&["serve", "--check"]);
    assert_eq!(check.0, 2, "{check:?}");
    std::fs::write(&key, kept).unwrap();
    std::fs::remove_file(next).unwrap();
    std::fs::write(network.path("hub.toml"), right).unwrap();
    vec![stdout, stderr, check.1, check.2]
}

#[tokio::test]
async fn fault_107_no_key_payload_or_person_is_in_anything_a_node_says() {
    let network = watched(&["FR"]);
    network.enrol_as("KE", "Bureau of CanaryPartnerName");
    network.configure_more("\n# CanaryConfigComment\n[audit]\nto = \"data/audit.jsonl\"\n");
    let node = network.start_saying("debug").await;
    let fr = network.partner("FR", &node).await;
    let ke = network.partner("KE", &node).await;

    // Sent, delivered, received and refused.
    let mut draft = fr.draft("FR/CANARYREFERENCE", &["KE"]);
    let content = b"{\"subject\": \"CanaryPersonSubject\", \"body\": \"CanaryPayload\"}";
    draft.parts[0].bytes = Bytes::from_static(content);
    draft.parts.push(DraftPart {
        role: PartRole::Attachment,
        media_type: "text/plain".into(),
        bytes: Bytes::from_static(b"CanaryAttachment"),
    });
    draft.handling.code = proto::HandlingCode::H3;
    draft.handling.restriction = "CanaryRestriction".into();
    let notice = fr.sign(draft);
    fr.submit(&notice).await.unwrap();
    let delivered = ke.collect().await;
    ke.settle(&ke.verdict_over(&delivered[0], Verdict::Refused, "CanaryRefusal")).await;
    let conflict = fr.notice("FR/CANARYREFERENCE", &["KE"]);
    let mut said = vec![format!("{:?}", fr.raw.submit(conflict.envelope, conflict.parts).await.unwrap_err())];

    said.extend(bad_input(&fr).await);
    hostile_certificates(&network, &node).await;
    said.push(ask(&node, "/CanaryPath?q=CanaryPath").await.1);
    said.extend(bad_reload(&network));
    let bundle = network.path("bundle.tar");
    let made = network.operator(&["support-bundle", "--yes", "--to", bundle.to_str().unwrap()]);
    assert_eq!(made.0, 0, "{made:?}");
    let items = super::bundle::open(&bundle);
    assert!(items.len() > 10 && items["audit-tail.jsonl"].contains("tls.reject"), "{items:?}");
    said.extend([made.1, made.2]);
    said.extend(items.into_values());
    for page in ["/metrics", "/readyz", "/livez"] {
        said.push(ask(&node, page).await.1);
    }
    assert_log_is_sound(&fr).await;
    drop((fr, ke));
    let (ended, printed) = node.stop_and_say().await;
    assert!(ended.success());
    said.push(printed);

    let read = |file: &str| String::from_utf8_lossy(&std::fs::read(network.path(file)).unwrap()).into_owned();
    let (log, audit) = (read("hub.log"), read("data/audit.jsonl"));
    assert!(log.len() > 10_000 && log.contains("DEBUG"), "the log says much: {} bytes", log.len());
    for event in ["tls.reject", "refused", "reload_failed", "cert.rotation_failed", "node.stopped"] {
        assert!(audit.contains(&format!("\"event\":\"{event}\"")), "{event} in {audit}");
    }

    // They were there to be found: the store holds the notice, and the partner's name is in its directory.
    let held = std::fs::read_dir(network.path("data")).unwrap().map(|entry| entry.unwrap().path());
    let held: Vec<_> = held.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect();
    let holds = |canary: &str| held.iter().any(|file| file.windows(canary.len()).any(|at| at == canary.as_bytes()));
    for canary in ["CanaryPayload", "CanaryAttachment", "CanaryRestriction", "CANARYREFERENCE", "CanaryRefusal"] {
        assert!(holds(canary), "{canary} was never there");
    }
    let canaries: Vec<_> =
        PLANTED.iter().map(|canary| (*canary).to_owned()).chain(secrets(&network.path(""))).collect();
    for (where_, text) in [("log", &log), ("audit", &audit)] {
        let found = found(text, &canaries);
        let line = text.lines().find(|line| found.first().is_some_and(|canary| line.contains(*canary)));
        assert!(found.is_empty(), "{where_}: {found:?} in {line:?}");
    }
    // Whoever wrote a reference himself may be told it again; nobody else is.
    for text in said {
        let found = found(&text, &canaries);
        assert!(found.iter().all(|canary| *canary == "CANARYREFERENCE"), "{found:?} in {text}");
    }
}
