//! What the program is built from: one TLS stack, one crypto provider for it, one Ed25519, and nothing older than a known hole.

use std::path::Path;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("readable")
}

/// Names and versions of the lock file.
fn locked() -> Vec<(String, Vec<u64>)> {
    let lock = read("Cargo.lock");
    let value = |line: &str, key: &str| {
        line.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(" = \""))
            .map(|rest| rest.trim_end_matches('"').to_string())
    };
    let lines: Vec<_> = lock.lines().collect();
    let packages = lines.windows(2).filter_map(|pair| Some((value(pair[0], "name")?, value(pair[1], "version")?)));
    packages
        .map(|(name, version)| {
            let plain = version.split(['-', '+']).next().unwrap_or_default().to_string();
            (name, plain.split('.').filter_map(|number| number.parse().ok()).collect())
        })
        .collect()
}

#[test]
fn what_deny_toml_bans_is_not_in_the_lock_file() {
    let banned = read("deny.toml");
    let banned: Vec<_> =
        banned.lines().filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next()).collect();
    assert!(banned.contains(&"aws-lc-rs") && banned.contains(&"native-tls"), "{banned:?}");
    for (name, _) in locked() {
        assert!(!banned.contains(&name.as_str()), "{name} is banned by deny.toml");
    }
}

/// What nobody uses is still built, and still has to be judged when it has a hole. A crate is used where its name stands in the code.
#[test]
fn every_dependency_is_used_by_the_package_that_names_it() {
    // Tests compile the client's stubs in, too.
    let stubs = "crates/liaison-client/src/generated";
    for (package, dependencies, places) in [
        ("Cargo.toml", "dependencies", &["src"][..]),
        ("Cargo.toml", "dev-dependencies", &["src", "tests", "benches", stubs]),
        ("crates/liaison-client/Cargo.toml", "dependencies", &["crates/liaison-client/src"]),
        ("crates/liaison-protocol/Cargo.toml", "dependencies", &["crates/liaison-protocol/src"]),
        ("crates/liaison-protocol/Cargo.toml", "dev-dependencies", &["crates/liaison-protocol/src"]),
    ] {
        let code: Vec<String> = places.iter().flat_map(|place| sources(place)).collect();
        let manifest: toml_edit::DocumentMut = read(package).parse().expect("TOML");
        let named = manifest[dependencies].as_table_like().expect("a table");
        for (name, _) in named.iter() {
            let word = if name == "rustls-webpki" { "webpki".to_owned() } else { name.replace('-', "_") };
            let in_code = |text: &String| {
                text.match_indices(&word).any(|(at, _)| {
                    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    !text[..at].ends_with(letter) && text[at + word.len()..].starts_with("::")
                        || text[..at].ends_with("use ") && !text[at + word.len()..].starts_with(letter)
                })
            };
            assert!(
                code.iter().any(in_code),
                "{package}: {dependencies} names {name}, and nothing in {places:?} uses it"
            );
        }
    }
    let shared: toml_edit::DocumentMut = read("Cargo.toml").parse().expect("TOML");
    let members =
        ["Cargo.toml", "crates/liaison-client/Cargo.toml", "crates/liaison-protocol/Cargo.toml"].map(read);
    for (name, _) in shared["workspace"]["dependencies"].as_table_like().expect("a table").iter() {
        let line = format!("{name}.workspace = true");
        assert!(
            members.iter().any(|member| member.lines().any(|found| found == line)),
            "{name}: no package takes it"
        );
    }
}

/// The text of every Rust file in a folder of the repository.
fn sources(folder: &str) -> Vec<String> {
    let (mut folders, mut texts) = (vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() && !path.ends_with("benches/peers") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(&path).expect("readable"));
            }
        }
    }
    texts
}

#[test]
fn nothing_is_older_than_its_known_holes() {
    let rows: &[(&str, &[u64])] = &[("rustls-webpki", &[0, 103, 13]), ("h2", &[0, 4, 16]), ("bytes", &[1, 11, 1])];
    let locked = locked();
    for (name, least) in rows {
        let found: Vec<_> = locked.iter().filter(|(found, _)| found == name).collect();
        assert!(!found.is_empty(), "{name} is not in the lock file");
        assert!(
            found.iter().all(|(_, version)| version.as_slice() >= *least),
            "{name}: {found:?}, at least {least:?}"
        );
    }
}

#[test]
fn ed25519_comes_from_one_place_only() {
    for folder in ["src", "crates"] {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("readable") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).expect("readable");
                    let found = ["signature::ED25519", "Ed25519KeyPair"].iter().find(|word| text.contains(**word));
                    assert_eq!(found, None, "{}: verify through liaison_protocol::keyring", path.display());
                }
            }
        }
    }
}
