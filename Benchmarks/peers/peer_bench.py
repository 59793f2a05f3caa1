"""Time peers, and the best plain NumPy / torch version, on the work a row of rows.json describes.

  peer_bench.py --rows [FILE] [--only WORD] [--peer P]      every row (whose name contains WORD) on its peers, as a table
  peer_bench.py --peer P --op NAME --n N --d D ...          one peer, one row given by hand
  peer_bench.py --rows --check                              compare each peer's answer with ../../Tests/Conformance/oracle.py
  peer_bench.py --rows --export DIR                         write the inputs as .npy; --data FILE uses such a file
  peer_bench.py --serve                                     answer JSON lines on stdin, so a caller can interleave runs
  peer_bench.py --table results.jsonl                       the table again, from saved lines

Prints one JSON line a result, after a header line.  README.md has the protocol of --serve and the peers' quirks.
Every peer runs in a child process of its own: thread counts set before anything is imported, pinned to as many CPUs,
limited in memory, killed by its own alarm at the row's timeout.  The peers of a row take turns, A B A B.
"""
import argparse
import asyncio
import atexit
import importlib.util
import inspect
import json
import math
import os
import pathlib
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time
from importlib import metadata

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ["byzpy", "byzfl", "krum", "torch", "numpy"]
SPEC = dict(peer="", op="", n=64, d=65536, f=0, q=1, iters=10, size=2, rounds=5, seed=0, tau=.1, threshold=2.0,
            data="", pool="", chunk=0, threads=1, timeout=60.0, memory=16.0)
SETUP_SECONDS = 300                                    # imports; krum compiles its native code the first time
HONEST, BYZANTINE, BATCHES, BATCH = 10, 3, 8, 64       # the parameter-server row
NOTES = {("byzfl", "multiKrum"): "q is fixed at n-f",
         ("byzfl", "geometricMedian"): "3 smoothed steps, not converged",
         ("byzfl", "centeredClipping"): "starts at zero, not at the mean",
         ("byzpy", "parameterServer"): "its design: an optimiser step on each of 10 replicas, the attack computed by each of "
                                       "3 nodes, gradients copied to shared memory; nodes run in this process",
         ("byzfl", "parameterServer"): "its design: one server step, then the state copied to 10 clients; momentum moved "
                                       "from its clients to its server, so that all take the same step",
         ("torch", "parameterServer"): "one model, one optimiser step a round"}
NOT_COMPARED = {("byzpy", "caf"): "3 power steps from a random vector", ("byzfl", "caf"): "1 power step from a random vector",
                ("byzfl", "smea"): "1 power step from a random vector",
                ("byzfl", "geometricMedian"): "3 smoothed steps from zero",
                ("krum", "bulyan"): "averages Multi-Krum picks and selects n-2f-2"}


# ---------------------------------------------------------------- data
def matrix(a, file=None):
    import numpy as np
    if file or a.data:
        X = np.load(file or a.data)
        if X.dtype != np.float32 or X.ndim != 2:
            raise ValueError(f"{file or a.data}: need a float32 matrix")
        a.n, a.d = X.shape
        return np.ascontiguousarray(X)
    return np.random.default_rng(a.seed).standard_normal((a.n, a.d), dtype=np.float32)


def server_data(a):
    """MNIST-shaped images around ten prototypes (learnable, no download): HONEST x BATCHES x BATCH."""
    import numpy as np
    rng = np.random.default_rng(a.seed)
    labels = rng.integers(0, 10, (HONEST, BATCHES, BATCH))
    images = rng.standard_normal((10, 784))[labels] + rng.standard_normal((*labels.shape, 784))
    return (images / 2).astype(np.float32).reshape(*labels.shape, 1, 28, 28), labels


def small_cnn(seed):
    """ByzPy's example network, 421,642 parameters."""
    import torch
    from torch import nn
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))


def flat(model):
    import torch
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy()


def export(a, folder):
    """Write the row's input below folder; return the files.  Rows of one shape share one file."""
    import numpy as np
    folder.mkdir(parents=True, exist_ok=True)
    if a.op == "parameterServer":
        images, labels = server_data(a)
        parts = dict(images=images, labels=labels.astype(np.int32), parameters=flat(small_cnn(a.seed)))
    else:
        parts = {f"normal_{a.n}x{a.d}": matrix(a)}
    files = {k: str(folder / f"{k}_seed{a.seed}.npy") for k in parts}
    for k, v in parts.items():
        np.save(files[k], v)
    return files


# ---------------------------------------------------------------- peers
def vectors(X):
    import torch
    return list(torch.from_numpy(X).unbind(0))         # what the peers' own benchmarks pass


def little_z(a):
    N = a.n + a.f
    return statistics.NormalDist().inv_cdf((N - max(1, N // 2 + 1 - a.f)) / N)


def run(coroutine):
    """On one event loop for the whole process: ByzPy's pools belong to the loop that started them."""
    global loop
    loop = globals().get("loop") or asyncio.new_event_loop()
    return loop.run_until_complete(coroutine)


def byzpy_pool(a):
    from byzpy.engine.graph.pool import ActorPool, ActorPoolConfig
    global pool_of_this_process                        # one for all inputs
    if "pool_of_this_process" in globals():
        return pool_of_this_process
    backend, count = a.pool.split(":")
    pool_of_this_process = pool = ActorPool([ActorPoolConfig(backend=backend, count=int(count))])
    run(pool.start())
    atexit.register(lambda: run(pool.shutdown()))
    return pool


def byzpy_call(a, X):
    name, kw = {
        "mda": ("MinimumDiameterAveraging", dict(f=a.f)), "smea": ("SMEA", dict(f=a.f)),
        "trimmedMean": ("CoordinateWiseTrimmedMean", dict(f=a.f)), "median": ("CoordinateWiseMedian", {}),
        "meamed": ("MeanOfMedians", dict(f=a.f)), "multiKrum": ("MultiKrum", dict(f=a.f, q=a.q)),
        "geometricMedian": ("GeometricMedian", {}), "caf": ("CAF", dict(f=a.f)),
        "monna": ("MoNNA", dict(f=a.f, reference_index=0)), "cge": ("ComparativeGradientElimination", dict(f=a.f)),
        "centeredClipping": ("CenteredClipping", dict(c_tau=a.tau, M=a.iters)), "arc": ("ARC", dict(f=a.f)),
        "nnm": ("NearestNeighborMixing", dict(f=a.f)), "bucketing": ("Bucketing", dict(bucket_size=a.size)),
        "clipping": ("Clipping", dict(threshold=a.threshold)), "empire": ("EmpireAttack", {}),
        "little": ("LittleAttack", dict(f=a.f, N=a.n + a.f)), "gaussian": ("GaussianAttack", dict(seed=0))}[a.op]
    homes = ["aggregators.coordinate_wise", "aggregators.geometric_wise", "aggregators.norm_wise", "pre_aggregators", "attacks"]
    cls = next(getattr(m, name) for m in (importlib.import_module(f"byzpy.{h}") for h in homes) if hasattr(m, name))
    if a.chunk and a.pool:
        kw |= {k: a.chunk for k in inspect.signature(cls).parameters if k in ("chunk_size", "feature_chunk_size")}
    op, rows = cls(**kw), vectors(X)
    if a.pool:
        if not (op.supports_subtasks or getattr(op, "supports_barriered_subtasks", False)):
            raise NotImplementedError(f"byzpy does not split {a.op}")
        from byzpy.engine.graph.ops import make_single_operator_graph
        from byzpy.engine.graph.scheduler import NodeScheduler
        key = getattr(op, "input_key", "honest_grads")
        graph = make_single_operator_graph(node_name="op", operator=op, input_keys=(key,))
        scheduler = NodeScheduler(graph, pool=byzpy_pool(a))
        return lambda: run(scheduler.run({key: rows}))["op"]
    if hasattr(op, "aggregate"):
        return lambda: op.aggregate(rows)
    return (lambda: op.pre_aggregate(rows)) if hasattr(op, "pre_aggregate") else lambda: op.apply(honest_grads=rows)


def byzfl_call(a, X):
    import byzfl
    rows = vectors(X)
    make = {"mda": lambda: byzfl.MDA(a.f), "smea": lambda: byzfl.SMEA(a.f), "trimmedMean": lambda: byzfl.TrMean(a.f),
            "median": byzfl.Median, "multiKrum": lambda: byzfl.MultiKrum(a.f), "geometricMedian": byzfl.GeometricMedian,
            "caf": lambda: byzfl.CAF(a.f), "monna": lambda: byzfl.MoNNA(a.f, 0), "meamed": lambda: byzfl.Meamed(a.f),
            "centeredClipping": lambda: byzfl.CenteredClipping(L=a.iters, tau=a.tau), "arc": lambda: byzfl.ARC(a.f),
            "nnm": lambda: byzfl.NNM(a.f), "bucketing": lambda: byzfl.Bucketing(a.size),
            "clipping": lambda: byzfl.Clipping(a.threshold), "empire": lambda: byzfl.InnerProductManipulation(tau=1.0),
            "little": lambda: byzfl.ALittleIsEnough(tau=little_z(a)), "gaussian": byzfl.Gaussian}[a.op]
    return lambda: make()(rows)                        # a fresh instance: CenteredClipping keeps state


def krum_call(a, X):
    """EPFL's native rules; a checkout on PYTHONPATH compiles itself at the first import (see README.md)."""
    rule, kw = {"mda": ("brute", {}), "bulyan": ("bulyan", {}), "median": ("median", {}),
                "multiKrum": ("krum", dict(m=a.q))}[a.op]
    for k, v in dict(NATIVE_OPT="1", NATIVE_QUIET="1", CC="gcc", CXX="g++").items():
        os.environ.setdefault(k, v)
    try:
        from krum import aggregators
    except ImportError as e:
        raise NotImplementedError(f"krum cannot be imported ({e})") from None
    if f"native-{rule}" not in aggregators.gars:
        raise NotImplementedError(f"krum has no native {rule} here: did it compile?")
    call, rows = aggregators.gars[f"native-{rule}"].unchecked, vectors(X)
    return lambda: call(gradients=rows, f=a.f, **kw)


def step_call(a, X):
    """Loss, gradient and update of the example network on the rows of X as images; labels as byzkit-bench has them."""
    import torch
    if a.peer != "torch":
        raise NotImplementedError(f"{a.peer} has no {a.op}")
    layout = torch.channels_last if a.op == "cnnStepChannelsLast" else torch.contiguous_format
    net = small_cnn(a.seed).to(memory_format=layout)
    optimiser = torch.optim.SGD(net.parameters(), lr=.1, momentum=.9)
    images = torch.from_numpy(X).reshape(-1, 1, 28, 28).to(memory_format=layout)
    labels = torch.arange(len(X)) * 7 % 10

    def step():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimiser.step()
        return loss.detach()
    return step


def pipeline_call(a, X):
    """Four branches that prepare all rows and take their median on the pool, by either of ByzPy's schedulers."""
    import numpy as np
    import torch
    if a.peer != "byzpy":
        raise NotImplementedError(f"{a.peer} has no {a.op}")
    from byzpy.aggregators.coordinate_wise import CoordinateWiseMedian
    from byzpy.engine.graph.graph import ComputationGraph, GraphInput, GraphNode
    from byzpy.engine.graph.operator import Operator
    from byzpy.engine.graph.scheduler import NodeScheduler as kind
    if a.op == "pipelineDataflow":                     # on the package index there is none yet
        try:
            from byzpy.engine.graph.parallel_scheduler import ParallelScheduler as kind
        except ImportError:
            raise NotImplementedError(f"byzpy {metadata.version('byzpy')} has no ParallelScheduler") from None

    def prepare(rows):
        prepared = []
        for row in rows:
            x = row.numpy()
            for _ in range(30):
                x = x - x.mean()
                x = np.clip(x / (x.std() + 1e-8), -3, 3)
            prepared.append(torch.from_numpy(x))
        return prepared

    class Preparation(Operator):
        name = "preparation"

        async def run(self, inputs, *, context, pool):
            return await asyncio.to_thread(prepare, inputs["gradients"])

    nodes = []
    for k in range(4):
        nodes += [GraphNode(name=f"prepare {k}", op=Preparation(), inputs={"gradients": GraphInput("gradients")}),
                  GraphNode(name=f"median {k}", op=CoordinateWiseMedian(chunk_size=a.chunk),
                            inputs={"gradients": f"prepare {k}"})]
    graph = ComputationGraph(nodes=nodes, outputs=[f"median {k}" for k in range(4)])
    scheduler, rows = kind(graph, pool=byzpy_pool(a)), vectors(X)
    return lambda: run(scheduler.run({"gradients": rows}))


def plain_call(a, X):
    """The fastest of the obvious formulations in each library; n-by-n bookkeeping is NumPy's in both."""
    return plain(a, X)[a.op]


def plain(a, X):
    import numpy as np
    n, f = a.n, a.f
    if a.peer == "torch":
        import torch
        T, give = torch.from_numpy(X), torch.from_numpy
        square = lambda A: torch.linalg.norm(A, dim=1) ** 2
        draw = lambda: torch.randn(a.d)
        total = lambda A: A.sum(0)

        def median(A):
            top = A.topk(len(A) // 2 + 1, 0, sorted=False).values    # twice as fast as sorted
            low, at = top.min(0)
            return low if len(A) % 2 else (low + top.scatter(0, at[None], math.inf).amin(0)) / 2

        def trimmed_mean():
            ends = [T.topk(f, 0, largest=side, sorted=False).values.sum(0) for side in (True, False)]
            return (T.sum(0) - ends[0] - ends[1]) / (n - 2 * f)

        def meamed(A, f):
            far = (A - median(A)).abs().topk(f, 0, sorted=False).indices
            return (A.sum(0) - A.gather(0, far).sum(0)) / (len(A) - f)
    else:
        T, give = X, lambda w: w
        square = lambda A: np.array([x @ x for x in A])
        rng = np.random.default_rng(a.seed)
        draw = lambda: rng.standard_normal(a.d, dtype=np.float32)

        def median(A):
            S, k = np.sort(A, axis=0), len(A) // 2
            return S[k] if len(A) % 2 else (S[k - 1] + S[k]) / 2

        def trimmed_mean():
            return np.sort(T, axis=0)[f:n - f].mean(0)

        def meamed(A, f):                              # the values kept are neighbours in the sorted column
            S, m = np.sort(A, axis=0), len(A) - f
            mid = (S[(len(A) - 1) // 2] + S[len(A) // 2]) / 2
            window = best = S[:m].sum(0)
            gap = np.maximum(mid - S[0], S[m - 1] - mid)
            for k in range(1, f + 1):
                window = window + S[k + m - 1] - S[k - 1]
                new = np.maximum(mid - S[k], S[k + m - 1] - mid)
                best, gap = np.where(new < gap, window, best), np.minimum(gap, new)
            return best / m

    def dist2(A):
        s = np.asarray(square(A))
        return np.maximum(s[:, None] + s - 2 * np.asarray(A @ A.T), 0)

    def mean_of(keys, k):                              # a product with zero weights beats copying the rows
        w = np.zeros(len(keys), np.float32)
        w[np.argsort(np.asarray(keys))[:k]] = 1 / k
        return give(w) @ T

    even = lambda k: give(np.full(k, 1 / k, np.float32))

    def multi_krum(A, q):
        n = len(A)
        score = np.partition(dist2(A), n - f - 1, axis=1)[:, :n - f].sum(1)
        return even(q) @ A[np.argsort(score)[:q]]

    def bulyan():
        D, left = dist2(T), list(range(n))
        for r in range(n, 2 * f, -1):
            left.pop(np.partition(D[np.ix_(left, left)], r - f - 1, axis=1)[:, :r - f].sum(1).argmin())
        return meamed(T[[i for i in range(n) if i not in left]], 2 * f)

    def geometric_median():
        s, z = square(T), even(n) @ T
        for _ in range(256):
            w = (s - 2 * (T @ z) + z @ z).clip(1e-12) ** -.5
            z, old = w @ T / w.sum(), z
            if (z - old) @ (z - old) <= 1e-12:
                break
        return z

    def centered_clipping():
        s, v = square(T), even(n) @ T
        for _ in range(a.iters):
            c = (a.tau * (s - 2 * (T @ v) + v @ v).clip(1e-12) ** -.5).clip(None, 1)
            v = v + (c @ T - c.sum() * v) / n
        return v

    def shrink(limit):
        return T * (limit(r := square(T) ** .5) / r.clip(1e-12)).clip(None, 1)[:, None]

    def nnm():
        D = dist2(T)
        M = np.zeros_like(D)
        np.put_along_axis(M, np.argpartition(D, n - f - 1, axis=1)[:, :n - f], 1 / (n - f), 1)
        return give(M) @ T

    def little():
        m = even(n) @ T
        D = T - m
        D *= D
        return m + little_z(a) * (even(n) @ D) ** .5

    def bucketing():
        p = np.random.permutation(n)
        return [even(len(p[i:i + a.size])) @ T[p[i:i + a.size]] for i in range(0, n, a.size)]

    return {"median": lambda: median(T), "trimmedMean": trimmed_mean, "meamed": lambda: meamed(T, f), "bulyan": bulyan,
            "multiKrum": lambda: multi_krum(T, a.q), "krumOf": multi_krum, "geometricMedian": geometric_median,
            "centeredClipping": centered_clipping, "cge": lambda: mean_of(square(T), n - f), "nnm": nnm, "gaussian": draw,
            "monna": lambda: mean_of(square(T - T[0]), n - f), "bucketing": bucketing, "little": little,
            "arc": lambda: shrink(lambda r: np.sort(np.asarray(r))[n - 2 * f * (n - f) // n - 1]),
            "clipping": lambda: shrink(lambda r: a.threshold), "empire": lambda: -(even(n) @ T)}


# ---------------------------------------------------------------- parameter server
def server_call(a):
    """rounds() trains for a.rounds rounds and returns a model: 10 honest nodes, 3 sending minus their mean, Multi-Krum
    with q = n-f, SGD lr .1 momentum .9, batch 64.  Tensors are ready before the clock starts; every loss must be finite."""
    import torch
    images, labels = map(torch.from_numpy, server_data(a))
    loss_of, sgd = torch.nn.functional.cross_entropy, dict(lr=.1, momentum=.9)

    def finite(loss):
        if not math.isfinite(loss):
            raise FloatingPointError("the loss is not finite")

    def gradient(net, i, k):
        net.zero_grad()
        loss = loss_of(net(images[i, k]), labels[i, k])
        loss.backward()
        finite(loss.item())
        return torch.cat([p.grad.reshape(-1) for p in net.parameters()])

    def step(net, optimiser, v):
        for p, part in zip(net.parameters(), v.split([p.numel() for p in net.parameters()])):
            p.grad = part.view_as(p).clone()
        optimiser.step()

    if a.peer == "torch":
        net, at = small_cnn(a.seed), iter(range(10 ** 9))
        optimiser, krum = torch.optim.SGD(net.parameters(), **sgd), plain(a, images[0, 0, :, 0, 0].numpy())["krumOf"]

        def rounds():
            for _ in range(a.rounds):
                k = next(at) % BATCHES
                good = torch.stack([gradient(net, i, k) for i in range(HONEST)])
                step(net, optimiser, krum(torch.cat([good, -good.mean(0).expand(BYZANTINE, -1)]), a.q))
            return net
        return rounds

    if a.peer == "byzfl":
        from byzfl import ByzantineClient, Client, Server
        from byzfl.fed_framework import models
        from torch.utils.data import DataLoader
        models.small_cnn = lambda: small_cnn(a.seed)

        class Ready(DataLoader):                       # its Client insists on the type
            def __init__(self, i):
                self.batches = list(zip(images[i], labels[i]))

            def __iter__(self):
                return iter(self.batches)
        common = dict(model_name="small_cnn", device="cpu", learning_rate=sgd["lr"], weight_decay=0.0,
                      milestones=[], learning_rate_decay=1.0)
        clients = [Client(dict(common, loss_name="CrossEntropyLoss", LabelFlipping=False, momentum=0.0, nb_labels=10,
                               store_per_client_metrics=False, training_dataloader=Ready(i))) for i in range(HONEST)]
        server = Server(dict(common, optimizer_name="SGD", optimizer_params=dict(momentum=sgd["momentum"]), pre_agg_list=[],
                             test_loader=Ready(0), aggregator_info={"name": "MultiKrum", "parameters": {"f": a.f}}))
        attack = ByzantineClient({"name": "InnerProductManipulation", "f": BYZANTINE, "parameters": {"tau": 1.0}})

        def rounds():
            for _ in range(a.rounds):
                for c in clients:
                    finite(c.compute_gradients())
                good = [c.get_flat_gradients() for c in clients]
                server.update_model_with_gradients(good + attack.apply_attack(good))
                for c in clients:
                    c.set_model_state(server.get_dict_parameters())
            return server.model
        return rounds

    from byzpy.aggregators.geometric_wise import MultiKrum
    from byzpy.attacks import EmpireAttack
    from byzpy.engine.parameter_server.ps import ParameterServer

    class Honest:                                      # the methods ParameterServer calls
        def __init__(self, i):
            self.i, self.at, self.net = i, 0, small_cnn(a.seed)
            self.optimiser = torch.optim.SGD(self.net.parameters(), **sgd)

        async def honest_gradient_for_next_batch(self):
            self.at += 1
            return gradient(self.net, self.i, (self.at - 1) % BATCHES)

        async def apply_server_gradient(self, v):
            step(self.net, self.optimiser, v)

    class Byzantine:
        attack = EmpireAttack(scale=-1.0)

        async def byzantine_gradient_for_next_batch(self, honest_grads):
            return self.attack.apply(honest_grads=list(honest_grads))

    nodes = [Honest(i) for i in range(HONEST)]
    server = ParameterServer(honest_nodes=nodes, byzantine_nodes=[Byzantine() for _ in range(BYZANTINE)],
                             aggregator=MultiKrum(f=a.f, q=a.q), actor_pool=byzpy_pool(a) if a.pool else None)

    def rounds():
        for _ in range(a.rounds):
            run(server.round())
        return nodes[0].net
    return rounds


# ---------------------------------------------------------------- check
def check(a, X, result):
    import numpy as np
    sys.path.insert(0, str(HERE.parent.parent / "Tests" / "Conformance"))
    import oracle as o
    why = NOT_COMPARED.get((a.peer, a.op))
    if (a.peer, a.op) == ("torch", "parameterServer"):
        why = "the peers are compared with this one"
    if a.peer == "byzpy" and a.op == "meamed" and a.n % 2 == 0:
        why = "around the lower median for even n"
    if why:
        return dict(check="skipped", why=why)
    got = np.stack([np.asarray(v) for v in result]) if isinstance(result, (list, tuple)) else result
    if a.op == "parameterServer":
        same = server_call(argparse.Namespace(**vars(a) | dict(peer="torch")))
        got, want, basis = flat(result), flat([same() for _ in range(a.calls)][-1]), "torch row, as many rounds"
    elif a.op == "gaussian":
        got = np.asarray(got, float)
        return dict(check="ok" if abs(got.mean()) < 6 / a.d ** .5 and abs(got.std() - 1) < 6 / a.d ** .5 else "WRONG",
                    basis="mean and deviation of the draw")
    elif a.op == "bucketing":
        got, want, basis = np.asarray(got).mean(0), o.mean(X), "mean of the buckets: the order is random"
    else:
        basis = "oracle"
        want = {
            "multiKrum": lambda: o.multi_krum(X, a.f, a.n - a.f if a.peer == "byzfl" else a.q),
            "median": lambda: o.median(X), "geometricMedian": lambda: o.geometric_median(X),
            "centeredClipping": lambda: o.centered_clipping(X, a.tau, a.iters, "zero" if a.peer == "byzfl" else "mean"),
            "little": lambda: o.alie(X, little_z(a)) if a.peer == "byzfl" else o.little(X, a.f),
            "empire": lambda: o.empire(X), "clipping": lambda: o.clipping(X, a.threshold),
            "trimmedMean": lambda: o.trimmed_mean(X, a.f)}.get(a.op, lambda: o.OPERATORS[a.op](X, a.f))()
        if a.op == "median" and a.peer in ("byzpy", "krum"):
            basis = "lower middle value" if a.peer == "byzpy" else "upper middle value"
            want = np.sort(X, axis=0)[(a.n - (a.peer == "byzpy")) // 2]
        if a.peer == "krum" and a.op == "multiKrum":
            basis = "oracle with n-f-2 neighbours"
            want = X[np.argsort(o.krum_scores(X, a.f, a.n - a.f - 2), kind="stable")[:a.q]].mean(axis=0, dtype=float)
    got = np.asarray(got, float)
    error = abs(got - want).max() / abs(want).max() if got.shape == want.shape else math.inf
    limit = 1e-3 if a.op in ("geometricMedian", "parameterServer") else 1e-4
    return dict(check="ok" if error <= limit else "WRONG", difference=float(f"{error:.2g}"), basis=basis)


# ---------------------------------------------------------------- child
def confine(a):
    cpus = max(a.threads, int(a.pool.split(":")[1]) if a.pool else 1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    try:
        resource.setrlimit(resource.RLIMIT_AS, (int(a.memory * 2 ** 30),) * 2)
    except (ValueError, OSError):
        pass                                           # not every system limits address space


def child(a):
    """Prepare the call, then run it once for every line read."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                                      # whatever a peer prints goes to stderr

    a.calls = 0                                        # the parameter server goes on training from call to call

    def attempt(action, seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM is not handled: it ends the process, even inside C
        try:
            return action(), None
        except (Exception, SystemExit) as e:
            return None, f"{type(e).__name__}: {e}"[:200]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def say(**reply):
        print(json.dumps(reply), file=out, flush=True)

    def prepare():
        confine(a)
        if a.pool and a.peer != "byzpy":
            raise ValueError("only byzpy has pools")
        if a.peer != "numpy":
            import torch
            torch.set_num_threads(a.threads)
            torch.manual_seed(a.seed)
        if a.op == "parameterServer":
            if a.data:
                raise ValueError("parameterServer makes its own data")
            a.n, a.d = HONEST + BYZANTINE, flat(small_cnn(a.seed)).size
            return [(server_call(a), None)]
        make = {"byzpy": byzpy_call, "byzfl": byzfl_call, "krum": krum_call}.get(a.peer, plain_call)
        make = {"cnnStep": step_call, "cnnStepChannelsLast": step_call, "pipelineSequential": pipeline_call,
                "pipelineDataflow": pipeline_call}.get(a.op, make)
        try:
            inputs = [matrix(a, file) for file in a.data.split(os.pathsep)]
            return [(make(a, X), X) for X in inputs]
        except KeyError:
            raise NotImplementedError(f"{a.peer} has no {a.op}") from None

    def timed(call):
        a.calls += 1
        start = time.perf_counter()
        result = call()
        return result, 1e3 * (time.perf_counter() - start)

    made, error = attempt(prepare, SETUP_SECONDS)
    if error:
        return say(error=error)
    inputs = made
    note = NOTES.get((a.peer, a.op))
    say(ready=True, n=a.n, d=a.d, **({"note": note} if note else {}))
    for line in sys.stdin:
        what, _, number = line.strip().partition(" ")
        call, X = inputs[int(number or 0)]
        made, error = attempt(lambda: timed(call), a.timeout)
        if error:
            say(error=error)
        elif what == "check":
            before = None if X is None else matrix(a, a.data.split(os.pathsep)[int(number or 0)])
            reply, error = attempt(lambda: check(a, X, made[0]), SETUP_SECONDS)
            if X is not None and not (X == before).all():
                error = "the peer changed its input"
            say(**({"error": error} if error else reply))
        else:
            say(ms=round(made[1] / (a.rounds if a.op == "parameterServer" else 1), 4))
        del made                                       # after the clock, and after the answer


# ---------------------------------------------------------------- parent
class Peer:
    """A child that has prepared one call; the first answer says whether it could."""

    def __init__(self, spec):
        threads = {k: str(spec["threads"]) for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        path = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")
        self.process = subprocess.Popen([sys.executable, __file__, "--child", json.dumps(spec)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                                        env=dict(os.environ, PATH=path, **threads))
        self.first = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.close()
        return dict(error="timeout" if code == -signal.SIGALRM else f"the child ended with status {code}")

    def ask(self, what="go"):
        try:
            print(what, file=self.process.stdin, flush=True)
        except (BrokenPipeError, ValueError):
            return dict(error="the child is gone")
        return self.answer()

    def warm(self):
        """Call until two in a row agree within 10 %, at most 5 times or 2 s; return their times or the error."""
        times = []
        while "error" not in (reply := self.ask()):
            times.append(reply["ms"])
            if len(times) == 5 or sum(times) > 2000 or len(times) > 1 and abs(times[-1] - times[-2]) <= .1 * min(times[-2:]):
                return dict(warmup_ms=times)
        return reply

    def close(self):
        try:
            self.process.stdin.close()                 # the child leaves its loop and stops its pool
        except BrokenPipeError:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        try:
            os.killpg(self.process.pid, signal.SIGTERM)  # actors it may have left
        except ProcessLookupError:
            pass


def header(threads):
    def version(name):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "source" if importlib.util.find_spec(name) else None

    def read(path, start=""):
        try:
            return next(s for s in pathlib.Path(path).read_text().splitlines() if s.startswith(start)).split(":")[-1].strip()
        except (OSError, StopIteration):
            return None
    return dict(header=dict(
        python=platform.python_version(), **{p: version(p) for p in ("numpy", "torch", "byzpy", "byzfl", "krum")},
        system=platform.platform(), cpu=read("/proc/cpuinfo", "model name"), cpus=os.cpu_count(), threads=threads,
        huge_pages=read("/sys/kernel/mm/transparent_hugepage/enabled")))


def spec_of(row, base, **more):
    """The child's orders: a row of rows.json and whatever overrides it."""
    spec = base | {k: row[k] for k in SPEC if k in row} | row.get("args", {}) | more
    if unknown := spec.keys() - SPEC.keys():
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
    if spec["peer"] not in PEERS:
        raise ValueError(f"peer must be one of {', '.join(PEERS)}")
    return {k: type(SPEC[k])(v) for k, v in spec.items()}


def label(spec):
    return f"{spec['peer']} {spec['pool']}".strip()


def measure(name, specs, repeat, checking):
    """Prepare all peers of a row, let them take turns, yield a result each."""
    peers = [(s, Peer(s)) for s in specs]
    try:
        replies = [p.first if "error" in p.first else p.ask("check") if checking else p.warm() for _, p in peers]
        times = [[] for _ in peers]
        for _ in range(0 if checking else repeat):
            for k, (_, p) in enumerate(peers):
                if "error" not in replies[k]:
                    reply = p.ask()
                    times[k].append(reply.get("ms"))
                    replies[k] |= {k: v for k, v in reply.items() if k == "error"}
        for (s, p), reply, ms in zip(peers, replies, times):
            line = {"row": name, "peer": label(s), "op": s["op"], "n": p.first.get("n", s["n"]), "d": p.first.get("d", s["d"]),
                    "f": s["f"], "threads": s["threads"]} | {k: p.first[k] for k in ("note",) if k in p.first} | reply
            if ms and "error" not in reply:
                line |= dict(repeat=repeat, median_ms=round(statistics.median(ms), 4), min_ms=min(ms))
            yield line
    finally:
        for _, p in peers:
            p.close()


def table(results):
    peers = list(dict.fromkeys(r["peer"] for r in results))

    def cell(r):
        if r is None:
            return "-"
        return f"{r['median_ms']:.2f}" if "median_ms" in r else r.get("check") or r["error"].split(":")[0]
    print(f"{'median ms':44s}" + "".join(f"{p:>17s}" for p in peers))
    for name in dict.fromkeys(r["row"] for r in results):
        of = {r["peer"]: r for r in results if r["row"] == name}
        print(f"{name:44s}" + "".join(f"{cell(of.get(p))[:16]:>17s}" for p in peers))


def serve(base, rows):
    peers = {}

    def obey(m):
        cmd, who = m.pop("cmd", None), m.pop("id", 0)
        if cmd == "prepare":
            if who in peers:
                peers.pop(who).close()
            row = next((r for r in rows if r["name"] == m["row"]), None) if "row" in m else {}
            if row is None:
                raise ValueError(f"no row named {m['row']}")
            m.pop("row", None)
            more = {k: v for k, v in m.items() if k not in ("name", "peers", "published", "args")} | m.get("args", {})
            peers[who] = p = Peer(spec_of(row, base, **more))
            warm = p.first if "error" in p.first else p.warm()
            return warm if "error" in warm else p.first | warm
        if cmd in ("go", "check"):
            return peers[who].ask(f"{cmd} {m.get('input', 0)}") if who in peers else dict(error="prepare first")
        raise ValueError("cmd must be prepare, go, check or quit")
    try:
        for line in sys.stdin:
            try:
                m = json.loads(line)
                if m.get("cmd") == "quit":
                    break
                reply = obey(m)
            except Exception as e:
                reply = dict(error=f"{type(e).__name__}: {e}")
            print(json.dumps(reply), flush=True)
    finally:
        for p in peers.values():
            p.close()


def main():
    signal.pthread_sigmask(signal.SIG_SETMASK, [])     # a caller's threads may block SIGALRM, which ends a child in time
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for k, v in SPEC.items():
        ap.add_argument("--" + k, type=type(v), default=v, choices=PEERS if k == "peer" else None)
    ap.add_argument("--repeat", type=int, default=9)
    ap.add_argument("--rows", nargs="?", const=str(HERE / "rows.json"))
    ap.add_argument("--only", default="")
    ap.add_argument("--export", type=pathlib.Path)
    for k in ("check", "serve"):
        ap.add_argument("--" + k, action="store_true")
    for k in ("table", "child"):
        ap.add_argument("--" + k, help=argparse.SUPPRESS if k == "child" else None)
    a = ap.parse_args()
    if not (a.rows or a.serve or a.table or a.child or a.export or a.peer and a.op):
        ap.error("give --rows, --serve, --table, or --peer and --op")
    base = {k: getattr(a, k) for k in SPEC}
    if a.child:
        return child(argparse.Namespace(**json.loads(a.child)))
    if a.table:
        return table([r for r in map(json.loads, pathlib.Path(a.table).read_text().splitlines()) if "row" in r])
    rows = json.loads(pathlib.Path(a.rows or HERE / "rows.json").read_text())
    if not a.rows:
        rows = rows if a.serve else [dict(name=f"{a.op} {a.n}x{a.d}", peers=[a.peer])]
    if a.export:
        for r in rows:
            if a.only in r["name"]:
                files = export(argparse.Namespace(**base | r.get("args", {}) | dict(op=r.get("op", a.op))), a.export)
                print(json.dumps(dict(row=r["name"], files=files)), flush=True)
        return
    print(json.dumps(header(a.threads)), flush=True)
    if a.serve:
        return serve(base, rows)
    results = []
    for r in rows:
        if a.only not in r["name"]:
            continue
        small = r.get("check", {}) if a.check else {}   # the oracle is slow on some
        specs = [spec_of(r, base, peer=p, pool=pool, **small) for p in r["peers"] if a.peer in ("", p)
                 for pool in dict.fromkeys(["", a.pool] if p == "byzpy" and a.rows else [a.pool if p == "byzpy" else ""])]
        for line in measure(r["name"], specs, a.repeat, a.check):
            results.append(line)
            print(json.dumps(line), flush=True)
    if a.rows:
        table(results)


if __name__ == "__main__":
    main()
