#!/usr/bin/env python3
"""Writes what `agentready import agentdojo` reads: one suite of an installed AgentDojo package as JSON.

Run it with the Python that has `agentdojo` installed:

    python3 agentdojo_export.py banking > banking.json

It holds the suite's environment, the places in it where an attack can stand, the tasks of user and attacker with the
calls that solve them, and, for each pair of both, the texts that an attack puts into those places. Nothing of the data
is part of this script; it is MIT-licensed by its authors.
"""

import argparse
import json
import sys
from importlib.metadata import version

from agentdojo.agent_pipeline.ground_truth_pipeline import GroundTruthPipeline
from agentdojo.attacks.attack_registry import load_attack
from agentdojo.functions_runtime import FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suite


def plain(value):
    """A value of the package as JSON."""
    return json.loads(json.dumps(value, default=lambda other: other.model_dump(mode="json")))


def environment(suite, injections):
    return json.loads(suite.load_and_inject_default_environment(injections).model_dump_json())


def leaves(value, pointer=""):
    """Every text of a document with its JSON Pointer."""
    if isinstance(value, str):
        yield pointer, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        yield from leaves(inner, f"{pointer}/{escaped}")


def canary(name):
    return f"<<{name}>>"


def places(suite, vectors):
    """Where in the environment each vector stands, with the text around it."""
    marked = environment(suite, {name: canary(name) for name in vectors})
    found = []
    for pointer, text in leaves(marked):
        for name in vectors:
            if canary(name) in text:
                before, after = text.split(canary(name), 1)
                found.append({"vector": name, "pointer": pointer, "before": before, "after": after})
    return found


def calls(task, env):
    return [{"tool": call.function, "args": plain(call.args)} for call in task.ground_truth(env)]


def reached(suite, task, vectors):
    """The tools through which the one who solves the task comes to see a vector."""
    env = suite.load_and_inject_default_environment({name: canary(name) for name in vectors})
    env = task.init_environment(env)
    runtime = FunctionsRuntime(suite.tools)
    found = []
    for call in task.ground_truth(env):
        result, _ = runtime.run_function(env, call.function, call.args)
        text = json.dumps(plain(result), ensure_ascii=False)
        found += [{"vector": name, "tool": call.function} for name in vectors if canary(name) in text]
    return [entry for index, entry in enumerate(found) if entry not in found[:index]]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("suite", nargs="?", default="banking")
    arguments.add_argument("--benchmark", default="v1.2.2")
    arguments.add_argument("--attack", default="direct")
    given = arguments.parse_args()
    suite = get_suite(given.benchmark, given.suite)
    vectors = suite.get_injection_vector_defaults()
    attack = load_attack(given.attack, suite, GroundTruthPipeline(None))
    env = suite.load_and_inject_default_environment({})
    users = suite.user_tasks
    injections = suite.injection_tasks
    cases = []
    for user_id, user in users.items():
        for injection_id, injection in injections.items():
            texts = attack.attack(user, injection)
            cases.append({"user_task": user_id, "injection_task": injection_id, "texts": texts})
    json.dump(
        {
            "agentdojo": version("agentdojo"),
            "benchmark": given.benchmark,
            "suite": given.suite,
            "attack": given.attack,
            "environment": environment(suite, {}),
            "places": places(suite, vectors),
            "user_tasks": [
                {
                    "id": name,
                    "text": task.PROMPT,
                    "calls": calls(task, task.init_environment(env.model_copy(deep=True))),
                    "reached": reached(suite, task, vectors),
                }
                for name, task in users.items()
            ],
            "injection_tasks": [
                {"id": name, "text": task.GOAL, "calls": calls(task, env)} for name, task in injections.items()
            ],
            "cases": cases,
        },
        sys.stdout,
        indent=1,
        ensure_ascii=False,
    )


if __name__ == "__main__":
    main()
