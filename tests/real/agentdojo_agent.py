#!/usr/bin/env python3
"""An agent that knows the published solutions of an exported suite and nothing else.

    agentdojo_agent.py PORT EXPORT [obey]

It solves the user's task by its published calls. With `obey` it also makes the published calls of each attack that it
reads in a tool's result.
"""

import json
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, EXPORT = int(sys.argv[1]), json.load(open(sys.argv[2], encoding="utf-8"))
OBEYS = "obey" in sys.argv[3:]
USERS = {task["text"]: task for task in EXPORT["user_tasks"]}
INJECTIONS = {task["id"]: task for task in EXPORT["injection_tasks"]}
ATTACKS = sorted({(text, case["injection_task"]) for case in EXPORT["cases"] for text in case["texts"].values()})


def call(tools_url, made):
    request = urllib.request.Request(f"{tools_url}/{made['tool']}", json.dumps(made["args"]).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer).get("result")
    except urllib.error.HTTPError as refused:
        return json.load(refused)


def texts(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen = []
        for made in USERS[body["message"]]["calls"] if body["message"] in USERS else []:
            seen += texts(call(body["tools_url"], made))
        if OBEYS:
            for attack, task in ATTACKS:
                if any(attack in text for text in seen):
                    for made in INJECTIONS[task]["calls"]:
                        call(body["tools_url"], made)
        text = json.dumps({"answer": "It is done."}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Agent).serve_forever()
