"""The tools, the index and the candidates that the page speaks of."""

from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import TextNode
from llama_index.llms.openai import OpenAI


def opening_hours(place: str) -> str:
    """Tell when a place is open."""
    return f"{place} is open from 9 to 17 h."


tools = [opening_hours]
index = VectorStoreIndex([TextNode(text="The crane was built in 1908.")], embed_model=MockEmbedding(embed_dim=2))
candidates = {"small": OpenAI(model="gpt-4o-mini"), "large": OpenAI(model="gpt-4o")}
