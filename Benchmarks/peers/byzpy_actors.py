"""Times round trips of ByzPy's actors and prints them as JSON, for `byzkit-bench runtime`.

Needs `pip install byzpy`, which brings PyTorch.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time

try:
    import torch
    from byzpy.engine.actor.backends.process import ProcessActorBackend
    from byzpy.engine.actor.backends.remote import RemoteActorBackend, start_actor_server
    from byzpy.engine.actor.backends.thread import ThreadActorBackend
except ImportError as error:
    print(f"byzpy is not installed ({error}): pip install byzpy")
    sys.exit(1)

ROUNDS, CALLS = 20, 50


class Calculator:
    def add(self, a, b):
        return a + b

    def ends(self, tensor):
        return [float(tensor[0]), float(tensor[-1])]


async def timed(backend, method, arguments, times):
    start = time.perf_counter()
    await backend.call(method, *arguments)
    times.append((time.perf_counter() - start) * 1e6)


async def connected(port):
    for _ in range(600):
        try:
            backend = RemoteActorBackend("127.0.0.1", port)
            await backend.start()
            return backend
        except OSError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the server did not start")


async def measure(port):
    backends = {
        "ByzPy thread": ThreadActorBackend(),
        "ByzPy process": ProcessActorBackend(),
        "ByzPy tcp": await connected(port),
    }
    tensor = torch.arange(1 << 20, dtype=torch.float32)
    calls, tensors = ({name: [] for name in backends} for _ in range(2))
    for name, backend in backends.items():
        if name != "ByzPy tcp":
            await backend.start()
        await backend.construct(Calculator, args=(), kwargs={})
        assert await backend.call("add", 1.0, 2.0) == 3.0
    # In turns, as the rows of the caller.
    for _ in range(ROUNDS):
        for name, backend in backends.items():
            for _ in range(CALLS):
                await timed(backend, "add", (1.0, 2.0), calls[name])
        for name, backend in backends.items():
            for _ in range(3):
                await timed(backend, "ends", (tensor,), tensors[name])
    for backend in backends.values():
        await backend.close()
    rows = [("small call", calls), ("4 MiB argument", tensors)]
    print(
        json.dumps(
            [
                {"row": row, "backend": name, "times": times}
                for row, results in rows
                for name, times in results.items()
            ]
        )
    )


def main():
    if len(sys.argv) > 1:
        asyncio.run(start_actor_server("127.0.0.1", int(sys.argv[1])))
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, str(port)], stdout=subprocess.DEVNULL)
    try:
        asyncio.run(measure(port))
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
