#!/usr/bin/env bash
# Checks real agents end to end, on the official A2A SDK and on the Vercel AI SDK: their trials, the context that their calls
# carry, and the drills with the gate's scripted model. With its policy every drill of an agent holds; without it each control
# is refuted and the verdict is NO-GO.
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/real/agents"
agentready="${CARGO_TARGET_DIR:-$PWD/target}/debug/agentready"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  "a2a-sdk[http-server]==1.3.0" "uvicorn==0.54.0" "httpx==0.28.1" "starlette==1.10.0"
cp "$here/package.json" "$here/refunds_vercel.mjs" "$work"
(cd "$work" && npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null)

# FRAMEWORK PROTOCOL START...
check() {
  for policy in on off; do
    local folder="$work/$1-$policy"
    mkdir -p "$folder/.git"
    cp "$here"/*.yaml "$folder"
    sed -i "s#FRAMEWORK#$1#; s#PROTOCOL#$2#; s#START#env POLICY=$policy ${*:3}#" "$folder/agentready.yaml"
    (cd "$folder" && "$agentready" check --suite golden --no-progress --format json=report.json >report.txt 2>&1) || true
    python3 "$here/expect.py" "$1" "$policy" "$folder/report.json" || {
      cat "$folder/report.txt"
      exit 1
    }
  done
}
check a2a-sdk a2a "$work/venv/bin/python" "$here/refunds_a2a.py"
check vercel-ai-sdk http node "$work/refunds_vercel.mjs"
