"""A small refund agent on the OpenAI Agents SDK: its loop and tools over MCP are the SDK's, the policy is its own.

The SDK asks its model over Responses and its tools in the newest era of MCP; OpenInference turns its traces into spans.
Environment: PORT; TOOLS_MCP_URL, where the tools are; OPENAI_BASE_URL, the model (without it a few rules decide); and what
refunds.py reads.
"""

import json
import os
import uuid

import uvicorn
from agents import Agent, Model, ModelResponse, ModelSettings, OpenAIResponsesModel, RunHooks, Runner, Usage
from agents.mcp import MCPServerStreamableHttp
from mcp_types import CallToolResult, TextContent
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry import context, propagate
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from refunds import POLICY, TOOLS, Budget, Policy, rules, tracer

PORT = int(os.environ["PORT"])
TOOLS_URL = os.environ["TOOLS_MCP_URL"]
MODEL_URL = os.environ.get("OPENAI_BASE_URL")
tracer()
OpenAIAgentsInstrumentor().instrument(exclusive_processor=True)


class Rules(Model):
    """The model step without a model."""

    async def get_response(self, system_instructions, input, *rest, **named):
        said = [item for item in input if item.get("role") == "user"]
        results = [json.dumps(item["output"]) for item in input if item.get("type") == "function_call_output"]
        match rules(said[0]["content"], results):
            case str(answer):
                part = ResponseOutputText(type="output_text", text=answer, annotations=[])
                item = ResponseOutputMessage(type="message", id="m", role="assistant", status="completed", content=[part])
            case name, args:
                item = ResponseFunctionToolCall(
                    type="function_call", call_id=f"c{uuid.uuid4().hex}", name=name, arguments=json.dumps(args)
                )
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *rest, **named):
        raise NotImplementedError("these rules have no stream")


MODEL = OpenAIResponsesModel("scripted", AsyncOpenAI(base_url=MODEL_URL, api_key="none", max_retries=0)) if MODEL_URL else Rules()


class Guarded(MCPServerStreamableHttp):
    """The tools of the server that the agent knows, each behind the policy."""

    def __init__(self, policy, headers):
        super().__init__({"url": TOOLS_URL, "headers": headers}, name="shop", failure_error_function=None)
        self.policy = policy

    async def list_tools(self, *rest, **named):
        tools = await super().list_tools(*rest, **named)
        return [tool for tool in tools if not POLICY or tool.name in TOOLS]

    async def call_tool(self, tool_name, arguments, meta=None):
        why = self.policy.refusal(tool_name, arguments or {})
        if why is None:
            return await super().call_tool(tool_name, arguments, meta)
        return CallToolResult(content=[TextContent(type="text", text=json.dumps({"error": why}))], is_error=True)


class Steps(RunHooks):
    """Counts steps and tokens before each question to the model."""

    def __init__(self, policy):
        self.policy = policy

    async def on_llm_start(self, context, agent, system_prompt, input_items):
        self.policy.tokens = context.usage.total_tokens
        self.policy.step()


def is_spent(error):
    """Whether a cap of the run stands behind an error; the SDK wraps what a tool raises."""
    return error is not None and (isinstance(error, Budget) or is_spent(error.__cause__ or error.__context__))


async def run(text, headers):
    policy = Policy()
    try:
        async with Guarded(policy, headers) as shop:
            agent = Agent(
                name="refunds", instructions="You handle refunds.", model=MODEL, mcp_servers=[shop],
                model_settings=ModelSettings(extra_headers=headers),
            )
            done = await Runner.run(agent, [{"role": "user", "content": text}], max_turns=1000, hooks=Steps(policy))
            return done.final_output
    except Exception as error:
        if is_spent(error):
            return "I stop here: the budget of this run is used up."
        raise


async def chat(request):
    headers = {name: request.headers[name] for name in ("traceparent", "baggage") if name in request.headers}
    outer = context.attach(propagate.extract(headers))
    try:
        return JSONResponse({"answer": await run((await request.json())["message"], headers)})
    except Exception as error:
        return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 500)
    finally:
        context.detach(outer)


if __name__ == "__main__":
    app = Starlette(routes=[Route("/", chat, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
