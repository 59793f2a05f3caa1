import ArgumentParser
import ByzKit
import ByzRuntime
import Foundation

/// Times the two ways to schedule a graph on ByzPy's pipeline, beside ByzPy's own.
struct Scheduler: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time a graph of four branches, in sequence and as its data comes.",
    discussion: """
      Each of four branches centers, scales and clips 64 vectors of 200,000 numbers 30 times over and takes their median on a pool \
      of two workers. ByzPy runs the same on the same bytes with both of its schedulers, in turns with ByzKit.
      """)

  @Option(help: "Runs of each.") var rounds = 5
  @Flag(help: "Also time ByzPy.") var peers = false
  @Option(help: "The Python that has the peers' packages; else BYZKIT_PEERS_PYTHON.")
  var python: String?
  @Option(help: "The folder of the peers' scripts.") var peersFolder = "Benchmarks/peers"
  @Flag(help: "Fail if a promise is not kept.") var check = false

  private static let (n, d, cores) = (64, 200_000, 2)

  func run() async throws {
    print(Machine.current.description, terminator: "\n\n")
    let scratch = try Scratch()
    defer { scratch.remove() }
    let inputs = try (0..<3).map {
      try Input(.gaussian, n: Self.n, d: Self.d, f: 0, seed: $0, isShared: false)
    }
    let group = try PeerGroup(peers ? startPeers(inputs, scratch) : [])
    defer { group.stop() }
    let pipeline = BranchPipeline()
    let graph = try pipeline.graph()
    try await withActorPool(.threads(Self.cores)) { pool in
      let sequential = GraphScheduler(mode: .sequential, pool: pool)
      let dataflow = GraphScheduler(mode: .dataflow(), pool: pool)
      try await checkOutputs(of: [sequential, dataflow], graph, inputs[0])
      let preparation = Preparation(passes: BranchPipeline.passes)
      let prepared = inputs.map { $0.vectors.map(preparation.prepared) }
      var paths: [Double] = []
      let own = [(sequential, true), (dataflow, false)].map { scheduler, isSequential in
        Contestant(name: "") { index in
          let start = ContinuousClock.now
          let outputs = try await scheduler.run(graph, ["gradients": inputs[index].vectors])
          let time = (ContinuousClock.now - start) / .seconds(1)
          withExtendedLifetime(outputs) {}
          if isSequential {
            paths.append(path(pipeline.clock.all, median: try timeOfMedian(of: prepared[index])))
          }
          return time
        }
      }
      let found = await Contestant.measure(
        own + group.contestants(from: 0), inputs: inputs.count, rounds: max(3, rounds), seconds: 60)
      for result in found.prefix(2) { if let error = result.error { throw error } }
      try report(found.map { Timing($0.times) }, path: Times.median(paths), group)
    }
  }

  private func report(_ timings: [Timing], path: Double, _ group: PeerGroup) throws {
    var grid = Grid(["schedule", "ms", "min", "over sequential"])
    let names = ["ByzKit, in sequence", "ByzKit, as data comes"] + group.peers.map(\.name)
    for (k, (name, timing)) in zip(names, timings).enumerated() {
      let first = k < 2 ? timings[0] : timings[2]
      grid.lines.append([
        name, digits(timing.median), digits(timing.minimum), ratio(first.median / timing.median),
      ])
    }
    grid.lines.append(["critical path on \(Self.cores) cores", digits(path), "", ""])
    print(grid.text)
    for (name, note) in group.notes.sorted(by: { $0.key < $1.key }) { print("\(name): \(note)") }
    let gain = timings[0].median / timings[1].median
    let verdicts = [
      Verdict(
        "as data comes over in sequence >= 1.8x", found: "\(ratio(gain))x", isKept: gain >= 1.8),
      Verdict(
        "within 1.1x of the critical path", found: "\(ratio(timings[1].median / path))x",
        isKept: timings[1].median <= 1.1 * path),
    ]
    print("\n\(verdicts.grid.text)")
    if check, verdicts.contains(where: { $0.isKept == false }) { throw ExitCode.failure }
  }

  /// From the times of preparations that had the machine to themselves, and of a median on one thread: in the graph it runs on all cores.
  private func path(_ times: [String: Double], median: Double) -> Double {
    CriticalPath.seconds(
      branches: (0..<BranchPipeline.branches).map { branch in
        [times["prepare \(branch)"] ?? .nan, median]
      }, cores: Self.cores)
  }

  private func timeOfMedian(of vectors: [Tensor<Float>]) throws -> Double {
    let start = ContinuousClock.now
    let median = try Median().aggregate(vectors)
    let time = (ContinuousClock.now - start) / .seconds(1)
    withExtendedLifetime(median) {}
    return time
  }

  /// The preparation against its definition, the median against that of the prepared vectors, and both schedules bit for bit.
  private func checkOutputs(
    of schedulers: [GraphScheduler], _ graph: ComputationGraph, _ input: Input
  ) async throws {
    let preparation = Preparation(passes: BranchPipeline.passes)
    let prepared = input.vectors.map(preparation.prepared)
    let expected = Preparation.reference(
      input.vectors[0].wide(every: 1), passes: BranchPipeline.passes)
    let error = zip(prepared[0].wide(every: 1), expected).map { abs($0 - $1) }.max() ?? .nan
    guard error <= 1e-3 else {
      throw BenchmarkError.wrong(row: "preparation", data: .gaussian, error: error / 1e-3)
    }
    let median = try Median().aggregate(prepared)
    for scheduler in schedulers {
      let outputs = try await scheduler.run(graph, ["gradients": input.vectors])
      for branch in 0..<BranchPipeline.branches {
        let output = try outputs.value(of: "median \(branch)", as: Tensor<Float>.self)
        guard output.hasSameBits(as: median) else {
          throw BenchmarkError.wrong(row: "scheduler", data: .gaussian, error: .nan)
        }
      }
    }
  }

  private func startPeers(_ inputs: [Input], _ scratch: Scratch) throws -> [Peer] {
    let environment: PeerEnvironment
    do {
      environment = try PeerEnvironment(folder: peersFolder, python: python)
    } catch let error as BenchmarkError {
      print("peers      none: \(error)")
      return []
    }
    let files = try inputs.enumerated().map { index, input in
      let path = scratch.url.appending(path: "\(index).npy").path
      try input.matrix.write(npy: path)
      return path
    }
    return try [
      ("pipelineSequential", "ByzPy, NodeScheduler"),
      ("pipelineDataflow", "ByzPy, ParallelScheduler"),
    ].map { operation, name in
      try Peer(
        "byzpy", pool: "process:\(Self.cores)",
        row: ["op": operation, "chunk": 8192, "timeout": 120], data: files,
        environment: environment, name: name)
    }
  }
}
