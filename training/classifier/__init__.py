"""Training of the embedded classifier of task types.

    python -m training.classifier [--data ../shared/data/tasks] [--prompts training/prompts]

The same inputs give the same bytes. `docs/classifier.md` says what it is trained on and how good it is.
"""

import os

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # before numpy: sums in another order are other sums
