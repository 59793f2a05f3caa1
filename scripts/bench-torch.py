"""Times the example network's step in PyTorch and byzkit-bench, in turns. Called by bench-torch."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

FORMATS = ["NCHW", "channels_last"]


def torch_step(memory_format):
    """Median milliseconds of 30 forward and backward passes: batch 64, one thread."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)).to(memory_format=layout)
    batches = [
        (torch.randn(64, 1, 28, 28).to(memory_format=layout), torch.randint(0, 10, (64,)))
        for _ in range(3)]
    times = []
    for step in range(36):
        images, labels = batches[step % 3]
        start = time.perf_counter()
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        times.append(1e3 * (time.perf_counter() - start))
    print(statistics.median(times[6:]))


def byzkit_step(program):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "timings.json")
        command = [program, "--filter", "cnn", "--runs", "30", "--json", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(file) as report:
            return json.load(report)["timings"][0]["medianMilliseconds"]


def in_process(memory_format):
    command = [sys.executable, __file__, "--torch", memory_format]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    if sys.argv[1] == "--torch":
        return torch_step(sys.argv[2])
    import torch

    program, runs = sys.argv[1], int(sys.argv[2])
    byzkit, peers = [], {f: [] for f in FORMATS}
    for _ in range(runs):
        for memory_format in FORMATS:
            peers[memory_format].append(in_process(memory_format))
        byzkit.append(byzkit_step(program))
    own = statistics.median(byzkit)
    print(f"forward and backward, batch 64, one thread; medians of {runs} processes in turns")
    print(f"{'ByzKit':32} {own:7.2f} ms")
    for memory_format, times in peers.items():
        peer = statistics.median(times)
        name = f"torch {torch.__version__} {memory_format}"
        print(f"{name:32} {peer:7.2f} ms   ByzKit takes {own / peer:.2f} of it")


main()
