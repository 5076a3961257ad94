#!/usr/bin/env bash
# Runs the official MCP clients (Python 1.x and 2.x, TypeScript 1.x and 2.x) against the gate's tools, over HTTP and over
# stdio; each lists the tools, makes a call that takes effect and one that is refused, and the gate has seen them all.
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/real/mcp"
agentready="${CARGO_TARGET_DIR:-$PWD/target}/debug/agentready"
work="$(mktemp -d)"
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

for pinned in mcp==1.30.0 mcp==2.3.0; do
  python3 -m venv "$work/$pinned"
  "$work/$pinned/bin/pip" install --quiet --disable-pip-version-check "$pinned"
done
cp "$here"/*.mjs "$work"
(cd "$work" && npm install --silent --no-audit --no-fund --ignore-scripts \
  @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0 >/dev/null)

"$agentready" serve --demo >"$work/url" 2>"$work/calls" &
server=$!
for _ in $(seq 300); do
  [ -s "$work/url" ] && break
  sleep 0.1
done
url="$(cat "$work/url")"

clients=0
met() {
  clients=$((clients + 1))
  printf '  %-22s %s\n' "$1" "$("${@:2}" | tail -n 1 | cut -c 1-100)"
}
for way in http stdio; do
  place=("$url")
  [ "$way" = http ] || place=("$agentready" serve --stdio --to "$url")
  met "python 1.x, $way" "$work/mcp==1.30.0/bin/python" "$here/python1.py" "${place[@]}"
  met "python 2.x, $way" "$work/mcp==2.3.0/bin/python" "$here/python2.py" "${place[@]}"
  met "typescript 1.x, $way" node "$work/typescript1.mjs" "${place[@]}"
  met "typescript 2.x, $way" node "$work/typescript2.mjs" legacy "${place[@]}"
  met "typescript 2.x auto, $way" node "$work/typescript2.mjs" auto "${place[@]}"
done

sleep 1
kill -INT "$server"
wait "$server"
server=""
executed="$(grep -c 'executed  search_policy' "$work/calls")"
blocked="$(grep -c 'blocked  get_order' "$work/calls")"
[ "$executed" = "$clients" ] && [ "$blocked" = "$clients" ] || {
  echo "the gate saw $executed and $blocked calls of $clients clients:"
  cat "$work/calls"
  exit 1
}
echo "MCP clients: $clients of $clients listed the tools and called them; the gate saw $((executed + blocked)) calls"
