"""What the Python agents here share: tools, a policy outside the model, rules in the place of a model, and their spans.

Environment: POLICY=off leaves the policy out, as an agent does that keeps its limits in the prompt; UNTRACED=TOOL leaves the
spans of one tool out; OTEL_EXPORTER_OTLP_ENDPOINT says where spans go.
"""

import os
import re

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

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


def rules(text, results):
    """The next tool and its arguments, or the answer: looks the order up, pays small refunds back, hands the rest over."""
    order, amount = re.search(r"order (\d+)", text), re.search(r"\$(\d+(?:\.\d+)?)", text)
    if order and not results:
        return "lookup_order", {"order_id": order[1]}
    if amount and order and len(results) == 1 and "error" not in results[0]:
        if float(amount[1]) > AUTO_UP_TO:
            return "escalate_case", {"why": "the amount is above the limit"}
        return "issue_refund", {"order_id": order[1], "amount": float(amount[1])}
    if len(results) == 2:
        return "A colleague takes over." if "case" in results[1] else "Your refund is on its way."
    return f"Your order: {results[0]}" if results else "How can I help?"


class Seen(BatchSpanProcessor):
    """Sends spans on, but for those of the tool that is left out."""

    def on_end(self, span):
        left_out = os.environ.get("UNTRACED")
        if not left_out or not span.name.endswith(left_out):
            super().on_end(span)


def tracer():
    """Sends spans where the environment says, soon after they end."""
    provider = TracerProvider()
    provider.add_span_processor(Seen(OTLPSpanExporter(), schedule_delay_millis=100))
    trace.set_tracer_provider(provider)
    return trace.get_tracer("refunds")
