public import ByzTensor

/// What a training run needs to go on: parameters, the optimizer's memory, and the round.
///
/// ```swift
/// try server.checkpoint.write(to: "run.checkpoint")
/// // … in another process, with a server made the same way:
/// try server.resume(from: Checkpoint(contentsOf: "run.checkpoint"))
/// ```
///
/// Batches and random attacks depend on keys and the round alone, so the run goes on bit for bit. A
/// file is one of these, all numbers little-endian:
///
/// | offset | bytes | what |
/// |---|---|---|
/// | 0 | 8 | `ByzKitCP` |
/// | 8 | 4 | version: 1 |
/// | 12 | 4 | 1 if there is a velocity, else 0 |
/// | 16 | 8 | rounds done |
/// | 24 | 8 | optimizer steps taken |
/// | 32 | 8 | d, the number of parameters |
/// | 40 | 4d | parameters, binary32 |
/// | 40 + 4d | 4d or 0 | velocity, binary32 |
/// | end - 8 | 8 | CRC-64/XZ of all bytes before it |
public struct Checkpoint: Sendable {
  /// The rounds that are over.
  public let roundsDone: Int
  /// The model, of shape (d).
  public let parameters: Tensor<Float>
  /// What the optimizer remembers.
  public let optimizerState: SGD.State

  /// A state to go on from; the velocity, if there is one, is as long as the parameters.
  ///
  /// - Throws: ``ModelError/wrongParameterCount(expected:actual:)``;
  ///   ``ModelError/invalidHyperparameter(name:value:bound:)`` when rounds or steps are negative or
  ///   2⁶² and more.
  public init(
    roundsDone: Int, parameters: Tensor<Float>, optimizerState: SGD.State
  ) throws(ModelError) {
    let count = optimizerState.velocity?.count ?? parameters.count
    guard count == parameters.count else {
      throw .wrongParameterCount(expected: parameters.count, actual: count)
    }
    for (name, number) in [("rounds done", roundsDone), ("steps", optimizerState.step)]
    where !Self.counts.contains(number) {
      throw .invalidHyperparameter(
        name: name, value: Double(number), bound: "at least 0 and below 2⁶²")
    }
    self.init(checked: roundsDone, parameters, optimizerState)
  }

  /// Of rounds and steps, so that one more is no overflow.
  private static let counts = 0..<1 << 62

  init(
    checked roundsDone: Int, _ parameters: Tensor<Float>, _ optimizerState: SGD.State
  ) {
    self.roundsDone = roundsDone
    self.parameters = parameters
    self.optimizerState = optimizerState
  }
}

// MARK: - Files

extension Checkpoint {
  private static let magic = Array("ByzKitCP".utf8)
  private static let version: UInt32 = 1
  private static let headerSize = 40
  private static let checksumSize = 8

  /// Writes a file. What was at the path stays until the new file is complete and would survive a
  /// loss of power.
  ///
  /// - Throws: `FileError`.
  public func write(to path: String) throws {
    let size = 4 * parameters.count
    let arrays = [parameters] + (optimizerState.velocity.map { [$0] } ?? [])
    let end = Self.headerSize + size * arrays.count
    let output = try OutputFile(path: path, byteCount: end + Self.checksumSize)
    output.withUnsafeMutableBytes { bytes in
      bytes.copyBytes(from: Self.magic)
      bytes.store(Self.version, at: 8)
      bytes.store(UInt32(arrays.count - 1), at: 12)
      bytes.store(UInt64(roundsDone), at: 16)
      bytes.store(UInt64(optimizerState.step), at: 24)
      bytes.store(UInt64(parameters.count), at: 32)
      for (index, array) in arrays.enumerated() {
        bytes.store(array, at: Self.headerSize + index * size)
      }
      bytes.store(CRC64.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<end])), at: end)
    }
    _ = try output.commit()
  }

  /// Reads a file, and checks all of it.
  ///
  /// - Throws: ``CheckpointError``, or `FileError` when there is no file to read.
  public init(contentsOf path: String) throws {
    self = try FileMapping(reading: path).withUnsafeBytes { bytes in
      try Checkpoint(bytes, path)
    }
  }

  /// Reads the bytes of a file; `path` is for what is said about them.
  package init(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(CheckpointError) {
    let head = min(bytes.count, 8)
    guard head > 0, bytes[..<head].elementsEqual(Self.magic[..<head]) else {
      throw CheckpointError(path, .notACheckpoint)
    }
    let least = Self.headerSize + Self.checksumSize
    guard bytes.count >= least else {
      throw CheckpointError(path, .wrongLength(expected: least, actual: bytes.count))
    }
    let version = bytes.load(UInt32.self, at: 8)
    guard version == Self.version else {
      throw CheckpointError(path, .unsupportedVersion(Int(version)))
    }
    let extra = bytes.load(UInt32.self, at: 12)
    let numbers = [16, 24, 32].map { bytes.load(UInt64.self, at: $0) }
    // What the file's length allows bounds the product, too.
    guard extra <= 1, let count = Int(exactly: numbers[2]), count <= bytes.count / 4,
      let rounds = Int(exactly: numbers[0]), let step = Int(exactly: numbers[1])
    else { throw CheckpointError(path, .invalidHeader) }
    let end = Self.headerSize + 4 * count * (1 + Int(extra))
    guard bytes.count == end + Self.checksumSize else {
      throw CheckpointError(
        path, .wrongLength(expected: end + Self.checksumSize, actual: bytes.count))
    }
    let expected = bytes.load(UInt64.self, at: end)
    let actual = CRC64.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
    guard actual == expected else {
      throw CheckpointError(path, .wrongChecksum(expected: expected, actual: actual))
    }
    guard Self.counts.contains(rounds), Self.counts.contains(step) else {
      throw CheckpointError(path, .invalidHeader)
    }
    let velocity = extra == 1 ? bytes.floats(count, at: Self.headerSize + 4 * count) : nil
    self.init(
      checked: rounds, bytes.floats(count, at: Self.headerSize),
      SGD.State(velocity: velocity, step: step))
  }
}

/// Why a file is no checkpoint to go on from.
public struct CheckpointError: Error, Hashable, Sendable {
  /// The file.
  public let path: String
  /// What is wrong with it.
  public let problem: Problem

  /// What can be wrong with a checkpoint.
  public enum Problem: Hashable, Sendable {
    /// It does not begin as checkpoints do.
    case notACheckpoint
    /// It is of a version that this library does not know.
    case unsupportedVersion(Int)
    /// It is shorter or longer than its header says.
    case wrongLength(expected: Int, actual: Int)
    /// Its header holds numbers that cannot be.
    case invalidHeader
    /// Its bytes have changed since it was written.
    case wrongChecksum(expected: UInt64, actual: UInt64)
  }

  fileprivate init(_ path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }
}

extension CheckpointError: CustomStringConvertible {
  /// The file and what is wrong with it.
  public var description: String {
    switch problem {
    case .notACheckpoint: "\(path) is no checkpoint."
    case .unsupportedVersion(let version):
      "\(path) is a checkpoint of version \(version); only version 1 is known."
    case .wrongLength(let expected, let actual):
      "\(path) has \(actual) bytes, but a checkpoint of its kind has \(expected)."
    case .invalidHeader: "\(path) is damaged: its header holds impossible numbers."
    case .wrongChecksum(let expected, let actual):
      "\(path) is damaged: its checksum is \(String(actual, radix: 16)), not "
        + "\(String(expected, radix: 16))."
    }
  }
}

// MARK: - Little-endian numbers

extension UnsafeMutableRawBufferPointer {
  fileprivate func store(_ value: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
  }

  fileprivate func store(_ tensor: Tensor<Float>, at offset: Int) {
    tensor.withUnsafeBufferPointer { numbers in
      for (index, number) in numbers.enumerated() {
        store(number.bitPattern, at: offset + 4 * index)
      }
    }
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func load<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type, at offset: Int
  ) -> Number {
    Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }

  fileprivate func floats(_ count: Int, at offset: Int) -> Tensor<Float> {
    Tensor(shape: [count]) { numbers in
      for index in 0..<count {
        numbers.initializeElement(
          at: index, to: Float(bitPattern: load(UInt32.self, at: offset + 4 * index)))
      }
    }
  }
}
