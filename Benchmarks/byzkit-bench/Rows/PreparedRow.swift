import ByzKit
import Foundation

/// A row on one kind of data with its inputs, ready to be timed.
struct PreparedRow {
  private let row: Row
  private let data: DataKind
  private let inputs: [Input]
  private let calls: [(way: Way, call: Call)]
  private let work: Work
  private let rates: Rates
  private let gainOfTwo: (arithmetic: Double, memory: Double)

  /// Makes the inputs and finds what the machine does with them.
  init(_ row: Row, on data: DataKind, pools: Pools, arithmetic: Rates) throws {
    self.row = row
    self.data = data
    let calls = row.ways.compactMap { way in
      row.call(way, pools: pools).map { (way: way, call: $0) }
    }
    self.calls = calls
    inputs = try (0..<row.inputs).map {
      try Input(
        data, n: row.n, d: row.d, f: row.f, seed: $0,
        isShared: calls.contains { $0.way.isShared })
    }
    work = row.method(row.shape)
    (rates, gainOfTwo) = inputs.withBytes { [work] in
      (
        arithmetic.withMemory(reading: $0, writing: Int(work.bytesWritten)),
        RateMeasurement().gainOfTwo($0)
      )
    }
  }

  /// Checks what the direct call gives for every input, and that all others give the same bits.
  func check() async throws {
    for input in inputs {
      guard let (_, direct) = calls.first else { return }
      let expected = try await direct(input)
      let error = row.check.error(of: expected, on: input)
      guard error <= 1 else { throw BenchmarkError.wrong(row: row.name, data: data, error: error) }
      for (way, call) in calls.dropFirst() {
        guard try await call(input).hasSameBits(as: expected) else {
          throw BenchmarkError.differs(row: row.name, data: data, way: way)
        }
      }
    }
  }

  /// Times all ways of calling, the yardstick and the peers in turns.
  func measure(
    rounds: Int, seconds: Double = 3, peers: [Contestant] = []
  ) async throws -> RowResult {
    let clock = ContinuousClock()
    let yardstick = row.yardstickCall()
    let own = ([yardstick] + calls.map(\.call)).map { call in
      Contestant(name: "") { index in
        let start = clock.now
        let output = try await call(inputs[index])
        let time = (clock.now - start) / .seconds(1)
        withExtendedLifetime(output) {}
        return time
      }
    }
    let (rssAnon, pageFaults) = try await usage()
    let found = await Contestant.measure(
      own + peers, inputs: inputs.count, rounds: rounds, seconds: seconds)
    for result in found.prefix(own.count) { if let error = result.error { throw error } }
    let timings = found.map { Timing($0.times, slowestInput: row.isSearch) }
    let rates = inputs.withBytes {
      self.rates.withMemory(reading: $0, writing: Int(work.bytesWritten))
    }
    let floor = rates.floor(of: work)
    var result = RowResult(
      row: row.name, data: data, n: row.n,
      ways: Dictionary(uniqueKeysWithValues: zip(calls.map(\.way), timings.dropFirst())),
      floor: floor, gainOfTwo: floor.bound == .memory ? gainOfTwo.memory : gainOfTwo.arithmetic,
      rssAnonMiB: rssAnon, pageFaults: pageFaults)
    result.isPublished = row.isPublished
    result.work = work
    result.yardstick = timings[0]
    if row.yardstick == .mean {
      result.meanFloor = rates.floor(of: Floors.mean(row.shape))
    }
    result.yardstickLimit = row.yardstickLimit
    for (k, peer) in peers.enumerated() {
      if let error = found[own.count + k].error {
        result.notes[peer.name] = "\(error)"
      } else {
        result.peers[peer.name] = timings[own.count + k]
      }
    }
    return result
  }

  /// Writes the inputs below a folder, for peers, and returns the files in order.
  func export(to folder: URL) throws -> [String] {
    try inputs.enumerated().map { index, input in
      let path = folder.appending(path: "\(data.rawValue)-\(index).npy").path
      try input.matrix.write(npy: path)
      return path
    }
  }

  /// Anonymous memory and page faults of one call into new memory, with the output still held.
  private func usage() async throws -> (rssAnon: Double, pageFaults: Double) {
    guard let call = calls.first?.call else { return (0, 0) }
    let times = 3
    var faults = 0
    var most = 0.0
    for index in 0..<times {
      let before = Usage.current
      let output = try await call(inputs[index % inputs.count])
      let after = Usage.current
      withExtendedLifetime(output) {}
      most = max(most, after.rssAnon - before.rssAnon)
      faults += after.pageFaults - before.pageFaults
    }
    return (most, Double(faults) / Double(times))
  }
}

extension [Input] {
  /// The bytes of the matrices, as long as `body` runs.
  func withBytes<R>(_ body: ([UnsafeRawBufferPointer]) throws -> R) rethrows -> R {
    try body(
      map { input in input.matrix.withUnsafeBufferPointer { UnsafeRawBufferPointer($0) } })
  }
}
