"""Texts that would do something if a page took them for more than text. What runs sets
`window.owned`; what loads asks for a host that does not exist."""

HOST = "tracker.invalid"

HOSTILE = (
    "<script>window.owned = 'script'</script>The Morrow.",
    f'<img src="http://{HOST}/pixel.png" onerror="window.owned = \'image\'">',
    "<svg onload=\"window.owned = 'svg'\"><circle r=9></svg>",
    f"![a map](http://{HOST}/map.png) and [the guide](javascript:window.owned='link')",
    f"[Click here to log in again](http://{HOST}/login) <a href='http://{HOST}'>now</a>",
    f'<iframe src="http://{HOST}/frame"></iframe><style>body {{ display: none }}</style>',
    "</textarea></td></table><h1 style='position:fixed;inset:0'>You are logged out</h1>",
    "{{ 7 * 7 }} ${7 * 7} $$\\href{javascript:window.owned='math'}{x}$$",
    "```html\n<script>window.owned = 'fence'</script>\n```",
    "a\u202egnp.exe \u0000 \U0001f3d9 " + "Llanfair" * 60,
)
"""None of these may run, load, link, or change what is beside it."""

NAME = f'<img src="http://{HOST}/name.png" onerror="window.owned = \'name\'">'
"""The name of a model that somebody else's server has."""
