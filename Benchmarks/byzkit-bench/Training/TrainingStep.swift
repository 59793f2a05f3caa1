import ByzKit
import Foundation

/// Loss, gradient and update of the example's network on 64 images, beside PyTorch's, in its default layout and channels last.
struct TrainingStep {
  static let name = "CNN step 64"
  private static let images = 64

  let rounds: Int
  let environment: PeerEnvironment?
  let scratch: Scratch
  let arithmetic: Rates

  func measure() async throws -> TrainingResult {
    try await scratch.withFolder { folder in
      let inputs = try (0..<3).map {
        try Input(.gaussian, n: Self.images, d: 28 * 28, f: 0, seed: $0, isShared: false)
      }
      let files = try inputs.enumerated().map { index, input in
        let path = folder.appending(path: "\(index).npy").path
        try input.matrix.write(npy: path)
        return path
      }
      let starting = try environment.map { environment in
        try [
          ("cnnStep", "torch"), ("cnnStepChannelsLast", "torch channels_last"),
        ].map { operation, name in
          try Peer(
            "torch", row: ["op": operation], data: files, environment: environment, name: name)
        }
      }
      let contestant = try Self.contestant(on: inputs)
      let group = PeerGroup(starting ?? [])
      defer { group.stop() }
      let before = Usage.current
      _ = try await contestant.run(0)
      let after = Usage.current
      let found = await Contestant.measure(
        [contestant] + group.contestants(from: 0), inputs: inputs.count, rounds: 2 * rounds)
      if let error = found[0].error { throw error }
      let rates = inputs.withBytes { arithmetic.withMemory(reading: $0, writing: 1 << 21) }
      var result = TrainingResult(
        row: Self.name, own: Timing(found[0].times),
        floor: rates.floor(of: Floors.trainingStep(images: Self.images)))
      result.rssAnonMiB = after.rssAnon - before.rssAnon
      result.pageFaults = Double(after.pageFaults - before.pageFaults)
      result.add(found.dropFirst(), of: group)
      return result
    }
  }

  /// A step on the input of a number; the first gradient is checked.
  private static func contestant(on inputs: [Input]) throws -> Contestant {
    let model = ConvolutionalNetwork()
    let optimizer = SGD(learningRate: 0.1, momentum: 0.9)
    let workspace = Workspace()
    var parameters = model.initialParameters(key: ReferenceNetwork.key)
    var gradient = Tensor<Float>(repeating: 0, shape: [model.parameterCount])
    var state = SGD.State()
    let batches = try inputs.map {
      try Batch(inputs: $0.matrix, labels: ReferenceNetwork.labels(images))
    }
    let loss = try model.gradient(
      at: parameters, on: batches[0], into: &gradient, workspace: workspace)
    let error =
      ReferenceNetwork.error(
        loss: Double(loss), gradient: gradient.wide(every: 1), on: inputs[0].wide(every: 1)) / 1e-4
    guard error <= 1 else { throw BenchmarkError.wrong(row: name, data: .gaussian, error: error) }
    return Contestant(name: "byzkit") { index in
      let start = ContinuousClock.now
      let loss = try model.gradient(
        at: parameters, on: batches[index], into: &gradient, workspace: workspace)
      try optimizer.update(&parameters, with: gradient, state: &state)
      let time = (ContinuousClock.now - start) / .seconds(1)
      guard loss.isFinite else {
        throw BenchmarkError.wrong(row: name, data: .gaussian, error: .nan)
      }
      return time
    }
  }
}

extension TrainingResult {
  /// Adds what the peers of a group took.
  mutating func add(
    _ found: ArraySlice<(times: Times, error: (any Error)?)>, of group: PeerGroup
  ) {
    notes = group.notes
    for (peer, result) in zip(group.peers, found) {
      if let error = result.error {
        notes[peer.name] = "\(error)"
      } else {
        peers[peer.name] = Timing(result.times)
      }
    }
  }
}
