//! The `liaison` command: one binary for operators, partners and auditors.

use std::process::ExitCode;

fn main() -> ExitCode {
    liaison::cli::main()
}
