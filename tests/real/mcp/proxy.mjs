// Calls tools of a real MCP server, once at the server itself and once through the gate, and holds the raw messages against
// each other. Usage: proxy.mjs DIRECT THROUGH
const [direct, through] = process.argv.slice(2);
const calls = [
  ["echo", { message: "Grüße \u{1F600}" }],
  ["get-tiny-image", {}],
  ["get-annotated-message", { messageType: "error", includeImage: true }],
  ["get-structured-content", { location: "New York" }],
  ["get-resource-links", { count: 2 }],
  ["get-sum", { a: "no number", b: 2 }],
];

class Line {
  session;
  constructor(url) {
    this.url = url;
  }
  async send(message) {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    if (message.method !== "initialize") headers["mcp-protocol-version"] = "2025-06-18";
    if (this.session) headers["mcp-session-id"] = this.session;
    const answer = await fetch(this.url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", ...message }) });
    this.session ??= answer.headers.get("mcp-session-id") ?? undefined;
    const text = await answer.text();
    if (message.id === undefined) return undefined;
    const lines = text.startsWith("{") ? [text] : text.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
    const found = lines.map((line) => JSON.parse(line)).find((one) => one.id === message.id);
    if (!found) throw new Error(`${this.url} answered ${answer.status} ${text.slice(0, 200)}`);
    return found;
  }
  async open() {
    const clientInfo = { name: "proxy", version: "1" };
    await this.send({ id: 0, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo } });
    await this.send({ method: "notifications/initialized" });
  }
}

const sorted = (value) =>
  Array.isArray(value)
    ? value.map(sorted)
    : value && typeof value === "object"
      ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
      : value;
const lines = [new Line(direct), new Line(through)];
for (const line of lines) await line.open();
let kinds = new Set();
for (const [index, [name, args]] of calls.entries()) {
  const [own, passed] = await Promise.all(
    lines.map((line) => line.send({ id: index + 1, method: "tools/call", params: { name, arguments: args } })),
  );
  const [a, b] = [own, passed].map((answer) => JSON.stringify(sorted({ result: answer.result, error: answer.error })));
  if (a !== b) throw new Error(`${name}: the server says ${a}\nand through the gate it is ${b}`);
  for (const block of own.result?.content ?? []) kinds.add(block.type);
  if (own.error) kinds.add("error");
  if (own.result?.structuredContent) kinds.add("structured");
}
console.log(`${calls.length} answers are the same through the gate: ${[...kinds].sort().join(", ")}`);
