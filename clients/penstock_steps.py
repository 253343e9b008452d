"""Tells Penstock what each training step did. One file, the standard library, Python 3.7 or newer.

    import penstock_steps
    steps = penstock_steps.connect(batch=32)
    for images, labels in steps.watch(loader):
        with steps.sync(ddp_model):
            loss(ddp_model(images), labels).backward()
        optimizer.step()

Does nothing where no launcher listens, that is, without PENSTOCK_STEPS in the environment. Under a
launcher, watch() marks when each step asks for its batch, has it, and ends; it goes on giving the
first batches from memory in a run with synthetic data, and stops after the steps that the run wants.
The protocol is in docs/markers.md.
"""

import atexit
import contextlib
import os
import socket
import sys
import time

# Batches kept in memory for a run with synthetic data: two, so that no step trains on the one before.
_KEPT = 2


def connect(batch, rank=None, world=None, synchronize=None):
    """The markers of this process.

    batch        samples in a batch of this rank
    rank, world  read from RANK and WORLD_SIZE, or from Slurm's variables, where not given
    synchronize  called before each mark, so that the work of a device that runs behind the program
                 counts where it belongs; torch.cuda.synchronize where torch has a GPU
    """
    return Steps(batch, rank, world, synchronize)


class Steps:
    def __init__(self, batch, rank=None, world=None, synchronize=None):
        self.batch = batch
        self._index = 0
        self._limit = 0
        self._begin = self._ready = 0
        self._socket = None
        self._owner = os.getpid()
        address = os.environ.get("PENSTOCK_STEPS", "")
        self.active = bool(address)
        self.synthetic = self.active and os.environ.get("PENSTOCK_DATA") == "synthetic"
        self.all_reduce = not self.active or os.environ.get("PENSTOCK_ALL_REDUCE") != "off"
        if not self.active:
            return
        self._limit = _number(["PENSTOCK_STEP_COUNT"], 0)
        self._synchronize = synchronize or _device_wait()
        self._socket = _connect(address)
        rank = _number(["RANK", "SLURM_PROCID", "LOCAL_RANK"], 0) if rank is None else rank
        world = _number(["WORLD_SIZE", "SLURM_NTASKS"], 1) if world is None else world
        self._send(
            "penstock-steps/1 rank=%d world=%d batch=%d pid=%d" % (rank, world, batch, self._owner)
        )
        atexit.register(self.close)

    def more(self):
        """Whether another step is wanted; always, without a launcher."""
        return self._limit <= 0 or self._index < self._limit

    def watch(self, loader):
        """The batches of a loader, each step marked; goes through it again while steps are wanted."""
        if not self.active:
            yield from loader
            return
        kept = []
        while self.more():
            given = 0
            batches = iter(loader) if len(kept) < _KEPT else None
            while self.more():
                self.begin()
                if len(kept) == _KEPT:
                    # The loader's processes go too: this run is about training alone.
                    batches = None
                    batch = kept[self._index % _KEPT]
                else:
                    batch = next(batches, _NOTHING)
                    if batch is _NOTHING:
                        break
                    if self.synthetic:
                        kept.append(batch)
                given += 1
                self.ready()
                yield batch
                self.end(_samples(batch, self.batch))
            if given == 0 or self._limit <= 0:
                return

    def sync(self, model):
        """Around forward and backward: without the sum over ranks in a run that wants none."""
        if self.all_reduce or not hasattr(model, "no_sync"):
            return contextlib.nullcontext()
        return model.no_sync()

    def begin(self):
        """The step asks for its batch."""
        self._begin = self._ready = self._now()

    def ready(self):
        """The batch is here; call it again when the batch is on its device."""
        self._ready = self._now()

    def end(self, samples=None, loss=None):
        """The step has ended."""
        if self.active:
            line = "step index=%d begin=%d ready=%d end=%d samples=%d" % (
                self._index,
                self._begin,
                self._ready,
                self._now(),
                self.batch if samples is None else samples,
            )
            self._send(line if loss is None else line + " loss=%r" % float(loss))
        self._index += 1

    def error(self, message):
        """Why the program gives up."""
        self._send("error " + " ".join(str(message).split()))

    def close(self):
        # A forked process of the loader has a copy of this object, and nothing to say.
        if self._socket is not None and os.getpid() == self._owner:
            self._send("done")
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _now(self):
        if not self.active:
            return 0
        if self._synchronize is not None:
            self._synchronize()
        return time.monotonic_ns()

    def _send(self, line):
        if self._socket is None:
            return
        try:
            self._socket.sendall((line + "\n").encode())
        except OSError:  # a launcher that is gone is no reason to stop
            self._socket.close()
            self._socket = None


_NOTHING = object()


def _number(names, fallback):
    for name in names:
        if os.environ.get(name):
            return int(os.environ[name])
    return fallback


def _connect(address):
    try:
        if address.startswith("tcp:"):
            host, port = address[4:].rsplit(":", 1)
            return socket.create_connection((host.strip("[]"), int(port)))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(address)
        return connection
    except OSError as reason:
        raise ConnectionError(
            "PENSTOCK_STEPS=%s: no launcher listens there (%s)" % (address, reason)
        ) from None


def _device_wait():
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.synchronize
    return None


def _samples(batch, expected):
    """How many samples a batch of the usual shapes holds; the last one may be short."""
    while isinstance(batch, (list, tuple, dict)) and batch:
        batch = next(iter(batch.values() if isinstance(batch, dict) else batch))
    shape = getattr(batch, "shape", None)
    return int(shape[0]) if shape else expected
