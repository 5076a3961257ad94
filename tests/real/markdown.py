"""Renders a Markdown report with a public parser: nothing foreign may become an image, a link or raw HTML."""

import sys

from markdown_it import MarkdownIt

text = open(sys.argv[1], encoding="utf-8").read()
assert len(text.encode()) <= 65_000, "a step summary or comment has room for no more"
allowed = ("<details", "</details", "<summary", "</summary")
for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
    for inner in [token, *(token.children or [])]:
        assert inner.type not in ("image", "link_open"), inner.content
        if inner.type in ("html_block", "html_inline"):
            for line in inner.content.strip().splitlines():
                assert not line.strip() or line.strip().startswith(allowed), line
