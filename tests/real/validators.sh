#!/usr/bin/env bash
# Holds what we publish and write against validators that are not ours.
set -euo pipefail
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
agentready="${CARGO_TARGET_DIR:-target}/debug/agentready"
passed=0
failed=0

check() {
  local name="$1"
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'not ok: %s\n' "$name"
    cat "$work/log"
  fi
}

for what in manifest scenario world check report; do
  "$agentready" schema "$what" >"$work/$what.json"
  check "schema $what is a JSON Schema" check-jsonschema --check-metaschema "$work/$what.json"
done
check "complete manifest" check-jsonschema --schemafile "$work/manifest.json" fixtures/complete/agentready.yaml
check "complete manifest in TOML" check-jsonschema --schemafile "$work/manifest.json" fixtures/manifests/complete.toml
check "minimal manifest" check-jsonschema --schemafile "$work/manifest.json" fixtures/manifests/minimal.yaml
check "wrong manifest is refused" bash -c '! check-jsonschema --schemafile "$1" fixtures/manifests/wrong.yaml' _ "$work/manifest.json"
check "demo manifest" check-jsonschema --schemafile "$work/manifest.json" fixtures/demo/agentready.yaml
for file in scenarios/golden/*.yaml scenarios/adversarial/*.yaml; do
  check "$file" check-jsonschema --schemafile "$work/scenario.json" "$file"
done
for file in scenarios/worlds/*.yaml; do
  check "$file" check-jsonschema --schemafile "$work/world.json" "$file"
done
for file in checks/*/*.yaml; do
  case "$file" in checks/profiles/* | checks/frameworks/*) continue ;; esac
  check "$file" check-jsonschema --schemafile "$work/check.json" "$file"
done

"$agentready" demo --flaw over-refund --exit-zero --no-progress --record "$work/runs" \
  --format json="$work/r.json" --format junit="$work/r.xml" --format markdown="$work/r.md" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
check "json report" check-jsonschema --schemafile "$work/report.json" "$work/r.json"
check "junit report" python3 tests/real/junit.py "$work/r.xml" "$work/r.json"
check "markdown report" python3 tests/real/markdown.py "$work/r.md"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
