import ByzKit
import ByzRuntime
import ByzTensor
import ByzTesting
import Foundation
import Testing

/// Trains with a checkpoint after every third round, into the file that the process's last argument names, until it is killed.
enum TrainingProgram: TestWorkerProgram {
  /// More than it lives for.
  static let rounds = 1_000_000
  static let interval = 3

  static func server() throws -> ParameterServer {
    try Problem().server(
      honest: 4, attack: Gaussian(), byzantine: 1, rule: NearestNeighborMixing(f: 1).then(Median()))
  }

  static func run() -> Never {
    let path = CommandLine.arguments.last ?? ""
    // The link shows the parent's end; nothing is said over it.
    let link = ProcessLink.inherited()
    Task {
      var server = try server()
      if let saved = try? Checkpoint(contentsOf: path) { try server.resume(from: saved) }
      try await server.train(rounds: rounds, keeping: CheckpointPlan(path: path, every: interval))
      _exit(0)
    }
    while true {
      pause()
      withExtendedLifetime(link) {}
    }
  }
}

@Suite("Training that is killed", .timeLimit(.minutes(3)))
struct KilledTrainingTests {
  @Test("goes on from its last checkpoint bit for bit, whenever it was killed")
  func killed() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "byzkit-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "training").path

    // Killed some moment after the file says that at least so many rounds are over, in the middle of whatever it does then.
    var reached = 0
    for goal in [1, 20, 57] {
      let link = try await ProcessBackend(running: TrainingProgram.self).openLink(named: path)
      while reached < goal {
        try Task.checkCancellation()
        if let saved = try? Checkpoint(contentsOf: path) { reached = saved.roundsDone }
        await Task.yield()
      }
      try await Task.sleep(for: .microseconds(.random(in: 0...20_000)))
      link.close(RuntimeError(.stopped, "The test kills it."))
      // Never a half of one, whatever it was writing.
      reached = try Checkpoint(contentsOf: path).roundsDone
      #expect(reached >= goal && reached.isMultiple(of: TrainingProgram.interval))
    }

    let rounds = reached + 5
    var uninterrupted = try TrainingProgram.server()
    try await uninterrupted.train(rounds: rounds)
    var resumed = try TrainingProgram.server()
    try resumed.resume(from: Checkpoint(contentsOf: path))
    try await resumed.train(rounds: rounds)
    #expect(resumed.parameters.hasSameBits(as: uninterrupted.parameters))
  }
}
