import ByzKit
import Foundation
import Testing

@Suite("Checkpoints")
final class CheckpointTests {
  private let folder: String
  private var path: String { "\(folder)/run.checkpoint" }

  init() throws {
    folder = NSTemporaryDirectory() + "byzkit-checkpoint-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func server(_ problem: Problem) throws -> ParameterServer {
    try ParameterServer(
      honest: problem.honest(4),
      byzantine: [ByzantineNode(name: "liar", attack: Gaussian(), key: RandomKey(4))],
      aggregator: Bucketing(size: 2, key: RandomKey(5)).then(Median()),
      optimizer: SGD(
        learningRate: .cosine(initial: 0.2, final: 0.01, steps: 8), momentum: 0.9,
        weightDecay: 1e-3),
      parameters: problem.model.initialParameters(key: problem.key))
  }

  private func bytes() throws -> [UInt8] {
    try Array(Data(contentsOf: URL(filePath: path)))
  }

  private func read(_ bytes: some Collection<UInt8>) throws -> Checkpoint {
    try Data(bytes).write(to: URL(filePath: path))
    return try Checkpoint(contentsOf: path)
  }

  private func problem(_ bytes: some Collection<UInt8>) throws -> CheckpointError.Problem? {
    do {
      _ = try read(bytes)
      return nil
    } catch let error as CheckpointError {
      #expect(error.path == path && error.description.contains(path))
      return error.problem
    }
  }

  @Test("a run that resumes from a file goes on bit for bit", arguments: [0, 1, 5])
  func resume(after rounds: Int) async throws {
    let problem = try Problem()
    var straight = try server(problem)
    for _ in 0..<rounds { try await straight.round() }
    try straight.checkpoint.write(to: path)
    for _ in 0..<4 { try await straight.round() }

    var resumed = try server(problem)
    try resumed.resume(from: Checkpoint(contentsOf: path))
    #expect(resumed.roundsDone == rounds)
    for _ in 0..<4 { try await resumed.round() }
    #expect(resumed.parameters.hasSameBits(as: straight.parameters))
    #expect(
      try #require(resumed.optimizerState.velocity)
        .hasSameBits(as: #require(straight.optimizerState.velocity)))
    #expect(resumed.optimizerState.step == straight.optimizerState.step)
    #expect(resumed.roundsDone == straight.roundsDone)
  }

  @Test("a file keeps every bit, also of NaN, infinity and negative zero")
  func everyBit() throws {
    let values: [Float] = [
      .nan, Float(bitPattern: 0x7FA0_1234), .infinity, -0.0, .leastNonzeroMagnitude, 1,
    ]
    let written = try Checkpoint(
      roundsDone: 1 << 62 - 1, parameters: Tensor(values),
      optimizerState: SGD.State(velocity: Tensor(values.reversed()), step: 7))
    try written.write(to: path)
    let back = try Checkpoint(contentsOf: path)
    #expect(back.roundsDone == 1 << 62 - 1 && back.optimizerState.step == 7)
    #expect(back.parameters.elements.map(\.bitPattern) == values.map(\.bitPattern))
    #expect(
      back.optimizerState.velocity?.elements.map(\.bitPattern)
        == values.reversed().map(\.bitPattern))
  }

  @Test("a file cut off anywhere is refused, with the length it should have")
  func truncation() async throws {
    let problem = try Problem()
    var server = try server(problem)
    try await server.round()
    try server.checkpoint.write(to: path)
    let whole = try bytes()
    #expect(try self.problem([UInt8]()) == .notACheckpoint)
    for length in 1..<whole.count {
      let found = try self.problem(whole.prefix(length))
      // Without a header the least that a checkpoint has is all there is to say.
      let expected = length < 48 ? 48 : whole.count
      #expect(
        found == .wrongLength(expected: expected, actual: length)
          // The header counts more parameters than so short a file can hold.
          || found == .invalidHeader && length < 48 + 4 * server.parameters.count, "\(length)")
    }
    #expect(
      try self.problem(whole + [0])
        == .wrongLength(expected: whole.count, actual: whole.count + 1))
    #expect(try self.problem(whole) == nil)
  }

  @Test("a file in which any one bit has changed is refused")
  func bitFlips() throws {
    let checkpoint = try Checkpoint(
      roundsDone: 3, parameters: [1, 2, 3], optimizerState: SGD.State(velocity: [4, 5, 6], step: 3))
    try checkpoint.write(to: path)
    let whole = try bytes()
    var found: [CheckpointError.Problem?] = []
    for bit in 0..<8 * whole.count {
      var damaged = whole
      damaged[bit / 8] ^= 1 << (bit % 8)
      found.append(try problem(damaged))
    }
    #expect(!found.contains(nil))
    #expect(found[..<64].allSatisfy { $0 == .notACheckpoint })
    #expect(found[64] == .unsupportedVersion(0))
    let checksums = found.count {
      if case .wrongChecksum? = $0 { true } else { false }
    }
    // Rounds, steps, both vectors and the checksum; sign bits cannot be.
    #expect(checksums == 8 * (16 + 24 + 8) - 2)
  }

  @Test("a foreign file, and none, is refused")
  func foreign() throws {
    #expect(
      try problem(Array("\u{93}NUMPY a file of another kind, long enough".utf8)) == .notACheckpoint)
    #expect(try problem([UInt8](repeating: 0, count: 100)) == .notACheckpoint)
    #expect(throws: FileError.self) { try Checkpoint(contentsOf: "\(folder)/none") }
  }

  @Test("a header that promises more than the file has makes no memory")
  func promises() throws {
    try Checkpoint(roundsDone: 1, parameters: [1], optimizerState: SGD.State()).write(to: path)
    let whole = try bytes()
    for byte in 33..<40 {
      var damaged = whole
      damaged[byte] = 0xFF
      #expect(try problem(damaged) == .invalidHeader)
    }
  }

  @Test("a checkpoint of another model is refused, and the server stays as it was")
  func otherModel() throws {
    var server = try server(Problem())
    let before = server.parameters
    let other = try Checkpoint(roundsDone: 9, parameters: [1, 2], optimizerState: SGD.State())
    #expect(throws: ModelError.wrongParameterCount(expected: before.count, actual: 2)) {
      try server.resume(from: other)
    }
    #expect(server.roundsDone == 0 && server.parameters.hasSameBits(as: before))
    for (rounds, state) in [
      (0, SGD.State(velocity: [1], step: 1)), (-1, SGD.State()), (1 << 62, SGD.State()),
      (0, SGD.State(step: -1)), (0, SGD.State(step: .max)),
    ] {
      #expect(throws: ModelError.self) {
        try Checkpoint(roundsDone: rounds, parameters: [1, 2], optimizerState: state)
      }
    }
  }

  @Test("a new file takes the place of the one before, and nothing else remains")
  func replaces() throws {
    for round in 1...3 {
      try Checkpoint(
        roundsDone: round, parameters: [1, 2], optimizerState: SGD.State()
      ).write(to: path)
      #expect(try Checkpoint(contentsOf: path).roundsDone == round)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["run.checkpoint"])
    // The last two lines of the format's table: no velocity, and the published checksum.
    #expect(try bytes().count == 40 + 8 + 8)
  }

  @Test("the format is as documented, byte by byte")
  func format() throws {
    try Checkpoint(
      roundsDone: 2, parameters: [1], optimizerState: SGD.State(velocity: [-2], step: 3)
    ).write(to: path)
    let expected: [UInt8] =
      Array("ByzKitCP".utf8) + [1, 0, 0, 0, 1, 0, 0, 0]
      + [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
      + [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
    let whole = try bytes()
    #expect(Array(whole.dropLast(8)) == expected)
    let checksum = whole.suffix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    #expect(checksum == slowCRC64(expected))
    #expect(slowCRC64(Array("123456789".utf8)) == 0x995D_C9BB_DF19_39FA)
  }

  /// Bit by bit, as the definition says.
  private func slowCRC64(_ bytes: [UInt8]) -> UInt64 {
    var crc = UInt64.max
    for byte in bytes {
      crc ^= UInt64(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xC96C_5795_D787_0F42 : crc >> 1 }
    }
    return ~crc
  }
}
