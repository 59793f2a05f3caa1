import ByzKit
import ByzRuntime
import ByzTensor

/// How a run has to end. In a fifth of the runs the work cannot be done, and the error that says so is the right result.
enum Ending {
  /// The work is done, with the right bits; or nobody is left by chance, and the error says that.
  case rightBits
  /// All workers are killed, and replaced once or never: `noCapableWorker`.
  case noWorker
  /// Too much of what is gathered kills the worker that has it: `quorumNotReached`.
  case noQuorum

  /// The seed's last digit decides.
  init(seed: UInt64) {
    switch seed % 10 {
    case 3: self = .noWorker
    case 7: self = .noQuorum
    default: self = .rightBits
    }
  }
}

extension FaultRun {
  /// Gathers while some of the errands cannot return: with those that can there is no quorum.
  func gathering(on pool: ActorPool) async throws {
    let work = (0..<5).map { Errand(number: $0, microseconds: 8_000, isDeadly: $0 < 3) }
    do {
      let options = SubtaskOptions(maxAttempts: 2)
      let gathered = try await pool.gather(
        work, options: options, until: Quorum(3, deadline: .milliseconds(100)))
      throw FaultFailure("Of errands that cannot return \(gathered.participants) came back.")
    } catch let error as RuntimeError {
      try typed(error, among: [.quorumNotReached])
    }
  }

  /// Without workers all work ends with an error, at once.
  func nothingGoes(on pool: ActorPool) async throws {
    do {
      _ = try await pool.run([Errand(number: 0, microseconds: 0)])
      throw FaultFailure("An errand was done though no worker is left.")
    } catch let error as RuntimeError {
      try typed(error, among: [.noCapableWorker])
    }
    do {
      let vectors = (0..<5).map { Tensor<Float>(repeating: Float($0), shape: [8]) }
      _ = try await Median().aggregate(vectors, on: pool, chunkSize: 8)
      throw FaultFailure("Vectors were aggregated though no worker is left.")
    } catch let error as RuntimeError {
      try typed(error, among: [.noCapableWorker])
    }
  }
}
