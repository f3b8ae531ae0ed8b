#!/usr/bin/env bash
# Makes a virtual environment with what the example needs: bash examples/python/setup.sh FOLDER
set -euo pipefail
folder="${1:?usage: setup.sh FOLDER, e.g. target/python}"
here="$(cd "$(dirname "$0")" && pwd)"
[ -x "$folder/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
