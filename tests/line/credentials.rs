//! Rows 22 to 24 and 105: the node's own certificate and key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use liaison_protocol::id::Micros;

use super::certificate::*;
use super::support::*;

#[tokio::test]
async fn fault_23_the_next_handshake_shows_the_new_certificate_and_open_lines_stay() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let (mut before, _) = house.lets_in(&leaf).await;
    let old = house.credentials.certificate();
    assert_eq!(shown(before.get_ref().1), old);

    assert!(!house.credentials.reload(TODAY).unwrap(), "nothing is new yet");
    house.files.write(&node_leaf(&house.authority));
    assert!(house.credentials.reload(TODAY).unwrap());
    let (after, _) = house.lets_in(&leaf).await;
    assert_ne!(shown(after.get_ref().1), old);
    assert_eq!(shown(after.get_ref().1), house.credentials.certificate());
    say(&mut before).await.unwrap();
    house.audit.next("cert.rotated").await;
}

#[tokio::test]
async fn fault_24_broken_files_change_nothing() {
    let mut house = House::open().await;
    let leaf = house.authority.leaf(&of_partner("FR"));
    let old = house.credentials.certificate();
    let other = CredentialFiles::new();
    other.write(&node_leaf(&house.authority));
    let files = house.files.clone();
    let (certificate, key) = (&files.certificate, &files.key);
    let good = fs::read(certificate).unwrap();

    let breaks: [(&str, &dyn Fn()); 5] = [
        ("holds no PEM certificate", &|| {
            fs::write(certificate, "").unwrap();
        }),
        ("its first certificate cannot be read", &|| {
            fs::write(certificate, pem(b"junk")).unwrap();
        }),
        ("does not belong to the certificate", &|| {
            fs::copy(&other.certificate, certificate).unwrap();
        }),
        ("holds no PEM private key", &|| {
            fs::write(certificate, &good).unwrap();
            fs::write(key, "").unwrap();
        }),
        ("No such file", &|| fs::remove_file(key).unwrap()),
    ];
    for (rule, break_it) in breaks {
        break_it();
        let error = house.credentials.reload(TODAY).unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
        assert!(!error.contains('\n'), "{error}");
        house.audit.next("cert.rotation_failed").await;
        let (line, _) = house.lets_in(&leaf).await;
        assert_eq!(shown(line.get_ref().1), old, "after: {rule}");
    }
}

#[test]
fn fault_105_a_key_that_others_may_read_is_refused_with_its_name_and_the_rule() {
    let files = CredentialFiles::new();
    files.write(&Ca::named("Test").leaf(&of_node("hub-1")));
    for mode in [0o640, 0o604, 0o644, 0o660, 0o601] {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
        let error = files.load().unwrap_err().to_string();
        let expected =
            format!("{}: a private key must be closed to group and others: chmod 600", files.key.display());
        assert_eq!(error, expected);
    }
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(files.load().is_ok());
}

#[tokio::test]
async fn fault_22_the_end_of_the_nodes_certificate_is_announced_at_30_7_and_1_days_and_it_is_then_not_ready() {
    let mut house = House::open().await;
    let (from, until) = (TODAY, TODAY.plus(40 * Micros::DAY));
    house.files.write(&house.authority.leaf_with(&of_node("hub-1"), |params| valid(params, from, until)));
    house.credentials.reload(TODAY).unwrap();
    let seconds = |days: i64| until.plus(-days * Micros::DAY);
    // Looked at as often as one likes, each is said once.
    for (now, left_s, ready) in [
        (seconds(30), 30 * 86_400, true),
        (seconds(7), 7 * 86_400, true),
        (seconds(1), 86_400, true),
        (until.plus(Micros::SECOND), -1, false),
    ] {
        assert_eq!(house.credentials.ready(now.plus(-1)), Ok(()));
        house.credentials.alarm(now.plus(-1));
        house.credentials.alarm(now);
        house.credentials.alarm(now);
        let event = house.audit.next("cert.expiring").await;
        assert_eq!(
            (event["left_s"].as_str(), event["over"].as_str()),
            (&*left_s.to_string(), if ready { "false" } else { "true" })
        );
        assert_eq!(house.credentials.ready(now).is_ok(), ready);
    }
    house.credentials.alarm(until.plus(Micros::DAY));
    assert!(house.audit.is_silent(), "everything has been said once");
}

#[tokio::test]
async fn fault_24_a_certificate_that_has_ended_or_names_another_never_replaces_a_good_one() {
    let mut house = House::open().await;
    let old = house.credentials.certificate();
    let ended = house.authority.leaf_with(&of_node("hub-1"), |params| {
        valid(params, TODAY.plus(-2 * Micros::DAY), TODAY.plus(-Micros::DAY));
    });
    for (leaf, rule) in [
        (ended, "has ended"),
        (house.authority.leaf(&of_node("site-1")), "names another identity"),
        (house.authority.leaf(&of_partner("FR")), "names another identity"),
    ] {
        house.files.write(&leaf);
        let error = house.credentials.reload(TODAY).unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
        house.audit.next("cert.rotation_failed").await;
        assert_eq!(house.credentials.certificate(), old);
    }
}
