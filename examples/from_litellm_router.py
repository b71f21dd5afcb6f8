"""From a LiteLLM `Router` to a routed chat model: the same `model_list`, before and after. No key, no network.

    pip install 'langchain-taskrouter[demo,litellm]'
    python examples/from_litellm_router.py

LiteLLM's model strings are candidates as they are. docs/guides/litellm_router.md says what changes, and what to watch
for. The models are simulated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else LiteLLM downloads its price list when imported

import litellm
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import simulator

QUESTION = "What is 12 * 12?"


def model_list(base_url: str) -> list[dict[str, Any]]:
    """Return what the application has today."""
    return [
        {"model_name": "smart", "litellm_params": {"model": "openai/gpt-4o"}},
        {"model_name": "fast", "litellm_params": {"model": "openai/gpt-4o-mini"}},
        {
            "model_name": "house",
            "litellm_params": {"model": "openai/house-7b", "api_base": base_url, "api_key": "none"},
        },
    ]


def before(models: list[dict[str, Any]]) -> litellm.Router:
    return litellm.Router(model_list=models, fallbacks=[{"smart": ["fast", "house"]}], num_retries=1, timeout=20)


def after(models: list[dict[str, Any]]) -> RoutedChatModel:
    return RoutedChatModel(
        candidates={model["model_name"]: candidate(**model["litellm_params"]) for model in models},
        incumbent="smart",
        max_retries=1,
        timeout=20,
    )


def candidate(model: str, api_base: str | None = None, api_key: str | None = None) -> str | ChatOpenAI:
    """Return a string as it is: its key and address come from the environment. One with its own needs its own class."""
    if api_base is None:
        return model
    return ChatOpenAI(model=model.removeprefix("openai/"), base_url=api_base, api_key=SecretStr(api_key or "none"))


def chunks_before(router: litellm.Router) -> Iterator[str]:
    for chunk in router.completion(model="smart", messages=[{"role": "user", "content": QUESTION}], stream=True):
        yield chunk.choices[0].delta.content or ""


def chunks_after(model: RoutedChatModel) -> Iterator[str]:
    return (chunk.text for chunk in model.stream(QUESTION))


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"The {place} is open from 9 to 17 h."


def main() -> None:
    names = ("gpt-4o", "gpt-4o-mini", "house-7b")
    simulated = [{"id": name, "input_usd_per_million": 1.0, "output_usd_per_million": 4.0} for name in names]
    with simulator.serve({"speed": 0.0, "models": simulated}) as server:
        os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = server.base_url, "none"
        models = model_list(server.base_url)

        for fault in ("server_error", "empty_stream", "cut_after_role", "cut_stream"):
            print(f"the first model's stream: {fault}")
            for name, make, read in (("LiteLLM", before, chunks_before), ("routed", after, chunks_after)):
                server.script("gpt-4o", fault)
                try:
                    said = "".join(read(make(models))) or "(nothing)"
                except Exception as error:  # noqa: BLE001 - whatever an application would see
                    said = f"raises {type(error).__name__}: {error}"
                print(f"  {name:<8} {said}")

        print("\nand it is a chat model, so an agent can have it:")
        agent: Any = create_agent(after(models), [opening_hours])
        for message in agent.invoke({"messages": [("user", "Call opening_hours with place: museum")]})["messages"]:
            account = message.response_metadata.get("taskrouter", {})
            print(f"  {message.type:<6} {account.get('model', ''):<6} {message.text}")


if __name__ == "__main__":
    main()
