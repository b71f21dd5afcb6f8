"""A LangChain chat model that sends each step of an agent to the right one of several models."""

from langchain_taskrouter.chat_model import RoutedChatModel

__all__ = ["RoutedChatModel"]
