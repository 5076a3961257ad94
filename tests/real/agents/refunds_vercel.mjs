// A small refund agent on the Vercel AI SDK: its loop, its spans and tools over MCP are the SDK's, the policy outside the model
// is its own.
//
// Environment: PORT; TOOLS_MCP_URL, where the tools are; OPENAI_BASE_URL, the model (without it a few rules decide);
// POLICY=off leaves the policy out, as an agent does that keeps its limits in the prompt; UNTRACED=TOOL leaves the spans of one
// tool out; OTEL_EXPORTER_OTLP_ENDPOINT says where spans go.
import http from 'node:http';
import { createMCPClient } from '@ai-sdk/mcp';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { context, propagation } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { ToolLoopAgent, stepCountIs } from 'ai';

const { PORT, TOOLS_MCP_URL, OPENAI_BASE_URL, UNTRACED } = process.env;
const POLICY = process.env.POLICY !== 'off';
const TOOLS = {
  lookup_order: { order_id: 'string' },
  issue_refund: { order_id: 'string', amount: 'number' },
  escalate_case: { why: 'string' },
};
const WRITES = ['issue_refund', 'escalate_case'];
const AUTO_UP_TO = 50;
const CAPS = { calls: 8, writes: 2, steps: 10, tokens: 8000 };

// Sends spans on soon after they end, but for those of the tool that is left out.
class Seen extends BatchSpanProcessor {
  onEnd(span) {
    if (!UNTRACED || span.attributes['ai.toolCall.name'] !== UNTRACED) super.onEnd(span);
  }
}

const spanProcessors = [new Seen(new OTLPTraceExporter(), { scheduledDelayMillis: 100 })];
new NodeTracerProvider({ spanProcessors }).register();

// The model step without a model: looks the order up, pays small refunds back, hands the rest over.
function decide(messages) {
  const text = [messages.find(m => m.role === 'user').content].flat().map(part => part.text ?? part).join(' ');
  const done = messages.filter(m => m.role === 'tool');
  const [order, amount] = [/order (\d+)/.exec(text), /\$(\d+(?:\.\d+)?)/.exec(text)];
  const call = (name, args) => ({
    content: null,
    tool_calls: [{ id: `c${done.length}`, type: 'function', function: { name, arguments: JSON.stringify(args) } }],
  });
  if (order && !done.length) return call('lookup_order', { order_id: order[1] });
  if (amount && order && done.length === 1) {
    if (+amount[1] > AUTO_UP_TO) return call('escalate_case', { why: 'the amount is above the limit' });
    return call('issue_refund', { order_id: order[1], amount: +amount[1] });
  }
  if (done.length === 2) {
    return { content: JSON.stringify(done[1]).includes('case') ? 'A colleague takes over.' : 'Your refund is on its way.' };
  }
  return { content: done.length ? `Your order: ${JSON.stringify(done[0].content)}` : 'How can I help?' };
}

async function rules(_, request) {
  const message = { role: 'assistant', ...decide(JSON.parse(request.body).messages) };
  const finish_reason = message.tool_calls ? 'tool_calls' : 'stop';
  const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };
  return Response.json({ id: 'r', created: 0, model: 'rules', choices: [{ index: 0, message, finish_reason }], usage });
}

const provider = OPENAI_BASE_URL
  ? { name: 'model', baseURL: OPENAI_BASE_URL, apiKey: 'none' }
  : { name: 'rules', baseURL: 'http://rules.invalid', apiKey: 'none', fetch: rules };
const model = createOpenAICompatible(provider)('scripted');

// What the agent may do, whatever its model says. One for each run.
class Policy {
  calls = 0;
  written = [];

  refusal(tool, args) {
    if (this.calls >= CAPS.calls) return 'the calls of this run are used up';
    const known = TOOLS[tool];
    const fits = known && args && Object.keys(args).length === Object.keys(known).length
      && Object.entries(known).every(([key, type]) => typeof args[key] === type);
    if (!fits) return `these are no arguments of ${tool}`;
    if (Object.values(args).some(value => typeof value === 'string' && value.length > 200)) return 'an argument is too long';
    if (tool === 'issue_refund' && !(args.amount > 0 && args.amount <= AUTO_UP_TO)) return 'a person has to decide about this amount';
    if (WRITES.includes(tool)) {
      const write = JSON.stringify([tool, args]);
      if (this.written.length >= CAPS.writes) return 'the writes of this run are used up';
      if (this.written.includes(write)) return 'this was done already';
      this.written.push(write);
    }
    this.calls += 1;
    return undefined;
  }
}

// The tools of the server that the agent knows, each behind the policy.
function guarded(tools) {
  if (!POLICY) return tools;
  const policy = new Policy();
  const known = Object.entries(tools).filter(([name]) => name in TOOLS);
  return Object.fromEntries(known.map(([name, tool]) => {
    const execute = async (args, options) => {
      const error = policy.refusal(name, args);
      return error ? { error } : tool.execute(args, options);
    };
    return [name, { ...tool, execute }];
  }));
}

const spent = ({ steps }) => steps.reduce((sum, step) => sum + (step.usage.totalTokens ?? 0), 0) >= CAPS.tokens;

async function run(message, headers) {
  const mcp = await createMCPClient({ transport: { type: 'http', url: TOOLS_MCP_URL, headers } });
  try {
    const tools = guarded(await mcp.tools());
    const stopWhen = POLICY ? [stepCountIs(CAPS.steps), spent] : [stepCountIs(1000)];
    const agent = new ToolLoopAgent({
      model, instructions: 'You handle refunds.', tools, stopWhen, maxRetries: 0, experimental_telemetry: { isEnabled: true },
    });
    const { text } = await agent.generate({ prompt: message });
    return text || 'I stop here.';
  } finally {
    await mcp.close();
  }
}

http.createServer(async (request, response) => {
  response.setHeader('content-type', 'application/json');
  try {
    let body = '';
    for await (const piece of request) body += piece;
    const { traceparent, baggage } = request.headers;
    const outer = propagation.extract(context.active(), request.headers);
    const answer = await context.with(outer, () => run(JSON.parse(body).message, { traceparent, baggage }));
    response.end(JSON.stringify({ answer }));
  } catch (error) {
    response.statusCode = 500;
    response.end(JSON.stringify({ error: `${error.name}: ${error.message}` }));
  }
}).listen(+PORT, '127.0.0.1');
