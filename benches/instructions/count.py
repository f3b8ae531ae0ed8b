"""Runs the accept path under callgrind and says what one notice costs. `run.sh` says what is counted and why.

    count.py PROGRAM [--record | --symbols WORD]
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RECORDED = Path(__file__).with_name("recorded.json")
FEW, MANY = 1_000, 3_000
CHANGE_MAX = 0.05

# By the function that an instruction stands in. What neither knows is everything else.
SIGNATURES = re.compile(r"curve25519|ed25519|subtle::|sha2::|sha512")
HASHING = re.compile(r"ring::digest|sha256")

# Functions with all they call, to say where a change lies; they overlap and nothing is compared. One that is gone has become part of
# another.
STEPS = {
    "decode the request": r"grpc::codec::Decode<.*::decode$",
    "parse and verify": r"Exchange>::verified_manifests",
    "open the parts": r"part::Parts::open$",
    "authorise": r"policy::decide::authorise$",
    "decide": r"state::stage::Stage<.*>::decide$",
    "build the batch": r"sequencer::edge::Edge::build$",
    "commit, to memory": r"store::memory::MemoryWriter as .*::commit::\{\{closure\}\}$",
    "second root, checkpoint, fold": r"sequencer::run::Run::settle$",
    "prove": r"tlog::tree::Tree::inclusion$",
    "pool the receipts": r"sequencer::published::pool$",
}


class Profile:
    """One callgrind file (its format version 1): instructions of each function alone, and with all it calls."""

    def __init__(self, text: str):
        self.alone: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()
        names: dict[str, str] = {}
        function, call = "", False

        def named(word: str) -> str:
            # A name stands once, behind its number; then the number alone.
            number, _, name = word.partition(" ")
            return names.setdefault(number, name or number)

        for line in text.splitlines():
            if line.startswith("fn="):
                function = named(line[3:])
            elif line.startswith("cfn="):
                named(line[4:])
            elif line.startswith("calls="):
                call = True
            elif line and (line[0].isdigit() or line[0] in "+-*"):
                cost = int(line.split()[1])
                self.whole[function] += cost
                self.alone[function] += 0 if call else cost
                call = False


def run(program: str, accept: int) -> Profile:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-line=no"]
        notices = ["--prepare", str(MANY), "--accept", str(accept)]
        done = subprocess.run([*valgrind, program, *notices], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{done.stderr}\n{done.stdout}")
        return Profile(out.read_text())


def each(few: Counter[str], many: Counter[str]) -> dict[str, float]:
    """What one notice costs, function by function."""
    return {name: (cost - few[name]) / (MANY - FEW) for name, cost in many.items()}


def compare(counted: dict[str, int]) -> int:
    recorded = json.loads(RECORDED.read_text())
    changes = {name: counted[name] / recorded[name] - 1 for name in counted}
    for name, change in changes.items():
        print(f" {name}: {counted[name]:,} where {recorded[name]:,} are recorded, {change:+.1%}")
    if "avx2" not in Path("/proc/cpuinfo").read_text().split():
        print(" not compared: this processor has no AVX2, and the record is of one that has")
        return 0
    if max(changes.values()) > CHANGE_MAX:
        print(f" more than {CHANGE_MAX:.0%} above the record: mend it, or record it and say why (run.sh --record)")
        return 1
    if min(changes.values()) < -CHANGE_MAX:
        print(" well below the record: record it, so that it stays (run.sh --record)")
    return 0


def main() -> int:
    program, options = sys.argv[1], sys.argv[2:]
    with ThreadPoolExecutor() as both:
        few, many = both.map(lambda accept: run(program, accept), [FEW, MANY])
    alone, whole = each(few.alone, many.alone), each(few.whole, many.whole)

    if options[:1] == ["--symbols"]:
        for name in sorted(whole, key=whole.__getitem__, reverse=True):
            if options[1] in name:
                print(f" {whole[name]:>9,.0f} {alone[name]:>9,.0f}  {name}")
        return 0

    signatures = sum(cost for name, cost in alone.items() if SIGNATURES.search(name))
    hashing = sum(cost for name, cost in alone.items() if HASHING.search(name) and not SIGNATURES.search(name))
    counted = {"hashing": round(hashing), "everything else": round(sum(alone.values()) - signatures - hashing)}
    print(" instructions a notice")
    for name, cost in {"signatures": signatures, **counted}.items():
        print(f" {cost:>9,.0f}  {name}")
    print(" of which, each with all it calls")
    for name, pattern in STEPS.items():
        found = [cost for function, cost in whole.items() if re.search(pattern, function)]
        print(f" {sum(found):>9,.0f}  {name}" if found else f" {'-':>9}  {name}")

    if options == ["--record"]:
        RECORDED.write_text(json.dumps(counted, indent=2) + "\n")
        print(f" recorded in {RECORDED}")
        return 0
    return compare(counted)


sys.exit(main())
