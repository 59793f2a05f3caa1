import ByzTensor
import Foundation
import Testing

/// A folder of its own for each test, removed with it.
@Suite("Tensors in .npy files")
final class TensorNpyTests {
  let folder = FileManager.default.temporaryDirectory.appending(path: "npy-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private func path(_ name: String) -> String { folder.appending(path: name).path }
  private var names: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
  }

  /// A file with a dictionary and numbers of one's own.
  private func write<Number>(_ dictionary: String, _ numbers: [Number], to name: String) throws
    -> String
  {
    let text = dictionary + "\n"
    var data = Data([0x93] + "NUMPY".utf8 + [1, 0, UInt8(text.utf8.count), 0] + text.utf8)
    numbers.withUnsafeBytes { data.append(contentsOf: $0) }
    try data.write(to: folder.appending(path: name))
    return path(name)
  }

  @Test("a tensor written and read is the same, bit for bit")
  func roundTrip() throws {
    let x = try Tensor<Double>([0.1, -0.0, .infinity, 4, 5, 6], shape: [2, 3])
    try x.write(npy: path("x.npy"))
    #expect(try Tensor<Double>(npy: path("x.npy")).hasSameBits(as: x))
    #expect(
      try AnyTensor(mappingNpy: path("x.npy")).typed(as: Double.self)?.hasSameBits(as: x) == true)
    #expect(try AnyTensor(npy: path("x.npy")) == .float64(x))
    #expect(names == ["x.npy"])
  }

  @Test("half precision and other types are converted")
  func conversion() throws {
    let half: [Float16] = [1, -0.5, 65504]
    let file = try write(
      "{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }", half, to: "h.npy")
    #expect(try AnyTensor(npy: file) == .float32([1, -0.5, 65504]))
    #expect(try Tensor<Double>(npy: file) == [1, -0.5, 65504])
    #expect(
      throws: TensorFileError.notMappable(path: file, reason: "it holds half precision, '<f2'")
    ) {
      try AnyTensor(mappingNpy: file)
    }
  }

  @Test("column-major files of any rank become row-major tensors")
  func fortranOrder() throws {
    let numbers = (0..<24).map(Float.init)
    let file = try write(
      "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4), }", numbers, to: "f.npy")
    let x = try Tensor<Float>(npy: file)
    for (i, j, k) in [(0, 0, 0), (1, 0, 0), (0, 2, 0), (1, 2, 3), (0, 1, 3)] {
      #expect(x[i, j, k] == Float(i + 2 * j + 6 * k))
    }
    #expect(throws: TensorFileError.self) { try AnyTensor(mappingNpy: file) }
  }

  @Test("numbers that begin at an odd byte are read but not used in place")
  func unaligned() throws {
    let file = try write(
      "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", [1.5, 2.5], to: "u.npy")
    #expect(try AnyTensor(npy: file) == .float64([1.5, 2.5]))
    #expect(throws: TensorFileError.self) { try AnyTensor(mappingNpy: file) }
  }

  @Test("a missing, foreign or truncated file is refused by name")
  func refusals() throws {
    #expect(
      throws: TensorFileError.file(FileError(path: path("none"), operation: "open", code: ENOENT))
    ) {
      try AnyTensor(npy: path("none"))
    }
    try Data("PK".utf8).write(to: folder.appending(path: "zip"))
    #expect(throws: TensorFileError.npy(path: path("zip"), .notNpy)) {
      try AnyTensor(npy: path("zip"))
    }
    try Tensor<Float>([1, 2, 3]).write(npy: path("x.npy"))
    try FileManager.default.removeItem(at: folder.appending(path: "zip"))
    let whole = try Data(contentsOf: folder.appending(path: "x.npy"))
    try whole.dropLast().write(to: folder.appending(path: "cut.npy"))
    #expect(
      throws: TensorFileError.npy(
        path: path("cut.npy"),
        .wrongLength(shape: [3], expected: whole.count, actual: whole.count - 1))
    ) { try AnyTensor(mappingNpy: path("cut.npy")) }
  }

  @Test("an output's tensor is the file, which appears only when it is committed")
  func output() throws {
    let output = try NpyOutput<Float>(path: path("out.npy"), shape: [2, 2])
    var rows = [output.tensor]
    output.tensor = [0]
    let before = rows[0].address
    _ = OutputRows(&rows)
    #expect(rows[0].address == before)
    rows[0][1, 0] = 7
    output.tensor = rows[0]
    #expect(!names.contains("out.npy"))
    try output.commit()
    #expect(names == ["out.npy"])
    #expect(try Tensor<Float>(npy: path("out.npy")).elements == [0, 0, 7, 0])
  }

  @Test("an output whose tensor someone else held is written all the same")
  func sharedOutput() throws {
    let output = try NpyOutput<Double>(path: path("out.npy"), shape: [2])
    let held = output.tensor
    output.tensor[1] = 3
    try output.commit()
    #expect(try Tensor<Double>(npy: path("out.npy")) == [0, 3])
    #expect(held.count == 2)
  }

  @Test(
    "an output that is not committed leaves nothing, and no output more than the disk holds is begun"
  )
  func abandonedOutput() throws {
    do { _ = try NpyOutput<Double>(path: path("out.npy"), shape: [5]) }
    #expect(throws: TensorFileError.self) {
      try NpyOutput<Double>(path: path("out.npy"), shape: [1 << 50])
    }
    #expect(names.isEmpty)
  }

  @Test("letting scratch tensors go leaves an output begun after them alone")
  func scratchBesideOutput() throws {
    var rows: [Tensor<Float>]? = try Tensor.scratch(count: 1, shape: [5], beside: path("out.npy"))
    #expect(rows?.count == 1)
    let output = try NpyOutput<Float>(path: path("out.npy"), shape: [2])
    rows = nil
    try output.commit()
    #expect(try Tensor<Float>(npy: path("out.npy")) == [0, 0])
  }

  @Test("scratch tensors are written in place and have no name")
  func scratch() throws {
    var rows: [Tensor<Float>] = try Tensor.scratch(count: 3, shape: [5], beside: path("out.npy"))
    let addresses = rows.map(\.address)
    OutputRows(&rows).fill(2, columns: 0..<5)
    #expect(rows.map(\.address) == addresses)
    #expect(rows.allSatisfy { $0 == Tensor(repeating: 2, shape: [5]) })
    #expect(names.isEmpty)
  }

  @Test("a pipe is read to its end, and must hold one file exactly")
  func stream() throws {
    let x = Tensor<Float>(repeating: 1.5, shape: [4, 5000])
    try x.write(npy: path("x.npy"))
    let whole = try Data(contentsOf: folder.appending(path: "x.npy"))
    func read(_ data: Data) throws -> AnyTensor {
      let pipe = Pipe()
      let writer = Thread {
        try? pipe.fileHandleForWriting.write(contentsOf: data)
        try? pipe.fileHandleForWriting.close()
      }
      writer.start()
      return try AnyTensor(
        npyFrom: pipe.fileHandleForReading.fileDescriptor, name: "input",
        spooledBeside: path("out.npy"))
    }
    #expect(try read(whole) == .float32(x))
    for (data, actual) in [(whole.dropLast(3), whole.count - 3), (whole + [0], whole.count + 1)] {
      #expect(
        throws: TensorFileError.npy(
          path: "input", .wrongLength(shape: [4, 5000], expected: whole.count, actual: actual))
      ) { try read(Data(data)) }
    }
    #expect(throws: TensorFileError.npy(path: "input", .notNpy)) { try read(Data("nonsense".utf8)) }
    #expect(names == ["x.npy"])
  }

  @Test("a committed file no longer changes when its tensor does")
  func committed() throws {
    let output = try NpyOutput<Float>(path: path("o.npy"), shape: [2])
    output.tensor[0] = 1
    try output.commit()
    let mapped = try AnyTensor(mappingNpy: path("o.npy"))
    output.tensor[0] = 7
    #expect(output.tensor == [7, 0])
    #expect(mapped == .float32([1, 0]))
  }

  @Test("a tensor of more dimensions than a file may have is refused")
  func tooManyDimensions() throws {
    let file = path("x.npy")
    let shape = Array(repeating: 1, count: 33)
    let error = TensorFileError.npy(path: file, .tooManyDimensions(limit: 32))
    #expect(throws: error) { try Tensor<Float>(repeating: 1, shape: shape).write(npy: file) }
    #expect(throws: error) { try NpyOutput<Float>(path: file, shape: shape) }
  }
}
