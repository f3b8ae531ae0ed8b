#!/usr/bin/env bash
# What callers who mean ill cost a node and everybody else, measured from outside, over loopback:
#   benches/abuse/run.sh             everything, against a release build
#   benches/abuse/run.sh door        how long a good caller waits while strangers crowd the door
#   benches/abuse/run.sh headers     by how much memory grows under large headers on fifty lines
#   benches/abuse/run.sh frames      what each kind of frame costs in processor time until its line is cut
# LIAISON_BIN=target/debug/liaison measures another build. Python's standard library is enough; Linux only (/proc, 127.0.0.0/8).
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${LIAISON_BIN:-}" ]; then
  cargo build --release --quiet --bin liaison
  LIAISON_BIN=target/release/liaison
fi
exec python3 benches/abuse/abuse.py "$LIAISON_BIN" "$@"
