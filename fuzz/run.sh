#!/usr/bin/env bash
# Fuzzes every target for some seconds each. It installs what it needs into target/ and leaves nothing elsewhere.
#   fuzz/run.sh SECONDS [TARGET…]
# With LIAISON_FUZZ_SEED=N every run goes the same way; without it each goes another.
# A finding is printed with the file that shows it (target/fuzz/artifacts/TARGET/…), and the exit code is 1.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:?usage: fuzz/run.sh SECONDS [TARGET…]}"
shift
tools="$PWD/target/fuzz-tools"
built="$PWD/target/fuzz"
# The code under test forbids unsafe code, so that what a sanitizer could see is a panic anyway; without one it runs twice as fast.
# Coverage is an unstable flag of a stable compiler.
export RUSTC_BOOTSTRAP=1

if [ ! -x "$tools/bin/cargo-fuzz" ]; then
  CARGO_TARGET_DIR="$tools/build" cargo install --quiet --locked --root "$tools" --debug cargo-fuzz@0.13.2
  rm -rf "$tools/build"
fi
export PATH="$tools/bin:$PATH"

echo "== building"
cargo fuzz build --sanitizer none --target-dir "$built"
binaries="$(find "$built" -maxdepth 2 -type d -name release | head -n 1)"
python3 fuzz/seeds.py "$built/corpus"

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)

fuzz() {
  local target="$1" log="$built/$1.log"
  mkdir -p "$built/artifacts/$target" "$built/found/$target"
  # What is found goes into a folder of its own; the seeds stay what they were.
  if "$binaries/$target" ${LIAISON_FUZZ_SEED:+"-seed=$LIAISON_FUZZ_SEED"} -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$built/artifacts/$target/" "$built/found/$target" "$built/corpus/$target" >"$log" 2>&1; then
    printf ' ✔ %-10s %s runs, %s features\n' "$target" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$(grep -o 'ft: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)"
  else
    printf ' ✘ %s\n' "$target"
    tail -n 30 "$log"
    return 1
  fi
}
export -f fuzz
export built binaries seconds

echo "== fuzzing, $seconds s each"
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}'
