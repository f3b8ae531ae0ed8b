//! What the commands print, word for word. `TRYCMD=overwrite` writes what they print now; read the difference before keeping it.

mod homes;
mod printing;
mod together;
mod verifying;

#[test]
fn the_commands_print_what_their_pages_show() {
    trycmd::TestCases::new()
        .register_bin("liaison", std::path::Path::new(env!("CARGO_BIN_EXE_liaison")))
        .env("LIAISON_CONTEXT", "")
        .case("tests/commands/*.trycmd");
}
