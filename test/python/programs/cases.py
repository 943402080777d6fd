"""Runs the functions of a program one after the other, and prints what each of them has got as a line of JSON."""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable


def run(*cases: Callable[[str], object]) -> None:
    """Each is called with the address of the server; of one that raises, the traceback is what it has got."""
    url = sys.argv[1]
    # One for all: some clients keep their connections for longer than a case.
    loop = asyncio.new_event_loop()
    for case in cases:
        try:
            got = loop.run_until_complete(case(url)) if inspect.iscoroutinefunction(case) else case(url)
        except Exception:
            got = traceback.format_exc()
        name = case.__name__.replace("_", " ")
        print(json.dumps({"name": name, "got": got}), flush=True)
