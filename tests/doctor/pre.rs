//! Before a start: what files and the machine say.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;

use liaison_protocol::id::Micros;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};

use super::place::{Place, Report, Row, hours, public, stopped, strange_authority, strange_key};
use crate::support::{Network, now};

/// Most of a row is waiting for other processes.
const AT_A_TIME: usize = 4;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a key that nobody knows in the configuration",
        does: |place| place.write("hub.toml", place.text("hub.toml") + "surprise = 1\n"),
        amiss: &[("F01", "failed")],
        found: "surprise",
        fix: "hub.toml",
        mends: false,
    },
    Row {
        name: "a configuration that is not there",
        does: |place| std::fs::rename(place.path("hub.toml"), place.path("other.toml")).unwrap(),
        amiss: &[("F01", "failed")],
        found: "No such file",
        fix: "liaison init --folder",
        mends: false,
    },
    Row {
        name: "a trust file that is not there",
        does: |place| std::fs::remove_file(place.path("network.trust")).unwrap(),
        amiss: &[("F02", "failed")],
        found: "directory.trust",
        fix: "put the file there",
        mends: false,
    },
    Row {
        name: "a private key that others can read",
        does: |place| place.mode("pki/hub-1.key", 0o644),
        amiss: &[("F03", "failed")],
        found: "tls.key",
        fix: "chmod 600",
        mends: true,
    },
    Row {
        name: "a trust file that anybody can change",
        does: |place| place.mode("network.trust", 0o666),
        amiss: &[("F04", "failed")],
        found: "directory.trust",
        fix: "chmod o-w",
        mends: true,
    },
    Row {
        name: "the key of another certificate",
        does: |place| place.write("pki/hub-1.key", place.text("partners/KE/tls.key")),
        amiss: &[("K01", "failed")],
        found: "is not the key of the certificate",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a key file that holds no key",
        does: |place| place.write("pki/hub-1.key", "nothing"),
        amiss: &[("K01", "failed")],
        found: "holds no PEM private key",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "the certificate of another node",
        does: |place| place.node_certificate("hub-2", &["localhost"], -1, 24 * 366),
        amiss: &[("K02", "failed")],
        found: "node/hub-2",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate that may only call",
        does: |place| callers_certificate(place, "spiffe://network.liaison.example/node/hub-1", "pki/hub-1"),
        amiss: &[("K03", "failed")],
        found: "extended key usage",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate that ended",
        does: |place| place.node_certificate("hub-1", &["localhost"], -100, -3),
        amiss: &[("K04", "failed")],
        found: "ended 3 h",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate that ends today",
        does: |place| place.node_certificate("hub-1", &["localhost"], -1, 20),
        amiss: &[("K04", "failed")],
        found: "ends in 19 h",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate that ends within a week",
        does: |place| place.node_certificate("hub-1", &["localhost"], -1, 24 * 5 + 1),
        amiss: &[("K04", "warning")],
        found: "ends in 5 days: hurry",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate that ends within a month",
        does: |place| place.node_certificate("hub-1", &["localhost"], -1, 24 * 20 + 1),
        amiss: &[("K04", "warning")],
        found: "ends in 20 days",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate that does not hold yet",
        does: |place| place.node_certificate("hub-1", &["localhost"], 49, 24 * 366),
        amiss: &[("K04", "failed")],
        found: "which is in 2 days",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "a certificate by an authority that is not pinned",
        does: |place| {
            let (network, node) = ("network.liaison.example".parse().unwrap(), "hub-1".parse().unwrap());
            let ips = [[127, 0, 0, 1].into()];
            let issued = strange_authority().issue_node(&network, &node, &["hub-1"], &ips, hours(-1, 9_000));
            place.install("pki/hub-1", &issued.unwrap());
        },
        amiss: &[("K05", "failed")],
        found: "no authority pinned",
        fix: "liaison certificate node hub-1",
        mends: true,
    },
    Row {
        name: "another log key",
        does: |place| place.write("keys/log.key", strange_key()),
        amiss: &[("K06", "failed")],
        found: "the directory lists",
        fix: "liaison directory show --folder",
        mends: false,
    },
    Row {
        name: "a certificate without the address that the directory lists",
        does: |place| place.node_certificate("hub-1", &["hub-1"], -1, 24 * 366),
        amiss: &[("K07", "warning")],
        found: "127.0.0.1",
        fix: "--dns 127.0.0.1",
        mends: true,
    },
    Row {
        name: "a trust file that says something else",
        does: |place| place.write("network.trust", format!("nonsense\n{}", place.text("network.trust"))),
        amiss: &[("D01", "failed")],
        found: "line 1",
        fix: "trust file",
        mends: false,
    },
    Row {
        name: "a sealed directory with one byte changed",
        does: |place| {
            let file = "directory/directory-000003.sealed";
            let mut bytes = std::fs::read(place.path(file)).unwrap();
            let last = bytes.len() - 40;
            bytes[last] ^= 1;
            place.write(file, bytes);
        },
        amiss: &[("D02", "failed")],
        found: "directory-000003.sealed",
        fix: "as the authority published it",
        mends: false,
    },
    Row {
        name: "a directory that is overdue",
        does: |place| place.sign_at(now().plus(-40 * Micros::DAY)),
        amiss: &[("D03", "warning")],
        found: "has been due for 10 days",
        fix: "liaison directory sign --folder",
        mends: true,
    },
    Row {
        name: "a directory that is due soon",
        does: |place| place.sign_at(now().plus(-25 * Micros::DAY)),
        amiss: &[("D03", "warning")],
        found: "is due in",
        fix: "liaison directory sign --folder",
        mends: true,
    },
    Row {
        name: "a directory that lists another node",
        does: |place| {
            place.change("directory.toml", "home = \"hub-1\"", "home = \"hub-2\"");
            place.amend("id = \"hub-1\"", "id = \"hub-2\"");
        },
        amiss: &[("D04", "failed")],
        found: "it lists hub-2",
        fix: "liaison directory show --folder",
        mends: false,
    },
    Row {
        name: "an agreement that ends soon",
        does: |place| place.amend("until = \"", &format!("until = \"{}\" # ", in_days(10))),
        amiss: &[("D05", "warning")],
        found: "members ends in",
        fix: "liaison directory sign --folder",
        mends: false,
    },
    Row {
        name: "no agreement in force any more",
        does: |place| {
            place.change("directory.toml", "from = \"", "from = \"2020-01-01\" # ");
            place.amend("until = \"", "until = \"2021-01-01\" # ");
        },
        amiss: &[("D05", "failed")],
        found: "nobody may send anything",
        fix: "until",
        mends: false,
    },
    Row {
        name: "a trust file that does not name the log",
        does: |place| {
            let text = place.text("network.trust");
            let without: Vec<_> = text.lines().filter(|line| !line.starts_with("log ")).collect();
            place.write("network.trust", without.join("\n") + "\n");
        },
        amiss: &[("D07", "failed")],
        found: "receipts will not verify",
        fix: "echo 'log hub-1.",
        mends: true,
    },
    Row {
        name: "a deny list with a line that says nothing",
        does: |place| {
            place.change("hub.toml", "[tls]\n", "[tls]\ndenied = \"denied.txt\"\n");
            place.write("denied.txt", "# stolen\nthe laptop\n");
        },
        amiss: &[("D08", "failed")],
        found: "denied.txt: line 2",
        fix: "mend the line",
        mends: false,
    },
    Row {
        name: "a revocation list that is not there",
        does: |place| configure_lists(place),
        amiss: &[("D09", "failed")],
        found: "none of its certificates is let in",
        fix: "fetch the newest list",
        mends: false,
    },
    Row {
        name: "a revocation list that has ended",
        does: |place| revocation_list(place, -48, -1),
        amiss: &[("D09", "failed")],
        found: "lists.pem",
        fix: "fetch the newest list",
        mends: false,
    },
    Row {
        name: "a revocation list that ends today",
        does: |place| revocation_list(place, -48, 5),
        amiss: &[("D09", "warning")],
        found: "due in 4 h",
        fix: "fetch the newest list",
        mends: false,
    },
    Row {
        name: "a partner that can sign for nothing",
        does: |place| {
            let key = format!("ed25519 = \"{}\"\n", public(place, "partners/KE/acknowledgement.key"));
            place.amend(&key, &format!("{key}denied = true\n"));
        },
        amiss: &[("D10", "warning")],
        found: "N12 partner KE",
        fix: "liaison directory lint --folder",
        mends: false,
    },
    Row {
        name: "a port that is taken",
        does: |place| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let taken = listener.local_addr().unwrap().to_string();
            place.change("hub.toml", "127.0.0.1:0", &taken);
            // Held until the test process ends.
            std::mem::forget(listener);
        },
        amiss: &[("C06", "failed")],
        found: "in use",
        fix: "ss -ltnp",
        mends: false,
    },
    Row {
        name: "a store that a newer program wrote",
        does: |place| place.tamper("PRAGMA user_version = 99"),
        amiss: &[("S02", "failed")],
        found: "format 99",
        fix: "liaison --version",
        mends: false,
    },
    Row {
        name: "a store that is damaged",
        does: |place| place.write("data/liaison.db", vec![7; 8192]),
        amiss: &[("S02", "failed")],
        found: "damaged",
        fix: "restore a backup",
        mends: false,
    },
    Row {
        name: "another process on the store",
        does: |place| {
            let lock = std::fs::File::options().read(true).write(true).open(place.path("data/liaison.db.lock"));
            let lock = lock.unwrap();
            lock.lock().unwrap();
            std::mem::forget(lock);
        },
        amiss: &[("S03", "failed")],
        found: "has the store",
        fix: "ps -p",
        mends: false,
    },
    Row {
        name: "no reserve",
        does: |place| std::fs::remove_file(place.path("data/liaison.db.reserve")).unwrap(),
        amiss: &[("S04", "warning")],
        found: "given up on a full disk",
        fix: "makes it again",
        mends: false,
    },
    Row {
        name: "a store that others can read",
        does: |place| place.mode("data/liaison.db", 0o644),
        amiss: &[("S05", "failed")],
        found: "mode 0644",
        fix: "chmod 600",
        mends: true,
    },
    Row {
        name: "a checkpoint that the log's key did not sign",
        does: |place| place.tamper(&format!("UPDATE notes SET note = CAST('{}' AS BLOB)", forged(place))),
        amiss: &[("L01", "failed")],
        found: "is not its",
        fix: "stop the node",
        mends: false,
    },
    Row {
        name: "a store from an older backup",
        does: |place| {
            let (data, older) = (place.path("data"), place.path("older"));
            for file in ["liaison.db", "liaison.db-wal", "liaison.db-shm", "liaison.db.notices"] {
                let _ = std::fs::remove_file(data.join(file));
                let _ = std::fs::copy(older.join(file), data.join(file));
            }
        },
        amiss: &[("L03", "failed")],
        found: "older backup",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "a store that is gone",
        does: |place| {
            for file in ["liaison.db", "liaison.db-wal", "liaison.db-shm", "liaison.db.notices"] {
                let _ = std::fs::remove_file(place.path("data").join(file));
            }
        },
        amiss: &[("L03", "failed")],
        found: "the store is gone",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "an anchor of another history",
        does: |place| place.anchor().keep_checkpoint(place.signed_checkpoint(3).into()).unwrap(),
        amiss: &[("L03", "failed")],
        found: "another history",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "an anchor that is gone",
        does: |place| std::fs::remove_dir_all(place.path("anchor")).unwrap(),
        amiss: &[("L03", "failed")],
        found: "is not there",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "an anchor with one copy damaged",
        does: |place| {
            let copy = place.path("anchor/hub-1.network.liaison.example-log.anchor-copy");
            let text = std::fs::read_to_string(&copy).unwrap().replacen("origin", "Origin", 1);
            std::fs::write(copy, text).unwrap();
        },
        amiss: &[("L03", "warning")],
        found: "anchor-copy does not have the digest",
        fix: "nothing",
        mends: false,
    },
    Row {
        name: "a statement of which one bit is another",
        does: |place| {
            let flip = "UPDATE entries SET salt = zeroblob(32) WHERE seq = 1";
            place.tamper(flip);
        },
        amiss: &[("L04", "failed")],
        found: "statement 1 does not open its leaf",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "a stored leaf that was changed",
        does: |place| place.tamper("UPDATE entries SET leaf = zeroblob(33) WHERE seq = 1"),
        amiss: &[("L04", "failed")],
        found: "statement 1",
        fix: "restore a backup",
        mends: false,
    },
    Row {
        name: "a recipient set that was changed",
        does: |place| place.tamper("UPDATE sets SET members = zeroblob(length(members))"),
        amiss: &[("L05", "failed")],
        found: "its recipient set",
        fix: "keep",
        mends: false,
    },
    Row {
        name: "a clock before the directory",
        does: |place| place.sign_at(now().plus(2 * Micros::DAY + Micros::HOUR)),
        amiss: &[("T01", "failed")],
        found: "is 2 days before the directory was signed",
        fix: "timedatectl set-ntp true",
        mends: false,
    },
];

fn in_days(days: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(now().plus(days * Micros::DAY).0).unwrap();
    at.to_string()
}

/// The newest checkpoint with one digit of its signature changed.
fn forged(place: &Place) -> String {
    let note = place.kept_checkpoint();
    let at = note.rfind("==").or_else(|| note.rfind('=')).unwrap_or(note.len() - 1) - 6;
    let digit = if &note[at..=at] == "A" { "B" } else { "A" };
    format!("{}{digit}{}", &note[..at], &note[at + 1..])
}

fn configure_lists(place: &Place) {
    let lists = "\n[[tls.revocation]]\nauthority = \"pki/ca.pem\"\nlists = [\"lists.pem\"]\n";
    place.write("hub.toml", place.text("hub.toml") + lists);
}

/// A list by the network's own authority that revokes nobody, from and to so many hours from now.
fn revocation_list(place: &Place, from: i64, to: i64) {
    revokes(place, from, to, &[]);
}

/// The same, revoking the certificates in these files.
pub(super) fn revokes(place: &Place, from: i64, to: i64, files: &[&str]) {
    configure_lists(place);
    let moment = |hours: i64| {
        let seconds = now().plus(hours * Micros::HOUR).0 / Micros::SECOND;
        date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(u64::try_from(seconds).unwrap())
    };
    let authority_key = KeyPair::from_pem(&place.text("pki/ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&place.text("pki/ca.pem"), authority_key).unwrap();
    let revoked = files.iter().map(|file| RevokedCertParams {
        serial_number: serial(&place.text(file)),
        revocation_time: moment(from),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: moment(from),
        next_update: moment(to),
        crl_number: SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    place.write("lists.pem", params.signed_by(&issuer).unwrap().pem().unwrap());
}

fn serial(certificate: &str) -> SerialNumber {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    SerialNumber::from_slice(certificate.raw_serial())
}

/// Puts in place a node's certificate under an authority between, which ended an hour ago, and the network's own.
pub(super) fn under_an_ended_intermediate(place: &Place) {
    let moment = |hours: i64| {
        let seconds = now().plus(hours * Micros::HOUR).0 / Micros::SECOND;
        date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(u64::try_from(seconds).unwrap())
    };
    let authority_key = KeyPair::from_pem(&place.text("pki/ca.key")).unwrap();
    let root = Issuer::from_ca_cert_pem(&place.text("pki/ca.pem"), authority_key).unwrap();
    let mut between = CertificateParams::default();
    between.distinguished_name.push(DnType::CommonName, "Between");
    between.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    between.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (between.not_before, between.not_after) = (moment(-100), moment(-1));
    let between_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let between_pem = between.signed_by(&between_key, &root).unwrap().pem();
    let between = Issuer::new(between, between_key);
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![
        SanType::URI("spiffe://network.liaison.example/node/hub-1".try_into().unwrap()),
        SanType::DnsName("hub-1".try_into().unwrap()),
    ];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    (leaf.not_before, leaf.not_after) = (moment(-2), moment(9_000));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let leaf = leaf.signed_by(&key, &between).unwrap();
    place.write("pki/hub-1.pem", leaf.pem() + &between_pem);
    place.write("pki/hub-1.key", key.serialize_pem());
}

/// A certificate by the network's own authority, for calling only.
pub(super) fn callers_certificate(place: &Place, uri: &str, stem: &str) {
    let mut params = CertificateParams::default();
    let address: std::net::IpAddr = [127, 0, 0, 1].into();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap()), SanType::IpAddress(address)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let authority_key = KeyPair::from_pem(&place.text("pki/ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&place.text("pki/ca.pem"), authority_key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let issued = params.signed_by(&key, &issuer).unwrap();
    place.write(&format!("{stem}.pem"), issued.pem());
    place.write(&format!("{stem}.key"), key.serialize_pem());
}

#[test]
fn a_network_that_was_never_started_is_found_well() {
    let network = Network::of(&["FR", "KE"]);
    let report = Place::copy_of(&network.path("")).pre();
    report.is_well("never started");
    assert_eq!(report.object["totals"]["skipped"], 6, "what a store would say: {}", report.object);
}

#[test]
fn a_node_that_was_stopped_is_found_well_and_nothing_is_left_out() {
    Place::copy_of(&stopped().path("")).pre().is_all_well("stopped");
}

#[test]
fn before_a_start_exactly_the_broken_thing_is_found() {
    let network = stopped();
    let source = network.path("");
    std::thread::scope(|scope| {
        for rows in ROWS.chunks(ROWS.len().div_ceil(AT_A_TIME)) {
            let source = &source;
            scope.spawn(move || {
                for row in rows {
                    let place = Place::copy_of(source);
                    (row.does)(&place);
                    place.shows(row, Place::pre);
                }
            });
        }
    });
}

#[test]
fn a_data_folder_that_the_keys_owner_cannot_use_is_found() {
    let place = Place::copy_of(&stopped().path(""));
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    // Only root can give a folder away; anybody else can only lock himself out.
    let found = if root {
        std::os::unix::fs::chown(place.path("data"), Some(12_345), None).unwrap();
        "belongs to user 12345"
    } else {
        place.mode("data", 0o500);
        "denied"
    };
    let row = Row {
        name: "data folder",
        does: |_| {},
        amiss: &[("S01", "failed")],
        found,
        fix: "chown -R --reference=",
        mends: root,
    };
    place.shows(&row, Place::pre);
    place.mode("data", 0o700);
}

#[test]
fn a_shell_that_allows_few_descriptors_is_found() {
    let place = Place::copy_of(&stopped().path(""));
    let command = format!("liaison doctor --pre --config '{}'", place.path("hub.toml").display());
    let report = Report::limited(&command, "200", &place);
    let check = report.check("H01");
    assert_eq!((check["outcome"].as_str(), report.exit), (Some("warning"), 0), "{check}");
    assert!(check["found"].as_str().unwrap().contains("may have 200"), "{check}");
    assert!(check["fix"]["text"].as_str().unwrap().starts_with("ulimit -n "), "{check}");
}

#[test]
fn nothing_is_changed_by_looking() {
    let place = Place::copy_of(&stopped().path(""));
    let files = || {
        let list = place.run(&format!(
            "cd '{}' && find . -type f ! -name '*-shm' | LC_ALL=C sort | xargs sha256sum && find . -printf '%p %m %U\\n' | LC_ALL=C sort",
            place.path("").display()
        ));
        String::from_utf8(list.stdout).unwrap()
    };
    let before = files();
    assert!(before.contains("liaison.db"), "{before}");
    place.pre().is_all_well("looking");
    assert_eq!(files(), before);
}
