#!/usr/bin/env bash
# LangChain's own suites, ours of the wire, and the shared suite of all adapters, on the newest langchain-core and on the
# oldest that we support, with the newest of everything else that goes with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packages/conformance.sh

checked() { # the environment's name, the requirement for langchain-core
  TASKROUTER_DOORS=langchain conforms "$1" 'anthropic|openai|langchain|langgraph|langchain-(anthropic|core|openai|tests)' \
    --editable packages/langchain "$2" langchain langchain-openai langchain-anthropic langgraph langchain-tests -- \
    packages/langchain/tests tests/langchain/test_wire.py tests/langchain/test_middleware*.py tests/adapters
}

checked newest langchain-core || failed=1
checked floor "langchain-core==$(least packages/langchain langchain-core)" || failed=1
exit $failed
