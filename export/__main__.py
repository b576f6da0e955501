"""`python -m export`: see --help."""

import sys

from export.cli import main

sys.exit(main(sys.argv[1:]))
