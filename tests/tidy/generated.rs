//! Generated code is checked in, so that nobody needs a compiler for the wire; here is what makes it and proves it fresh.
//! `LIAISON_GENERATE=1 cargo test --test tidy generated` writes it anew.

use std::path::{Path, PathBuf};

use prost::Message as _;

const MESSAGES: &str = "crates/liaison-protocol/src/generated";
const CLIENT: &str = "crates/liaison-client/src/generated";
const SERVER: &str = "src/grpc/generated";
/// All messages and services.
const DESCRIPTORS: &str = "src/grpc/generated/descriptors.bin";
/// What the node's reflection service serves: all but what only its operator reaches.
const SERVED: &str = "src/grpc/generated/served.bin";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn protos() -> Vec<PathBuf> {
    let folder = repository().join("proto/liaison/v1");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("proto/liaison/v1 is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    files.sort();
    files
}

/// Generates everything into `root`, laid out as in the repository.
fn generate(root: &Path) {
    let descriptors = protox::compile(protos(), [repository().join("proto")]).expect("the protos compile");
    let into = |folder: &str| {
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder).expect("a folder to write to");
        folder
    };
    let services = |folder: &str| {
        tonic_prost_build::configure()
            .out_dir(into(folder))
            .extern_path(".liaison.v1", "::liaison_protocol::proto")
            .emit_rerun_if_changed(false)
    };
    tonic_prost_build::configure()
        .out_dir(into(MESSAGES))
        .bytes(".")
        .build_client(false)
        .build_server(false)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors.clone())
        .expect("messages generate");
    services(CLIENT).build_server(false).compile_fds(descriptors.clone()).expect("clients generate");
    services(SERVER)
        .build_client(false)
        .codec_path("crate::grpc::codec::Checked")
        // Put together from what is serialized already.
        .extern_path(".liaison.v1.CollectResponse", "crate::exchange::Frame")
        .compile_fds(descriptors.clone())
        .expect("servers generate");
    std::fs::write(root.join(DESCRIPTORS), descriptors.encode_to_vec()).expect("writable");
    let mut served = descriptors;
    served.file.retain(|file| file.name() != "liaison/v1/operator_service.proto");
    std::fs::write(root.join(SERVED), served.encode_to_vec()).expect("writable");
}

#[test]
fn generated_code_is_what_the_protos_say() {
    if std::env::var_os("LIAISON_GENERATE").is_some() {
        generate(repository());
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    generate(fresh.path());
    for folder in [MESSAGES, CLIENT, SERVER] {
        for entry in std::fs::read_dir(fresh.path().join(folder)).expect("generated") {
            let name = entry.expect("readable").file_name();
            let file = Path::new(folder).join(name);
            let expected = std::fs::read(fresh.path().join(&file)).expect("generated");
            let found = std::fs::read(repository().join(&file)).unwrap_or_default();
            assert!(
                found == expected,
                "{} is not what proto/ generates: LIAISON_GENERATE=1 cargo test --test tidy generated",
                file.display()
            );
        }
    }
}
