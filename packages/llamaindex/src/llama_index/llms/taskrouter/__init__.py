"""A LlamaIndex LLM that sends each step of an agent or a query engine to the right one of several models."""

from llama_index.llms.taskrouter.base import RoutedLLM

__all__ = ["RoutedLLM"]
