#!/usr/bin/env bash
# Counts what accepting a notice costs in instructions, which is the same every time where the clock is not, and compares it with
# `recorded.json`: exit 1 when a figure grew by more than 5 %. When one fell by more than 5 % it says so, to be recorded.
#   benches/instructions/run.sh             count and compare
#   benches/instructions/run.sh --record    count and record; commit recorded.json with what changed it
#   benches/instructions/run.sh --symbols WORD   functions whose names hold WORD: with all they call, alone, name
#
# Counted: all of the process, on all threads, for 2,000 notices: a run with 3,000 less a run with 1,000. Start, keys and signing are the
# same in both and go out. `main.rs` says what the path is.
# Three figures: hashing, signatures, and everything else. Signatures are printed and not compared: curve25519 chooses its code by what the
# processor can do, and a better way to verify must not hide a worse way to everything else. Hashing is compared apart: valgrind
# shows programs no SHA-NI, so that a hash weighs far more than it does in service and would drown the rest; how many are made shows all
# the same. SHA-256 and memcpy, too, have a way of their own where there is AVX2, which valgrind shows where the machine has it:
# elsewhere the figures are printed and not compared. AVX-512 it never shows.
# Built as the tests are, so that hardly anything is built again, but what is ours as in a release (build.toml). The figures are no
# release's; they move with the code as a release's do, and that is what they are for.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v valgrind >/dev/null; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends valgrind libc6-dbg >/dev/null
fi
mkdir -p target
program="$(cargo test --config benches/instructions/build.toml --no-run --bench instructions --message-format json \
  2>target/instructions.log | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "instructions":
        print(message["executable"])')" || { cat target/instructions.log >&2; exit 1; }
exec python3 benches/instructions/count.py "$program" "$@"
