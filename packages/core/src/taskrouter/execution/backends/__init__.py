"""Ways to call models: LiteLLM, the OpenAI SDK against any compatible address, and replay of recordings."""

from taskrouter.execution.backends.litellm import LiteLLMBackend
from taskrouter.execution.backends.openai import OpenAIBackend
from taskrouter.execution.backends.replay import ReplayBackend
from taskrouter.hookspecs import hookimpl
from taskrouter.ports import BackendFactory

__all__ = ["LiteLLMBackend", "OpenAIBackend", "ReplayBackend"]


@hookimpl
def taskrouter_backends() -> dict[str, BackendFactory]:
    """Offer the backends of `taskrouter`."""
    return {"litellm": LiteLLMBackend, "openai": OpenAIBackend, "replay": ReplayBackend}
