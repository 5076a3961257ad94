// The official MCP client of TypeScript, 2.x: lists the tools and calls one. Usage: typescript2.mjs MODE URL | typescript2.mjs MODE COMMAND ARG...
// MODE: `legacy` begins with initialize, `auto` asks for the era without sessions first.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [mode, place, ...args] = process.argv.slice(2);
const transport = place.startsWith('http')
  ? new StreamableHTTPClientTransport(new URL(place))
  : new StdioClientTransport({ command: place, args });
const client = new Client({ name: 'real-client', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport);
const { tools } = await client.listTools();
const found = await client.callTool({ name: 'search_policy', arguments: { query: 'refund' } });
const refused = await client.callTool({ name: 'get_order', arguments: { order_id: 'none such' } });
if (found.isError || !refused.isError) throw new Error(JSON.stringify([found, refused]));
console.log(client.getNegotiatedProtocolVersion?.() ?? mode, tools.length, found.content[0].text);
await client.close();
