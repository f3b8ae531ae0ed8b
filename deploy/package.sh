#!/usr/bin/env bash
# Builds the Debian package: the program, and what it prints about itself. Needs cargo-deb (`cargo install cargo-deb`).
set -euo pipefail
cd "$(dirname "$0")/.."

profile="${1:-release}"
target="${CARGO_TARGET_DIR:-target}"
cargo build --profile "$profile" --bin liaison
built="$target/$([ "$profile" = dev ] && echo debug || echo "$profile")/liaison"
made=target/package
rm -rf "$made"
mkdir -p "$made/completions"
cp "$built" "$made/liaison"
"$made/liaison" man "$made/man"
for shell in bash zsh fish; do "$made/liaison" completions "$shell" > "$made/completions/liaison.$shell"; done
cargo deb --no-build --profile "$profile"
