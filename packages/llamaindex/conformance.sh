#!/usr/bin/env bash
# The shared suite of all adapters and our own tests with LlamaIndex's real agents, on its newest version and on the
# oldest that we support.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packages/conformance.sh

checked() { # the environment's name, the requirement for llama-index-core
  TASKROUTER_DOORS=llamaindex conforms "$1" 'anthropic|openai|litellm|llama-index-.*' \
    --editable packages/llamaindex "$2" llama-index-llms-openai llama-index-llms-anthropic llama-index-llms-litellm \
    'anthropic<1' 'litellm[mcp]>=1.84,<2' openinference-instrumentation-llama-index -- \
    tests/adapters tests/llamaindex
}

checked llamaindex-newest llama-index-core || failed=1
checked llamaindex-floor "llama-index-core==$(least packages/llamaindex llama-index-core)" || failed=1
exit $failed
