#!/usr/bin/env bash
# Runs the official MCP clients (Python 1.x and 2.x, TypeScript 1.x and 2.x) against the gate's tools, over HTTP and over
# stdio; each lists the tools, makes a call that takes effect and one that is refused, and the gate has seen them all. Then the
# gate stands in front of a reference server, over HTTP and over stdio; its answers must come through as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/real/mcp"
agentready="${CARGO_TARGET_DIR:-$PWD/target}/debug/agentready"
work="$(mktemp -d)"
server=""
reference=""
trap 'kill $server $reference 2>/dev/null; rm -rf "$work"' EXIT

for pinned in mcp==1.30.0 mcp==2.3.0; do
  python3 -m venv "$work/$pinned"
  "$work/$pinned/bin/pip" install --quiet --disable-pip-version-check "$pinned"
done
cp "$here"/*.mjs "$work"
(cd "$work" && npm install --silent --no-audit --no-fund --ignore-scripts \
  @modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0 \
  @modelcontextprotocol/server-everything@2026.8.31 >/dev/null)

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

port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
direct="http://127.0.0.1:$port/mcp"
PORT="$port" node "$work/node_modules/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp >"$work/reference" 2>&1 &
reference=$!
for _ in $(seq 300); do
  grep -q listening "$work/reference" && break
  sleep 0.1
done
mkdir -p "$work/staging/.git"
tools=""
for tool in echo get-tiny-image get-annotated-message get-structured-content get-resource-links get-sum; do
  tools="$tools  $tool: {system: everything, effect: read}"$'\n'
done
echo 'suite: golden
scenarios: {talk: {say: hello, expect: [{answer: {contains: [hello]}}]}}' >"$work/staging/golden.yaml"
for forward in "mcp: \"$direct\"" "run: node $work/node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio"; do
  cat >"$work/staging/agentready.yaml" <<MANIFEST
manifest: 1
agent: {name: everything, autonomy: read-only}
endpoint: {url: "http://127.0.0.1:1"}
systems: {everything: {forward: {$forward}}}
tools:
${tools}evals: {golden: [golden.yaml]}
MANIFEST
  : >"$work/url"
  "$agentready" serve --manifest "$work/staging/agentready.yaml" >"$work/url" 2>"$work/calls" &
  server=$!
  for _ in $(seq 300); do
    [ -s "$work/url" ] && break
    sleep 0.1
  done
  echo "forward ${forward%%:*}: $(node "$here/proxy.mjs" "$direct" "$(cat "$work/url")")"
  sleep 1
  kill -INT "$server"
  wait "$server"
  server=""
  answered="$(grep -c '(answered by everything)' "$work/calls")"
  [ "$answered" = 6 ] || { echo "the ledger has $answered of 6 forwarded calls:"; cat "$work/calls"; exit 1; }
done
