#!/usr/bin/env bash
# Checks a real agent on the official A2A SDK end to end: its trials, the context that its calls carry, and the drills with
# the gate's scripted model. With its policy every drill holds; without it each control is refuted and the verdict NO-GO.
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/real"
agentready="${CARGO_TARGET_DIR:-$PWD/target}/debug/agentready"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

python="${A2A_PYTHON:-}"
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    "a2a-sdk[http-server]==1.3.0" "uvicorn==0.54.0" "httpx==0.28.1" "starlette==1.10.0"
  python="$work/venv/bin/python"
fi

for policy in on off; do
  mkdir -p "$work/$policy/.git"
  cp "$here"/a2a/* "$work/$policy"
  sed -i "s#{python}#$python#; s#{policy}#$policy#" "$work/$policy/agentready.yaml"
  (cd "$work/$policy" && "$agentready" check --suite golden --no-progress --format json=report.json >report.txt 2>&1) || true
  python3 "$here/a2a/expect.py" "$policy" "$work/$policy/report.json" || {
    cat "$work/$policy/report.txt"
    exit 1
  }
done
