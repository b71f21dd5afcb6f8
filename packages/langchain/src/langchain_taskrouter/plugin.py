"""What this package brings to TaskRouter: the demo agent. Found through the entry point group `taskrouter`."""

from __future__ import annotations

from collections.abc import Mapping

from taskrouter import hookimpl
from taskrouter.ports import Demo, DemoStage


class LangGraphDemo:
    """A LangGraph agent for `taskrouter demo`."""

    summary = "LangGraph: plan, search the documents, extract, write code, verify, sum up"

    def run(self, stage: DemoStage) -> str:
        """Run the agent to its end and return its final answer."""
        from langchain_taskrouter.demo import run  # noqa: PLC0415 - LangGraph and the providers are loaded to run only

        return run(stage)


@hookimpl
def taskrouter_demos() -> Mapping[str, Demo]:
    """Offer the demo agent."""
    return {"langgraph": LangGraphDemo()}
