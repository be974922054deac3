"""`python -m eval_anything`: the same as the command `eval-anything`."""

from eval_anything.cli.main import console

console()
