"""`python -m fleet`: the command where its script is not on the path."""

import sys

from fleet.cli.main import main

sys.exit(main())
