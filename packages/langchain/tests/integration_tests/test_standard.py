"""LangChain's standard integration tests over two real candidates, with everything on that both can do.

Each pair is run with either vendor as the incumbent, which is asked first: healthy, always failing, and cut after the
role chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_tests.integration_tests import ChatModelIntegrationTests
from tests.standins import Vendors
from tests.standins.models import ANTHROPIC, OPENAI, THINKING, anthropic, openai
from tests.standins.server import Fault

from langchain_taskrouter import RoutedChatModel

SIGNATURE = (
    "ErUBCkYICBgCIkDCTQUXPc3O7nHXd302Zercaz8WrrpddpOqHITxBih5zeFPoJkwKBvkvZ8ID1aAfJftji6+ZI5gBYDo7XmNBIkzEgzVDHKopedAn"
    "/scG80aDFDXVZrDOWgla7lEBiIwLq5kfFjQjvF/CyuL8J5V7dRwsJN5gQIXaMB6xXTs6T+2Zp0VdiyiMb/hcdrHt+7aKh0z2E1UnjiOCoTlofNFH"
    "zOnKk0qPIoPmfGgpPgGNRgC"
)
"""A signature that the suite sends to Anthropic as Anthropic's own."""


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # langchain-openai's, of a streamed pydantic answer
@pytest.mark.filterwarnings("ignore:The model '.*' is deprecated:DeprecationWarning")  # the SDK's calendar
@pytest.mark.filterwarnings("ignore:OpenAI may require a filename")  # one of the suite's documents has none
class Pair(ChatModelIntegrationTests):
    """What all pairs have in common."""

    incumbent = OPENAI
    fault: Fault | None = None
    method: str | None = None
    """How `with_structured_output` is asked to work; None for its default."""
    openai_fields: dict[str, Any] = {}

    @pytest.fixture(autouse=True)
    def _with(self, vendors: Vendors, request: pytest.FixtureRequest) -> Iterator[None]:
        self.vendors = vendors
        vendors.memory.trust(SIGNATURE)
        if self.fault is not None:
            vendors.fail(self.incumbent, self.fault)
        yield
        asked = Counter(received.model for received in vendors.received)
        refused = [received.error for received in vendors.received if received.status == 400]
        assert not refused, "a vendor refused a request"
        if "model_override" not in request.node.name:  # there the other is asked for, and alone
            assert asked[self.other] == (asked[self.incumbent] if self.fault else 0)

    @property
    def chat_model_class(self) -> type[RoutedChatModel]:
        return RoutedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self._over(openai(self.vendors, **self.openai_fields), anthropic(self.vendors))

    def _over(self, *candidates: BaseChatModel) -> dict[str, Any]:
        config = {"execution": {"retries": 0}}
        return {"candidates": list(candidates), "incumbent": self.incumbent, "config": config}

    @property
    def other(self) -> str:
        return ANTHROPIC if self.incumbent == OPENAI else OPENAI

    # --- what both can do ---------------------------------------------------------------------------------------

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {} if self.method is None else {"method": self.method}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return self.other

    @property
    def supported_usage_metadata_details(self) -> dict[Any, list[Any]]:
        details = ["reasoning_output", "cache_read_input", "cache_creation_input"]
        return {"invoke": details, "stream": details}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        candidates = (
            openai(self.vendors, reasoning_effort="low", **self.openai_fields),
            anthropic(self.vendors, thinking=THINKING, max_tokens=4096),
        )
        return self._answered(RoutedChatModel(**self._over(*candidates)), stream=stream)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return self._answered(RoutedChatModel(**self.chat_model_params), stream=stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        self.invoke_with_cache_creation_input(stream=stream)
        return self.invoke_with_cache_creation_input(stream=stream)

    def _answered(self, model: RoutedChatModel, *, stream: bool) -> AIMessage:
        asked = [HumanMessage([{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}])]
        if not stream:
            return model.invoke(asked)
        return add_ai_message_chunks(*model.stream(asked))

    # --- and that the fault is met ------------------------------------------------------------------------------

    def test_the_incumbent_is_asked_first_and_the_other_answers_for_it(self, model: RoutedChatModel) -> None:
        answers = [model.invoke("Hello"), list(model.stream("Hello"))[-1]]
        asked = [request.model for request in self.vendors.received]
        if self.fault is None:
            assert asked == [self.incumbent, self.incumbent]
        else:
            assert asked == [self.incumbent, self.other, self.incumbent, self.other]
        served = asked[-1]
        assert [answer.response_metadata["taskrouter"]["model"] for answer in answers] == [served, served]


class Responses(Pair):
    """With OpenAI's Responses API, which alone takes images and documents from tools."""

    openai_fields = {"use_responses_api": True}

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True


class Completions(Pair):
    """With OpenAI's chat completions."""


class TestHealthyOpenAI(Completions):
    method = "json_schema"


class TestHealthyAnthropic(Completions):
    incumbent = ANTHROPIC
    method = "json_schema"


class TestFailingOpenAI(Completions):
    fault: Fault = "error"


class TestFailingAnthropic(Completions):
    incumbent = ANTHROPIC
    fault: Fault = "error"


class TestCutOpenAI(Completions):
    fault: Fault = "cut"
    method = "function_calling"


class TestCutAnthropic(Completions):
    incumbent = ANTHROPIC
    fault: Fault = "cut"
    method = "function_calling"


class TestHealthyResponses(Responses):
    pass


class TestHealthyAnthropicBeforeResponses(Responses):
    incumbent = ANTHROPIC


class TestFailingResponses(Responses):
    fault: Fault = "error"


class TestCutResponses(Responses):
    fault: Fault = "cut"


class TestCutAnthropicBeforeResponses(Responses):
    incumbent = ANTHROPIC
    fault: Fault = "cut"
