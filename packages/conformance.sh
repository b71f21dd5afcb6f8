# Sourced by each adapter's `conformance.sh`: an environment per version of a framework, brought up to date, and the
# tests that it must pass.

uv=.venv/bin/uv
environments=.venv-conformance
failed=0
mkdir -p $environments
echo certifi >$environments/overrides.txt # langchain-core may ask for a newer one than there is

# The least version of a dependency that a package allows: least <package's folder> <dependency>
least() { sed -n "s/.*\"$2>=\([0-9.]*\),.*/\1/p" "$1/pyproject.toml"; }

# conforms <environment> <pattern of versions to print> <requirement>... -- <what pytest is given>...
conforms() {
  local name=$1 shown=$2 requirements=()
  shift 2
  while [ "$1" != -- ]; do requirements+=("$1"); shift; done
  shift
  local python=$environments/$name/bin/python
  [ -x "$python" ] || "$uv" venv --quiet --python .venv/bin/python "$environments/$name" || return
  "$uv" pip install --quiet --upgrade --python "$python" --override $environments/overrides.txt \
    --editable 'packages/core[simulate,redis]' "${requirements[@]}" \
    hypothesis pytest pytest-asyncio pytest-benchmark opentelemetry-sdk || return
  printf '\n%s:\n' "$name"
  "$uv" pip list --quiet --python "$python" | grep -E "^($shown) "
  "$python" -m pytest -q -p no:cacheprovider "$@"
}
