"""Compares two exports of a tenant with deepdiff, as people do today, and prints the seconds as JSON.

Arguments: two folders of JSON Lines, one file for each type. Objects are compared by their ids.
"""

import json
import pathlib
import sys
import time

from deepdiff import DeepDiff


def read(folder):
    """The objects of an export, by type and id."""
    objects = {}
    for path in sorted(pathlib.Path(folder).rglob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            thing = json.loads(line)
            objects[f"{path.stem} {thing.get('id', line)}"] = thing
    return objects


before, after = (read(folder) for folder in sys.argv[1:3])
start = time.monotonic()
found = DeepDiff(before, after)
seconds = time.monotonic() - start
print(json.dumps({"seconds": seconds, "objects": len(before), "found": sum(len(v) for v in found.values())}))
