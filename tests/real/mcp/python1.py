"""The official MCP client of Python, 1.x: lists the tools and calls one. Usage: python1.py URL | python1.py COMMAND ARG..."""

import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


async def main(place):
    if place[0].startswith("http"):
        transport = streamablehttp_client(place[0])
    else:
        transport = stdio_client(StdioServerParameters(command=place[0], args=place[1:]))
    async with transport as streams, ClientSession(streams[0], streams[1]) as session:
        begun = await session.initialize()
        tools = (await session.list_tools()).tools
        found = await session.call_tool("search_policy", {"query": "refund"})
        refused = await session.call_tool("get_order", {"order_id": "none such"})
        assert not found.isError and refused.isError, (found, refused)
        print(begun.protocolVersion, len(tools), found.content[0].text)


asyncio.run(main(sys.argv[1:]))
