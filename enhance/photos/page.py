"""A page with a slider over each photograph: before on the left of it, after on the right. It needs no network."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_PX = 1280


@dataclass(frozen=True)
class Pair:
    """A photograph before and after, as JPEGs of equal size."""

    name: str
    before: bytes
    after: bytes


def page(title: str, pairs: Sequence[Pair]) -> str:
    """The page as HTML, with all pictures inside."""
    figures = "\n".join(_figure(pair) for pair in pairs)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2rem auto; max-width: 1280px; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }}
figure {{ margin: 0 0 3rem; }}
.pair {{ position: relative; --at: 50%; }}
.pair img {{ display: block; width: 100%; }}
.pair .after {{ position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)); }}
.pair::after {{ content: ""; position: absolute; inset: 0 auto 0 var(--at); width: 2px; background: #fff;
  box-shadow: 0 0 4px #000; pointer-events: none; }}
input {{ width: 100%; margin: .5rem 0 0; }}
figcaption {{ display: flex; justify-content: space-between; }}
</style>
<h1>{html.escape(title)}</h1>
{figures}
<script>
for (const slider of document.querySelectorAll("input"))
  slider.addEventListener("input", () =>
    slider.previousElementSibling.style.setProperty("--at", slider.value + "%"));
</script>
</html>
"""


def _figure(pair: Pair) -> str:
    name = html.escape(pair.name)
    return f"""<figure>
<div class="pair"><img alt="{name}, before" src="{_data(pair.before)}">
<img class="after" alt="{name}, after" src="{_data(pair.after)}"></div>
<input type="range" min="0" max="100" value="50" aria-label="{name}: where before ends and after begins">
<figcaption><span>before</span><span>{name}</span><span>after</span></figcaption>
</figure>"""


def _data(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
