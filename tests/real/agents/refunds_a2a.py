"""A small refund agent on the official A2A SDK: its loop and its spans are its own, its tools are called over HTTP.

Environment: PORT; TOOLS_URL, where the tools are; OPENAI_BASE_URL, the model (without it a few rules decide); and what
refunds.py reads.
"""

import json
import os

import httpx
import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, Task, TaskState, TaskStatus
from opentelemetry import context, propagate
from starlette.applications import Starlette
from starlette.middleware import Middleware

from refunds import TOOLS, Budget, Policy, rules, tracer

PORT = int(os.environ["PORT"])
TOOLS_URL = os.environ["TOOLS_URL"]
MODEL_URL = os.environ.get("OPENAI_BASE_URL")
TRACER = tracer()


def by_rules(messages):
    """The model step without a model."""
    results = [message["content"] for message in messages if message["role"] == "tool"]
    match rules(messages[1]["content"], results):
        case str(answer):
            return {"content": answer}
        case name, args:
            call = {"id": f"c{len(results)}", "function": {"name": name, "arguments": json.dumps(args)}}
            return {"content": None, "tool_calls": [call]}


def carried():
    """The headers of the span that is open."""
    headers = {}
    propagate.inject(headers)
    return headers


async def ask(http, policy, messages):
    offered = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {k: {} for k in args}}}}
        for name, args in TOOLS.items()
    ]
    asked = {"model": "scripted", "messages": messages, "tools": offered}
    with TRACER.start_as_current_span("chat scripted", attributes={"gen_ai.operation.name": "chat"}) as span:
        answer = (await http.post(f"{MODEL_URL}/chat/completions", json=asked, headers=carried())).json()
        span.set_attribute("gen_ai.usage.input_tokens", answer["usage"]["prompt_tokens"])
        span.set_attribute("gen_ai.usage.output_tokens", answer["usage"]["completion_tokens"])
    policy.tokens += answer["usage"]["total_tokens"]
    return answer["choices"][0]["message"]


async def act(http, call, name, args):
    told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.call.id": call["id"]}
    told["gen_ai.tool.call.arguments"] = json.dumps(args)
    with TRACER.start_as_current_span(f"execute_tool {name}", attributes=told):
        return (await http.post(f"{TOOLS_URL}/{name}", json=args, headers=carried())).text


async def run(text):
    """One run: the model decides, the policy has the last word, the tools act."""
    policy = Policy()
    messages = [{"role": "system", "content": "You handle refunds."}, {"role": "user", "content": text}]
    async with httpx.AsyncClient(timeout=20) as http:
        while True:
            policy.step()
            message = await ask(http, policy, messages) if MODEL_URL else by_rules(messages)
            messages.append({"role": "assistant", "content": None} | message)
            if not message.get("tool_calls"):
                return message["content"]
            for call in message["tool_calls"]:
                name, args = call["function"]["name"], json.loads(call["function"]["arguments"])
                why = policy.refusal(name, args)
                result = await act(http, call, name, args) if why is None else json.dumps({"error": why})
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


class Executor(AgentExecutor):
    async def execute(self, request, queue):
        status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
        await queue.enqueue_event(
            Task(id=request.task_id, context_id=request.context_id, status=status, history=[request.message])
        )
        updater = TaskUpdater(queue, request.task_id, request.context_id)
        await updater.start_work()
        try:
            with TRACER.start_as_current_span("invoke_agent refunds"):
                answer = await run(request.get_user_input())
        except Budget as spent:
            answer = f"I stop here: {spent}."
        await updater.add_artifact([Part(text=answer)], artifact_id="answer")
        await updater.complete()

    async def cancel(self, request, queue):
        await TaskUpdater(queue, request.task_id, request.context_id).cancel()


class Continued:
    """Continues the trace of who asks, in the spans of the SDK, too."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
        outer = context.attach(propagate.extract(headers))
        try:
            await self.app(scope, receive, send)
        finally:
            context.detach(outer)


card = AgentCard(
    name="refunds", description="Handles refunds", version="1.0.0",
    default_input_modes=["text/plain"], default_output_modes=["text/plain"],
    capabilities=AgentCapabilities(),
    supported_interfaces=[AgentInterface(protocol_binding="JSONRPC", url=f"http://127.0.0.1:{PORT}/", protocol_version="1.0")],
    skills=[AgentSkill(id="refund", name="refund", description="Refunds", tags=["support"])],
)
handler = DefaultRequestHandler(agent_executor=Executor(), task_store=InMemoryTaskStore(), agent_card=card)
app = Starlette(routes=create_agent_card_routes(card) + create_jsonrpc_routes(handler, "/"), middleware=[Middleware(Continued)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
