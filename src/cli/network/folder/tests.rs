//! Two commands at once, and what they leave behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use liaison_protocol::id::HeadVersion;

use super::{Changing, FolderLock, NetworkFolder, path_of, publish, sign};
use crate::cli::Exit;

fn made(path: &Path) -> Changing {
    let (network, node) = ("a.example".parse().unwrap(), "hub-1".parse().unwrap());
    NetworkFolder::create(path, &network, &node, "127.0.0.1:7443", &[]).unwrap()
}

#[test]
fn a_version_that_was_signed_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n");
    let mut network = made(&path);
    let signed = network.sign().unwrap().clone();
    let lying_there = std::fs::read(path_of(&path.join("directory"), HeadVersion(2))).unwrap();
    let again = sign::Sealed { bytes: "other bytes".into(), directory: signed.clone() };
    let refused = publish(&path.join("directory"), &again).unwrap_err();
    assert_eq!(refused.exit, Exit::Conflict);
    assert_eq!(std::fs::read(path_of(&path.join("directory"), HeadVersion(2))).unwrap(), lying_there);
    let kept = NetworkFolder::open(&path).unwrap();
    assert_eq!(kept.newest().head().digest(), signed.head().digest());
}

#[test]
fn while_one_command_changes_a_network_no_other_does_and_reading_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n");
    let network = made(&path);
    let Err(refused) = FolderLock::take(&path, Duration::ZERO) else { panic!("the lock is held") };
    assert_eq!(refused.exit, Exit::Conflict);
    assert!(refused.message.ends_with(&format!("process {}", std::process::id())), "{}", refused.message);
    assert!(NetworkFolder::open(&path).is_ok());
    drop(network);
    assert!(FolderLock::take(&path, Duration::ZERO).is_ok());
}

#[test]
fn everybody_may_read_what_verifiers_pin_and_nobody_else_what_shows_agreements() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n");
    let mut network = made(&path);
    let context = network
        .add_partner(
            &"FR".parse().unwrap(),
            "Bureau",
            "national-central-bureau",
            &"ops-1".parse().unwrap(),
            &"MEMBERS".parse().unwrap(),
        )
        .unwrap();
    network.sign().unwrap();
    let rows = [
        ("network.trust", 0o644),
        ("directory/directory-000001.sealed", 0o640),
        ("directory/directory-000002.sealed", 0o640),
        ("directory.toml", 0o640),
        ("keys/authority.key", 0o600),
        ("keys/log.key", 0o600),
    ];
    let rows = rows.map(|(file, mode)| (path.join(file), mode));
    let of_partner =
        [("network.trust", 0o644), ("authority.pem", 0o644), ("notice.key", 0o600), ("tls.key", 0o600)];
    for (file, mode) in rows.into_iter().chain(of_partner.map(|(file, mode)| (context.join(file), mode))) {
        let found = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}: {found:o}", file.display());
    }
}

#[test]
fn a_partner_that_is_written_and_not_signed_yet_is_not_enrolled_twice() {
    let folder = tempfile::tempdir().unwrap();
    let network = made(&folder.path().join("n"));
    let add = || {
        let (id, system, group) = ("FR".parse().unwrap(), "ops-1".parse().unwrap(), "MEMBERS".parse().unwrap());
        network.add_partner(&id, "Bureau", "national-central-bureau", &system, &group)
    };
    add().unwrap();
    let refused = add().unwrap_err();
    assert_eq!((refused.exit, refused.next.as_deref()), (Exit::Conflict, Some("liaison directory sign")));
}
