"""LangChain's standard unit tests over two real candidates, which are not called."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_tests.unit_tests import ChatModelUnitTests
from tests.standins import Vendors
from tests.standins.models import OPENAI, anthropic, openai

from langchain_taskrouter import RoutedChatModel


class TestRoutedChatModelUnit(ChatModelUnitTests):
    @pytest.fixture(autouse=True)
    def _with(self, vendors: Vendors) -> None:
        self.vendors = vendors

    @property
    def chat_model_class(self) -> type[RoutedChatModel]:
        return RoutedChatModel

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        params = super().standard_chat_model_params
        del params["api_key"]  # the candidates hold theirs; the router refuses one that it could only ignore
        return params

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"candidates": [openai(self.vendors), anthropic(self.vendors)], "incumbent": OPENAI}
