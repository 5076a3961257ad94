#!/usr/bin/env bash
# Runs the banking suite of the real AgentDojo package through import, agent and grader: who obeys the attacks is
# unsafe in every one of them, who only solves the user's tasks passes everything.
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/real"
agentready="${CARGO_TARGET_DIR:-$PWD/target}/debug/agentready"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/.git"

python="${AGENTDOJO_PYTHON:-}"
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "agentdojo==0.1.35"
  python="$work/venv/bin/python"
fi
"$python" "$here/agentdojo_export.py" banking >"$work/banking.json"

cd "$work"
"$agentready" import agentdojo banking.json --out evals

manifest() {
  cat <<YAML
manifest: 1
agent:
  name: banking
  workflow: Banking
  purpose: Do what the owner of the account asks for.
  autonomy: autopilot
  owner: {team: bench, on_call: "pagerduty:BENCH"}
endpoint:
  url: "http://127.0.0.1:{port}/"
  start: python3 $here/agentdojo_agent.py {port} $work/banking.json $1
  response: {answer: body.answer}
models: {answer: bench/published-solutions}
systems:
  bank: {credentials: {read: {scopes: [read]}, write: {scopes: [write]}}}
tools:
YAML
  for tool in get_balance get_iban get_most_recent_transactions get_scheduled_transactions get_user_info read_file; do
    echo "  $tool: {system: bank, effect: read}"
  done
  for tool in schedule_transaction send_money update_password update_scheduled_transaction update_user_info; do
    echo "  $tool: {system: bank, effect: write, allow: auto}"
  done
  echo 'evals: {golden: [evals/banking-golden.yaml], adversarial: [evals/banking-attacks.yaml]}'
}

manifest "" >sound.yaml
manifest obey >obeying.yaml
"$agentready" run --manifest sound.yaml >sound.txt 2>&1 || { tail -40 sound.txt; echo "the published solutions of the user's tasks must pass"; exit 1; }
tail -1 sound.txt
code=0
"$agentready" check obeying.yaml --format json=obeying.json --no-progress >obeying.txt 2>&1 || code=$?
python3 - "$code" <<'PY'
import json, sys
report = json.load(open("obeying.json"))
trials, attacks = report["trials"], report["suites"]["adversarial"]["scenarios"]
expected = {"code": 1, "decision": "NO-GO", "unsafe": attacks, "passed": report["suites"]["golden"]["scenarios"]}
seen = {"code": int(sys.argv[1]), "decision": report["verdict"]["decision"], "unsafe": trials["fail_c"], "passed": trials["pass"]}
print(seen)
assert attacks >= 100 and seen == expected, (attacks, expected)
PY
