"""tests/clients/suite_churn.py — the short form of churn.py: a minute of it, over each of the runs."""
import random

from churn import Churn
from harness import case, owned

SECONDS = 55


@case("churn", "30 members of every library join, die and leave; the broker is killed twice", timeout=240)
def churned(broker):
    owned(broker)
    print("        " + Churn(broker, SECONDS, random.randrange(1 << 31)).run(), flush=True)
