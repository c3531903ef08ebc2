"""`python -m cae_bench` is `cae-bench`."""

from .cli import main

main()
