"""From `with_fallbacks` to a routed model: the same failures, before and after. Simulated models: no key, no network.

    pip install 'langchain-taskrouter[demo]'
    python examples/from_with_fallbacks.py

docs/guides/from-with-fallbacks.md says what changes, and what to watch for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import ConfigurationError, simulator

MODELS = ("main", "spare")
PRICES = {"input_usd_per_million": 3.0, "output_usd_per_million": 15.0}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}  # runs at Anthropic, and nowhere else
QUESTION = "What is 12 * 12?"


@tool
def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"The {place} is open from 9 to 17 h."


def before(main: BaseChatModel, spare: BaseChatModel) -> Any:
    return main.with_fallbacks([spare])


def after(main: BaseChatModel, spare: BaseChatModel) -> Any:
    return RoutedChatModel({"main": main, "spare": spare}, incumbent="main")


def asked(model: Any) -> str:
    return model.invoke(QUESTION).text or "(nothing)"


def streamed(model: Any) -> str:
    return "".join(chunk.text for chunk in model.stream(QUESTION)) or "(nothing)"


def called(model: Any) -> str:
    message = model.bind_tools([opening_hours]).invoke("Call opening_hours with place: museum")
    return ", ".join(call["name"] for call in message.tool_calls) or "(no call)"


def bound(model: Any) -> str:
    binding = model.bind_tools([SEARCH])
    tools = getattr(binding, "runnable", binding).kwargs["tools"]
    return f"sent to OpenAI as {tools[0]}"


def is_chat_model(model: Any) -> str:
    return "yes" if isinstance(model, BaseChatModel) else "no"


CASES: list[tuple[str, Callable[[Any], str], tuple[Any, ...]]] = [
    ("a server error", asked, ("server_error",)),
    ("an empty answer", asked, ("empty_answer",)),
    ("a refusal", asked, ("refusal",)),
    ("a stream that ends after its first, empty chunk", streamed, ("cut_after_role",)),
    ("a stream that fails after its first, empty chunk", streamed, ("error_after_role",)),
    ("a tool call that is broken", called, ("invalid_tool_call",)),
    ("a search tool of another vendor", bound, ()),
    ("is it a chat model?", is_chat_model, ()),
]


def outcome(try_it: Callable[[Any], str], model: Any) -> str:
    try:
        return try_it(model)
    except ConfigurationError as error:
        return f"refused at once: {error}"
    except Exception as error:  # noqa: BLE001 - whatever an application would see
        return f"raises {type(error).__name__}"


def main() -> None:
    models = [{"id": name, **PRICES} for name in MODELS]
    with simulator.serve({"speed": 0.0, "models": models}) as server:

        def fresh() -> list[BaseChatModel]:
            return [
                ChatOpenAI(model=name, base_url=server.base_url, api_key=SecretStr("none"), max_retries=0)
                for name in MODELS
            ]

        for title, try_it, faults in CASES:
            print(title)
            for name, make in (("with_fallbacks", before), ("routed", after)):
                server.script("main", *faults)
                print(f"  {name:<15} {outcome(try_it, make(*fresh()))}")

        answer = after(*fresh()).invoke(QUESTION)
        print(f"\nand every answer says who gave it: {answer.response_metadata['taskrouter']['model']}")


if __name__ == "__main__":
    main()
