"""The agent of `taskrouter demo`: six jobs in a LangGraph graph, every model call through one `RoutedChatModel`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import BaseTool, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, Field, SecretStr

from langchain_taskrouter.chat_model import RoutedChatModel
from taskrouter.config import ModelConfig
from taskrouter.ports import DemoStage

_LANGCHAIN_PROVIDERS = {
    "azure": "azure_openai",
    "bedrock": "bedrock_converse",
    "fireworks_ai": "fireworks",
    "gemini": "google_genai",
    "mistral": "mistralai",
    "together_ai": "together",
    "vertex_ai": "google_vertexai",
}
"""LiteLLM's name of a provider -> LangChain's, where they differ."""
_PASSAGES = 3
_PASSAGE_CHARS = 600


class Fact(BaseModel):
    """What the documents say that matters for the task."""

    topic: str = Field(description="What the fact is about, in a few words.")
    statement: str = Field(description="The fact, in one sentence.")
    source: str = Field(description="Name of the file that says so.")


class State(TypedDict, total=False):
    """What the nodes hand on to each other."""

    task: str
    plan: str
    findings: str
    fact: Fact
    code: str
    verdict: str
    answer: str


def run(stage: DemoStage) -> str:
    """Run the agent to its end and return its final answer."""
    model = RoutedChatModel(
        candidates={name: chat_model(config) for name, config in stage.router.models.items()}, router=stage.router
    )
    final = _graph(model, search_tool(Path(stage.docs))).invoke({"task": stage.task})
    return f"{final['answer']}\n\n{final['code']}\n\nReview: {final['verdict']}"


def chat_model(config: ModelConfig) -> BaseChatModel:
    """Return LangChain's model for one model of the router's pool."""
    provider, _, name = config.model.rpartition("/")
    key = config.secret()
    if config.base_url is not None:
        return ChatOpenAI(
            model=config.model.removeprefix("openai/"),
            base_url=config.base_url,
            api_key=SecretStr(key or "none"),
            **config.params,
        )
    options = config.params if key is None else {**config.params, "api_key": key}
    known: BaseChatModel = init_chat_model(
        name, model_provider=_LANGCHAIN_PROVIDERS.get(provider, provider) or None, **options
    )
    return known


def search_tool(folder: Path) -> BaseTool:
    """Return a tool that finds passages in the Markdown files of a folder by their words."""
    passages = [
        (path.name, passage.strip())
        for path in sorted(folder.rglob("*.md"))
        for passage in re.split(r"\n(?=#)|\n\n", path.read_text(encoding="utf-8"))
        if len(passage) > 40 and not passage.lstrip().startswith(("|", "```"))
    ]

    @tool
    def search_documents(query: str) -> str:
        """Search the project's documents; returns the passages that share most words with the query."""
        wanted = set(_words(query))
        scored = sorted(passages, key=lambda passage: -_overlap(wanted, passage[1]))
        return (
            "\n\n".join(f"[{name}]\n{text[:_PASSAGE_CHARS]}" for name, text in scored[:_PASSAGES]) or "Nothing found."
        )

    return search_documents


def first_step(plan: str) -> str:
    """Return the first numbered step of a plan, or its first line."""
    lines = [line.strip() for line in plan.splitlines() if line.strip()] or [plan]
    numbered = (match[1] for line in lines if (match := re.match(r"\W*1[.)]\W*(.+)", line)))
    return next(numbered, lines[0])


def _graph(model: RoutedChatModel, search: BaseTool) -> Any:
    """Return the agent: one node per job, in a row."""
    researcher = create_agent(
        model.for_node("retrieve", task="retrieval"),
        [search],
        system_prompt="You are a researcher. Search the documents, then report what they say about the task.",
        name="researcher",
    )

    def retrieve(state: State) -> State:
        asked = f"Use search_documents, and quote what the documents say: {first_step(state['plan'])}"
        return {"findings": researcher.invoke({"messages": [HumanMessage(asked)]})["messages"][-1].text}

    def extract(state: State) -> State:
        reader = model.for_node("extract", task="extraction").with_structured_output(Fact)
        asked = f"Extract the fact that matters most.\n\n{state['findings']}"
        return {"fact": Fact.model_validate(reader.invoke([HumanMessage(asked)]))}

    nodes: dict[str, Any] = {
        "plan": _writer(
            model.for_node("plan"),
            "plan",
            "You are the planner. Break the task down into numbered steps.",
            "{task}",
        ),
        "retrieve": retrieve,
        "extract": extract,
        "write_code": _writer(
            model.for_node("write_code"),
            "code",
            "You are a coder. Write one Python function with a docstring.",
            "Write the function that this task asks for: {task}",
        ),
        "verify": _writer(
            model.for_node("verify"),
            "verdict",
            "You verify the work of others. Answer PASS or FAIL, with a reason.",
            "{findings}\n\n{fact.statement}\n\n{code}",
        ),
        "sum_up": _writer(
            model.for_node("sum_up", task="summarization"),
            "answer",
            "You summarise findings for a new user, in a few sentences.",
            "Summarise what was found:\n{findings}\n{fact.statement}",
        ),
    }
    graph = StateGraph(State)
    for name, node in nodes.items():
        graph.add_node(name, node)
    names = [START, *nodes, END]
    for before, after in pairwise(names):
        graph.add_edge(before, after)
    return graph.compile(name="demo")


def _writer(model: BaseChatModel, key: str, instructions: str, template: str) -> Callable[[State], State]:
    """Return a node that asks the model for a text and stores it under `key`."""

    def write(state: State) -> State:
        said = model.invoke([SystemMessage(instructions), HumanMessage(template.format(**state))])
        written: State = {key: said.text}  # type: ignore[misc] # mypy wants the key spelt out
        return written

    return write


def _words(text: str) -> list[str]:
    return [
        word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in {"the", "and", "for", "what", "this"}
    ]


def _overlap(wanted: set[str], passage: str) -> float:
    found = Counter(_words(passage))
    return sum(1 + min(found[word], 3) / 10 for word in wanted if found[word])
