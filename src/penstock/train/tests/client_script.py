"""Trains on nothing, through the Python client; says on its last line how often the loader was asked.

    client_script.py BATCHES [EPOCHS]
"""

import sys

import penstock_steps


class Batch:
    shape = (5, 3)


class Loader:
    asked = 0

    def __iter__(self):
        for _ in range(int(sys.argv[1])):
            Loader.asked += 1
            yield Batch(), "labels"


class Model:
    synchronized = True

    def no_sync(self):
        Model.synchronized = False
        import contextlib

        return contextlib.nullcontext()


steps = penstock_steps.connect(batch=8)
seen = 0
for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1):
    for images, labels in steps.watch(Loader()):
        with steps.sync(Model()):
            seen += 1
print("asked=%d seen=%d synchronized=%s" % (Loader.asked, seen, Model.synchronized))
steps.error("asked=%d seen=%d synchronized=%s" % (Loader.asked, seen, Model.synchronized))
