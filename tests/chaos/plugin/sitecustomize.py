"""Python runs this at the start of a process whose PYTHONPATH names this folder."""

import os

from tests.chaos.planted import plant

plant(os.environ["TIDEGATE_TEST_PLANT"])
