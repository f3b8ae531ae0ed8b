//! `docs/CONFIG.md` is the table of `liaison::config::reference`, for people.
//! `LIAISON_GENERATE=1 cargo test --test tidy config` writes it anew.

use std::fmt::Write as _;

use liaison::config::reference::KEYS;

fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         One TOML file a node. Relative paths start at the file's folder. A key that is not listed here is refused; nothing is taken from \
         the environment but `RUST_LOG`, the filter of the log on stderr. `liaison serve --check --config FILE` says what a start would \
         say, and changes nothing. `liaison reload` takes up directory and certificate at once, and says whether the file itself is \
         still one that a start would take; what it changes is in force after a restart.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(
                page,
                "\n## [{section}]\n\n| key | value | default | refused unless | meaning | example |\n|---|---|---|---|---|---|\n"
            );
        }
        let default = key.default.unwrap_or("must be there");
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} | {} | `{}` |",
            key.name, key.kind, key.bound, key.meaning, key.example
        );
    }
    page
}

#[test]
fn the_page_of_the_configuration_is_the_table() {
    super::audit::is_fresh("docs/CONFIG.md", &page());
}
