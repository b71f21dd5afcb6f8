"""A retrieval chain: a cheap model turns the question into a search, a strong one answers. No key, no network.

    pip install 'langchain-taskrouter[demo]'
    python examples/rag_chain.py

One routed model stands in both places, and `for_node` says what each is for. The retriever compares words: there are no
embeddings and no download. The models, their prices and their quality are simulated.
"""

from __future__ import annotations

import re
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun, UsageMetadataCallbackHandler
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from langchain_taskrouter import RoutedChatModel
from taskrouter import simulator

SIMULATED = [
    {"id": "small", "input_usd_per_million": 0.10, "output_usd_per_million": 0.40},
    {"id": "large", "input_usd_per_million": 3.00, "output_usd_per_million": 15.00},
]
QUALITY = {"small": 0.80, "large": 0.95}  # invented
RULES = [{"name": "what users do not read may be cheap", "when": {"tags": ["inner"]}, "policy": "economy"}]
ARCHIVE = [
    "The harbour crane was built in 1908 and lifts 12 tons.",
    "The lighthouse is 31 metres high. It burns since 1871.",
    "The fish market opens at 5 h and closes at 11 h.",
    "The harbour crane was restored in 2019 by volunteers.",
]
REWRITE = ChatPromptTemplate.from_template("Rewrite the question as a search.\n\nQuery: {question}")
ANSWER = ChatPromptTemplate.from_messages([("system", "Answer from the context.\n\n{context}"), ("user", "{question}")])


class Search(BaseModel):
    """What to search the archive for."""

    query: str


class WordRetriever(BaseRetriever):
    """Finds the passages that share most words with the query."""

    passages: list[str]
    count: int = 2

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
    ) -> list[Document]:
        def shared(passage: str) -> int:
            return len(words(query) & words(passage))

        return [Document(passage) for passage in sorted(self.passages, key=shared, reverse=True)[: self.count]]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def chain_of(model: RoutedChatModel, retriever: BaseRetriever) -> Any:
    """Return the chain: a question in; query, context and answer out."""
    rewriter = model.for_node("rewrite", task="rewriting", tags=["inner"])
    query = (
        REWRITE
        | rewriter.with_structured_output(Search, method="function_calling")  # by a tool: every provider has them
        | (lambda search: search.query)
    )
    context = (lambda state: state["query"]) | retriever | (lambda found: "\n".join(d.page_content for d in found))
    answer = ANSWER | model.for_node("answer", task="closed_qa")
    return RunnablePassthrough.assign(query=query) | RunnablePassthrough.assign(context=context).assign(answer=answer)


def main() -> None:
    facts = [
        {**model, "quality": {"general": {"mean": QUALITY[str(model["id"])], "source": "invented"}}}
        for model in SIMULATED
    ]
    with simulator.serve({"speed": 0.0, "models": SIMULATED}) as server:
        model = RoutedChatModel(
            {m: ChatOpenAI(model=m, base_url=server.base_url, api_key=SecretStr("none")) for m in QUALITY},
            incumbent="large",
            config={"models": facts, "rules": RULES},
        )
        chain = chain_of(model, WordRetriever(passages=ARCHIVE))
        counted = UsageMetadataCallbackHandler()  # LangChain's own: one run for each call, by the model that answered
        for question in ("How high is the lighthouse?", "When was the harbour crane restored?"):
            print(f"\n{question}")
            for part in chain.stream({"question": question}, {"callbacks": [counted]}):
                if "answer" in part:
                    print(part["answer"].text, end="", flush=True)
                    if account := part["answer"].response_metadata.get("taskrouter"):
                        print(f"\n[{account['model']}, {account['task_type']}, ${account['cost_usd']:.6f}]")
    print("\ntokens by model:")
    for name, usage in sorted(counted.usage_metadata.items()):
        print(f"  {name:<6} {usage['input_tokens']:>4} in {usage['output_tokens']:>4} out")


if __name__ == "__main__":
    main()
