#!/usr/bin/env bash
# Checks real agents end to end, on the official A2A SDK, the Vercel AI SDK and the OpenAI Agents SDK: their trials, eight in
# flight; the context that their calls carry; their spans; and the drills with the gate's scripted model. With its policy every
# drill of an agent holds and each call has its span; without it each control is refuted and the verdict is NO-GO, and the spans
# of one tool are missed by name.
#
# Usage: agents.sh [a2a-sdk] [vercel-ai-sdk] [openai-agents-sdk]
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/real/agents"
agentready="${CARGO_TARGET_DIR:-$PWD/target}/debug/agentready"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
wanted=" ${*:-a2a-sdk vercel-ai-sdk openai-agents-sdk} "

# VENV PACKAGE...
python_with() {
  python3 -m venv "$work/$1"
  "$work/$1/bin/pip" install --quiet --disable-pip-version-check "${@:2}" \
    "uvicorn==0.54.0" "starlette==1.10.0" "opentelemetry-sdk==1.45.2" "opentelemetry-exporter-otlp-proto-http==1.45.2"
}

# FRAMEWORK PROTOCOL START...
check() {
  for policy in on off; do
    local folder="$work/$1-$policy" untraced=
    if [ "$policy" = off ]; then untraced="UNTRACED=issue_refund"; fi
    mkdir -p "$folder/.git"
    cp "$here"/*.yaml "$folder"
    sed -i "s#FRAMEWORK#$1#; s#PROTOCOL#$2#; s#START#env POLICY=$policy $untraced ${*:3}#" "$folder/agentready.yaml"
    (cd "$folder" && "$agentready" check --suite golden --concurrency 8 --no-progress --record records \
      --format json=report.json >report.txt 2>&1) || true
    python3 "$here/expect.py" "$1" "$policy" "$folder/report.json" "$folder"/records/*/trials.ndjson || {
      cat "$folder/report.txt"
      exit 1
    }
  done
}

if [[ "$wanted" == *" a2a-sdk "* ]]; then
  python_with a2a "a2a-sdk[http-server]==1.3.0" "httpx==0.28.1"
  check a2a-sdk a2a "$work/a2a/bin/python" "$here/refunds_a2a.py"
fi
if [[ "$wanted" == *" vercel-ai-sdk "* ]]; then
  cp "$here/package.json" "$here/refunds_vercel.mjs" "$work"
  (cd "$work" && npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null)
  check vercel-ai-sdk http node "$work/refunds_vercel.mjs"
fi
if [[ "$wanted" == *" openai-agents-sdk "* ]]; then
  python_with openai "openai-agents==0.24.0" "openai==3.54.0" "mcp==2.3.0" "openinference-instrumentation-openai-agents==2.6.0"
  check openai-agents-sdk http "$work/openai/bin/python" "$here/refunds_openai.py"
fi
