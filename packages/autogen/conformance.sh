#!/usr/bin/env bash
# The shared suite of all adapters and our own tests with the frameworks' real agents: AutoGen's and Agent Framework's
# newest versions, and the oldest that we support.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packages/conformance.sh

checked() { # the environment's name, AutoGen's version, Agent Framework's requirement
  TASKROUTER_DOORS=autogen,agent_framework conforms "$1" 'anthropic|openai|autogen-.*|agent-framework-.*' \
    --editable packages/autogen "autogen-core$2" "autogen-agentchat$2" "autogen-ext[anthropic,openai]$2" "$3" \
    agent-framework-openai 'anthropic<1' 'litellm[mcp]>=1.84,<2' -- \
    tests/adapters tests/autogen tests/agent_framework
}

checked autogen-newest '' agent-framework-core || failed=1
checked autogen-floor "==$(least packages/autogen autogen-core)" \
  "agent-framework-core==$(least packages/autogen agent-framework-core)" || failed=1
exit $failed
