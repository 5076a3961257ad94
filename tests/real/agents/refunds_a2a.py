"""A small refund agent on the official A2A SDK: an honest model step, a policy outside the model, tools over HTTP.

Environment: PORT; TOOLS_URL, where the tools are; OPENAI_BASE_URL, the model (without it a few rules decide);
POLICY=off leaves the policy out, as an agent does that keeps its limits in the prompt.
"""

import json
import os
import re

import httpx
import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, Task, TaskState, TaskStatus
from starlette.applications import Starlette

PORT = int(os.environ["PORT"])
TOOLS_URL = os.environ["TOOLS_URL"]
MODEL_URL = os.environ.get("OPENAI_BASE_URL")
POLICY = os.environ.get("POLICY") != "off"

TOOLS = {
    "lookup_order": {"order_id": str},
    "issue_refund": {"order_id": str, "amount": (int, float)},
    "escalate_case": {"why": str},
}
WRITES = {"issue_refund", "escalate_case"}
AUTO_UP_TO = 50
MAX_CALLS, MAX_WRITES, MAX_STEPS, MAX_TOKENS = 8, 2, 10, 8000


class Budget(Exception):
    """A cap of the run is reached."""


class Policy:
    """What the agent may do, whatever its model says. One for each run."""

    def __init__(self):
        self.calls, self.steps, self.tokens, self.written = 0, 0, 0, []

    def step(self):
        if POLICY and (self.steps >= MAX_STEPS or self.tokens >= MAX_TOKENS):
            raise Budget("the budget of this run is used up")
        self.steps += 1

    def refusal(self, tool, args):
        """Why a call is not made, or nothing."""
        if not POLICY:
            return None
        if self.calls >= MAX_CALLS or self.tokens >= MAX_TOKENS:
            raise Budget("the budget of this run is used up")
        known = TOOLS.get(tool)
        if known is None:
            return f"{tool} is no tool of this agent"
        if set(args) != set(known) or not all(isinstance(args[k], t) for k, t in known.items()):
            return f"these are no arguments of {tool}"
        if any(isinstance(value, str) and len(value) > 200 for value in args.values()):
            return "an argument is too long"
        if tool == "issue_refund" and not 0 < args["amount"] <= AUTO_UP_TO:
            return "a person has to decide about this amount"
        if tool in WRITES:
            if len(self.written) >= MAX_WRITES:
                raise Budget("the writes of this run are used up")
            if (tool, str(args)) in self.written:
                return "this was done already"
            self.written.append((tool, str(args)))
        self.calls += 1
        return None


def rules(messages):
    """The model step without a model: looks the order up, pays small refunds back, hands the rest over."""
    text, done = messages[1]["content"], [m for m in messages if m["role"] == "tool"]
    order, amount = re.search(r"order (\d+)", text), re.search(r"\$(\d+(?:\.\d+)?)", text)
    call = lambda name, args: {"tool_calls": [{"id": f"c{len(done)}", "function": {"name": name, "arguments": json.dumps(args)}}]}
    if order and not done:
        return call("lookup_order", {"order_id": order[1]})
    if amount and order and len(done) == 1 and "error" not in done[0]["content"]:
        if float(amount[1]) > AUTO_UP_TO:
            return call("escalate_case", {"why": "the amount is above the limit"})
        return call("issue_refund", {"order_id": order[1], "amount": float(amount[1])})
    if len(done) == 2:
        return {"content": "A colleague takes over." if "case" in done[1]["content"] else "Your refund is on its way."}
    return {"content": f"Your order: {done[0]['content']}" if done else "How can I help?"}


async def run(text, headers):
    """One run: the model decides, the policy has the last word, the tools act."""
    policy = Policy()
    messages = [{"role": "system", "content": "You handle refunds."}, {"role": "user", "content": text}]
    offered = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {k: {} for k in args}}}}
        for name, args in TOOLS.items()
    ]
    async with httpx.AsyncClient(timeout=20, headers=headers) as http:
        while True:
            policy.step()
            if MODEL_URL:
                asked = {"model": "scripted", "messages": messages, "tools": offered}
                answer = (await http.post(f"{MODEL_URL}/chat/completions", json=asked)).json()
                policy.tokens += answer["usage"]["total_tokens"]
                message = answer["choices"][0]["message"]
            else:
                message = rules(messages)
            messages.append({"role": "assistant", "content": None} | message)
            if not message.get("tool_calls"):
                return message["content"]
            for call in message["tool_calls"]:
                name, args = call["function"]["name"], json.loads(call["function"]["arguments"])
                why = policy.refusal(name, args)
                if why is None:
                    result = (await http.post(f"{TOOLS_URL}/{name}", json=args)).text
                else:
                    result = json.dumps({"error": why})
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


class Executor(AgentExecutor):
    async def execute(self, context, queue):
        sent = context.call_context.state.get("headers") or {} if context.call_context else {}
        headers = {name: value for name, value in sent.items() if name.lower() in ("traceparent", "baggage")}
        status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
        await queue.enqueue_event(
            Task(id=context.task_id, context_id=context.context_id, status=status, history=[context.message])
        )
        updater = TaskUpdater(queue, context.task_id, context.context_id)
        await updater.start_work()
        try:
            answer = await run(context.get_user_input(), headers)
        except Budget as spent:
            answer = f"I stop here: {spent}."
        await updater.add_artifact([Part(text=answer)], artifact_id="answer")
        await updater.complete()

    async def cancel(self, context, queue):
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


card = AgentCard(
    name="refunds", description="Handles refunds", version="1.0.0",
    default_input_modes=["text/plain"], default_output_modes=["text/plain"],
    capabilities=AgentCapabilities(),
    supported_interfaces=[AgentInterface(protocol_binding="JSONRPC", url=f"http://127.0.0.1:{PORT}/", protocol_version="1.0")],
    skills=[AgentSkill(id="refund", name="refund", description="Refunds", tags=["support"])],
)
handler = DefaultRequestHandler(agent_executor=Executor(), task_store=InMemoryTaskStore(), agent_card=card)
app = Starlette(routes=create_agent_card_routes(card) + create_jsonrpc_routes(handler, "/"))

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
