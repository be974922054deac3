"""lm-evaluation-harness's own command line, with `--model eval-anything` in it."""

from __future__ import annotations

import sys

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.lm_eval import register


def main() -> int:
    try:
        register()
        from lm_eval.__main__ import cli_evaluate

        from eval_anything.lm_eval.model import close_all

        try:
            cli_evaluate()
        finally:
            close_all()
    except EvalAnythingError as fault:
        print(f"eval-anything: {fault}", file=sys.stderr)
        return 2 if isinstance(fault, UsageError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
