#!/usr/bin/env bash
# LangChain's own suites, and ours of the wire, on the newest langchain-core and on the oldest that we support, with the
# newest of everything else that goes with it. Each has an environment of its own, which is brought up to date.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv=.venv/bin/uv
environments=.venv-conformance
floor=$(sed -n 's/.*"langchain-core>=\([0-9.]*\),.*/\1/p' packages/langchain/pyproject.toml)

conforms() { # the environment's name, the requirement for langchain-core
  local python=$environments/$1/bin/python
  [ -x "$python" ] || "$uv" venv --quiet --python .venv/bin/python "$environments/$1" || return
  "$uv" pip install --quiet --upgrade --python "$python" --override $environments/overrides.txt \
    --editable 'packages/core[simulate]' --editable packages/langchain \
    "$2" langchain langchain-openai langchain-anthropic langgraph langchain-tests hypothesis || return
  printf '\n%s:\n' "$1"
  "$uv" pip list --quiet --python "$python" | grep -E '^(anthropic|langchain|langgraph|openai) |^langchain-(anthropic|core|openai|tests) '
  "$python" -m pytest -q -p no:cacheprovider packages/langchain/tests tests/langchain/test_wire.py tests/langchain/test_middleware*.py
}

mkdir -p $environments
echo certifi >$environments/overrides.txt # langchain-core may ask for a newer one than there is
failed=0
conforms newest langchain-core || failed=1
conforms floor "langchain-core==$floor" || failed=1
exit $failed
