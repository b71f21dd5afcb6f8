"""Where our spans belong when another instrumentation traces LangChain's runs."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID

from opentelemetry.trace import use_span

_OPENINFERENCE = "openinference.instrumentation.langchain"


def traced_by_others() -> bool:
    """Whether OpenInference is loaded: it knows a run's span by the run's id, and never makes it the current one."""
    return _OPENINFERENCE in sys.modules


def beneath(run_id: UUID | None) -> AbstractContextManager[Any]:
    """Return a context in which OpenInference's span of a run is current; without one, what is current stays."""
    module = sys.modules.get(_OPENINFERENCE)
    if module is None or run_id is None:
        return nullcontext()
    instrumentor = module.LangChainInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        return nullcontext()
    span = instrumentor.get_span(run_id)
    if span is None:
        return nullcontext()
    return use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)
