"""What Airflow's error about a DAG file says, in one line."""

import re

NAMED = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*): (.+)$")
"""The line of a traceback that says the error: its class, by its full name, and the message."""


def fact_of(stack_trace: str) -> str:
    """The first line of what a traceback's error says; what follows it there is advice, or an address.

    A text that is no traceback is told by its first line.
    """
    lines = stack_trace.strip().splitlines()
    last = max((number for number, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    said = [line.strip() for line in lines[last + 1 :] if line.strip() and (last < 0 or line[0] != " ")]
    if not said:
        return lines[-1].strip() if lines else "Airflow does not say why"
    named = NAMED.match(said[0])
    return f"{named[1]}: {named[2]}" if named else said[0]
