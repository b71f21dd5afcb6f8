"""A ledger of a router that tossed a coin, with labels, and the configuration to try on it."""

from pathlib import Path

from tests.core.evaluation.ledgers import logged, policy_file

logged(Path.cwd(), steps=300)
policy_file(Path.cwd(), {"clerk/": {"small": 1.0}, "planner/": {"large": 1.0}}, "tuned.json")
Path("new.toml").write_text(
    """
[router]
incumbent = "large"

[learning]
policy = "tuned.json"

[[models]]
id = "small"
model = "house/small"
input_usd_per_million = 1
output_usd_per_million = 1

[[models]]
id = "large"
model = "house/large"
input_usd_per_million = 10
output_usd_per_million = 10
""",
    encoding="utf-8",
)
