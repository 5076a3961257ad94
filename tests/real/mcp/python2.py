"""The official MCP client of Python, 2.x: lists the tools and calls one. Usage: python2.py URL | python2.py COMMAND ARG..."""

import asyncio
import sys

from mcp import Client, StdioServerParameters


async def main(place):
    server = place[0] if place[0].startswith("http") else StdioServerParameters(command=place[0], args=place[1:])
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        found = await client.call_tool("search_policy", {"query": "refund"})
        refused = await client.call_tool("get_order", {"order_id": "none such"})
        assert not found.is_error and refused.is_error, (found, refused)
        print(client.protocol_version, len(tools), found.content[0].text)


asyncio.run(main(sys.argv[1:]))
