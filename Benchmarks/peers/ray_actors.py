"""Times round trips of Ray's actors and prints them as JSON, for `byzkit-bench runtime`.

Needs `pip install ray numpy`.
"""

import json
import sys
import time

try:
    import numpy
    import ray
except ImportError as error:
    print(f"ray is not installed ({error}): pip install ray numpy")
    sys.exit(1)

ROUNDS, CALLS = 20, 50


@ray.remote
class Calculator:
    def add(self, a, b):
        return a + b

    def ends(self, tensor):
        return [float(tensor[0]), float(tensor[-1])]


def timed(method, arguments, times):
    start = time.perf_counter()
    ray.get(method.remote(*arguments))
    times.append((time.perf_counter() - start) * 1e6)


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
actor = Calculator.remote()
assert ray.get(actor.add.remote(1.0, 2.0)) == 3.0
tensor = numpy.arange(1 << 20, dtype=numpy.float32)
shared = ray.put(tensor)
calls, tensors, lent = [], [], []
for _ in range(ROUNDS):
    for _ in range(CALLS):
        timed(actor.add, (1.0, 2.0), calls)
    for _ in range(3):
        timed(actor.ends, (tensor,), tensors)
        timed(actor.ends, (shared,), lent)
ray.shutdown()
print(
    json.dumps(
        [
            {"row": "small call", "backend": "Ray process", "times": calls},
            {"row": "4 MiB argument, copied in", "backend": "Ray process", "times": tensors},
            {"row": "4 MiB argument, shared already", "backend": "Ray process", "times": lent},
        ]
    )
)
