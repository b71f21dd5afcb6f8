"""Which version of the GenAI conventions we follow, and the switch between them.

The GenAI conventions left the general ones after version 1.41.0 and go on in open-telemetry/semantic-conventions-genai,
where metrics have been renamed and nothing is released yet. So the names that dashboards know are the default, and the
convention's own environment variable selects the newest ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from taskrouter.observability.names import SCHEMA_URL

Convention: TypeAlias = Literal["released", "newest"]
"""`released`: version 1.41.0, the last with GenAI in it. `newest`: the main branch of their own repository."""
SWITCH: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
NEWEST: Final = "gen_ai_latest_experimental"
SCHEMA_URLS: Final[Mapping[Convention, str]] = {
    "released": SCHEMA_URL,
    "newest": "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
}


def chosen() -> Convention:
    """Return what the environment asks for: the switch is a list, of which other instrumentations read their parts."""
    asked = {part.strip() for part in os.environ.get(SWITCH, "").split(",")}
    return "newest" if NEWEST in asked else "released"
