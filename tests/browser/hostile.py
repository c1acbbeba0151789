"""Texts that would do something if a page took them for more than text. What runs sets
`window.owned`; what loads asks for a host that does not exist."""

import json

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
    "```mermaid\ngraph TD; A-->B; click A href \"javascript:window.owned='mermaid'\"\n```",
    "<button data-act='halt' data-value='x' data-change='halt'>Continue</button> &lt;img src=x&gt;",
    "<math><mtext><style><a title='</style><img src=x onerror=window.owned=`math`>'>\\(x\\)",
    f"<a href='java&#x09;script:window.owned=1'>a</a> <base href='//{HOST}/'> "
    f"<meta http-equiv=refresh content='0;url=//{HOST}'> <link rel=stylesheet href='//{HOST}/x'>",
    f"=HYPERLINK(\"http://{HOST}\") <form action='//{HOST}'><input autofocus onfocus=owned=1>",
    "a\u202egnp.exe \u0000 \U0001f3d9 " + "Llanfair" * 60,
)
"""None of these may run, load, link, or change what is beside it."""

NAME = f'<img src="http://{HOST}/name.png" onerror="window.owned = \'name\'">'
"""The name of a model that somebody else's server has."""

FILE = "<img src=x onerror=window.owned='file'>.yaml"
"""The name of a recipe that somebody committed; and what stands in it."""
RECIPE = (
    f"# {HOSTILE[1]}\nkind: train\nstage: {json.dumps(HOSTILE[3])}\n"
    f"{json.dumps(HOSTILE[2])}: {json.dumps(HOSTILE[0])}\n"
)
