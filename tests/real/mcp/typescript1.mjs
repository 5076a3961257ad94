// The official MCP client of TypeScript, 1.x: lists the tools and calls one. Usage: typescript1.mjs URL | typescript1.mjs COMMAND ARG...
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [place, ...args] = process.argv.slice(2);
const transport = place.startsWith('http')
  ? new StreamableHTTPClientTransport(new URL(place))
  : new StdioClientTransport({ command: place, args });
const client = new Client({ name: 'real-client', version: '1' });
await client.connect(transport);
const { tools } = await client.listTools();
const found = await client.callTool({ name: 'search_policy', arguments: { query: 'refund' } });
const refused = await client.callTool({ name: 'get_order', arguments: { order_id: 'none such' } });
if (found.isError || !refused.isError) throw new Error(JSON.stringify([found, refused]));
console.log(transport.protocolVersion ?? 'stdio', tools.length, found.content[0].text);
await client.close();
