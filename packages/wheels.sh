#!/usr/bin/env bash
# Builds the wheel of every package, installs each into an environment of its own, without extras, and imports it there.
# LlamaIndex's is then joined by another distribution of `llama_index.llms`, and neither may hide the other.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$PWD/.venv/bin/uv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for package in core langchain llamaindex autogen; do
  "$uv" build --quiet --wheel --out-dir "$work/wheels" "packages/$package"
done
(cd "$work/wheels" && ls -1 ./*.whl)

# imported <distribution> <what to run>
imported() {
  "$uv" venv --quiet --python .venv/bin/python "$work/$1"
  echo certifi >"$work/overrides.txt" # langchain-core may ask for a newer one than there is
  "$uv" pip install --quiet --python "$work/$1/bin/python" --override "$work/overrides.txt" --find-links "$work/wheels" "$1"
  (cd "$work" && "$work/$1/bin/python" -W error::DeprecationWarning:__main__ -c "$2")
  echo "$1: ok"
}

imported taskrouter 'from taskrouter import Router; Router(["openai/gpt-4o"])'
imported langchain-taskrouter 'from langchain_taskrouter import RoutedChatModel'
imported llama-index-llms-taskrouter 'from llama_index.llms.taskrouter import RoutedLLM'
imported autogen-taskrouter 'from autogen_taskrouter import RoutedChatCompletionClient'

python=$work/autogen-taskrouter/bin/python
(cd "$work" && "$python" -c '
try:
    from autogen_taskrouter.agent_framework import RoutedChatClient
except ImportError as error:
    assert "autogen-taskrouter[agent-framework]" in str(error), error
else:
    raise SystemExit("agent-framework is there without its extra")')
echo "autogen-taskrouter without [agent-framework]: says what is missing"

python=$work/llama-index-llms-taskrouter/bin/python
"$uv" pip install --quiet --python "$python" llama-index-llms-openai
(cd "$work" && "$python" -c '
from llama_index.llms.openai import OpenAI
from llama_index.llms.taskrouter import RoutedLLM
RoutedLLM({"one": OpenAI(model="gpt-4o", api_key="any")})')
echo "llama-index-llms-taskrouter beside llama-index-llms-openai: both are there"
