"""Medians over the rounds of `run.sh`: one JSON object, and the ratios in words on stderr.

    medians.py FOLDER RABBITMQ_VERSION NATS_VERSION
"""

import json
import statistics
import sys
from pathlib import Path

KEPT = {
    "liaison": ["accepted_per_s", "server_cpu_us_per_notice", "p50_us", "p99_us"],
    "rabbitmq": ["confirmed_per_s", "server_cpu_us_per_message", "p50_us", "p99_us"],
    "nats": ["confirmed_per_s", "server_cpu_us_per_message", "p50_us", "p99_us"],
}


def main() -> None:
    folder, rabbitmq_version, nats_version = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    medians, per_s = {}, {}
    for name, figures in KEPT.items():
        paths = sorted(folder.glob(f"{name}.*"), key=lambda path: int(path.suffix[1:]))
        rounds = [json.loads(path.read_text()) for path in paths]
        medians[name] = {figure: statistics.median(one[figure] for one in rounds) for figure in figures}
        per_s[name] = [one[figures[0]] for one in rounds]
        medians[name]["rounds"] = per_s[name]
    medians["rabbitmq"]["version"] = rabbitmq_version
    medians["nats"] |= {"version": nats_version, "sync": "always"}
    # Machines have good and bad minutes: each round is compared with itself.
    for name in ["rabbitmq", "nats"]:
        ratio = statistics.median(ours / theirs for ours, theirs in zip(per_s["liaison"], per_s[name]))
        medians[name]["liaison_over_it"] = round(ratio, 3)
        print(f" liaison over {name:<9} {ratio:6.2f}", file=sys.stderr)
    print(json.dumps(medians, indent=2))


main()
