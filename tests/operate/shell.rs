//! Completions and manual pages.

use std::process::Command;

fn liaison(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_liaison")).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn completions_are_a_script_that_its_shell_can_read_and_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = liaison(&["completions", shell]);
        for command in ["support-bundle", "completions", "inbox"] {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("liaison.bash");
    std::fs::write(&script, liaison(&["completions", "bash"])).unwrap();
    assert!(Command::new("bash").arg("-n").arg(script).status().unwrap().success());
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    liaison(&["man", folder.path().to_str().unwrap()]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(format!("{name}.1"))).expect(name);
    assert!(page("liaison").contains(".TH liaison"));
    for (name, word) in [("liaison-serve", "check"), ("liaison-log-follow", "pin"), ("liaison-send", "recipient")] {
        assert!(page(name).to_lowercase().contains(word), "{word} in {name}");
    }
}
