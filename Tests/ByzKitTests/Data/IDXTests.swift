import ByzKit
import ByzTensor
import Foundation
import Testing

@Suite("IDX files and data sets")
final class IDXTests {
  let folder = FileManager.default.temporaryDirectory.appending(path: "byz-\(UUID().uuidString)")
    .path

  init() throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Two images of 2×3 pixels.
  static let images: [UInt8] =
    [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3] + [0, 51, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  static let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 2, 9, 0]

  /// Gzip without compression.
  static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    func littleEndian(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let checksum = ~bytes.reduce(~0 as UInt32) { sum, byte in
      (0..<8).reduce(sum ^ UInt32(byte)) { sum, _ in sum >> 1 ^ (sum & 1) * 0xEDB8_8320 }
    }
    return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255] + [1] + littleEndian(bytes.count, 2)
      + littleEndian(~bytes.count, 2) + bytes + littleEndian(Int(checksum), 4)
      + littleEndian(bytes.count, 4)
  }

  func parse(_ bytes: [UInt8]) throws(IDXError) -> IDX {
    var result: Result<IDX, IDXError> = .failure(.wrongMagic(0))
    bytes.withUnsafeBytes { bytes in
      result = Result { () throws(IDXError) in try IDX.parse(bytes) }
    }
    return try result.get()
  }

  @Test("reads images and labels, plain and packed", arguments: [false, true])
  func reading(packed: Bool) throws {
    let images = try parse(packed ? Self.gzip(Self.images) : Self.images)
    #expect(images.dimensions == [2, 2, 3])
    #expect(images.values == [0, 51, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    let labels = try parse(packed ? Self.gzip(Self.labels) : Self.labels)
    #expect(labels.dimensions == [2])
    #expect(labels.values == [9, 0])
  }

  @Test("refuses a file cut off anywhere or too long, plain and packed", arguments: [false, true])
  func lengths(packed: Bool) {
    for count in 0..<Self.images.count {
      let cut = Array(Self.images[..<count])
      #expect(throws: IDXError.self) { try parse(packed ? Self.gzip(cut) : cut) }
    }
    let cut = Array(Self.images.dropLast(3))
    #expect(throws: IDXError.wrongLength(dimensions: [2, 2, 3], expected: 28, actual: 25)) {
      try parse(packed ? Self.gzip(cut) : cut)
    }
    let long = Self.images + [0]
    #expect(throws: IDXError.wrongLength(dimensions: [2, 2, 3], expected: 28, actual: 29)) {
      try parse(packed ? Self.gzip(long) : long)
    }
  }

  @Test("refuses other magic numbers", arguments: [0x0802, 0x0901, 0x0D03, 0x0100_0803])
  func magic(number: Int) {
    var bytes = Self.images
    for i in 0..<4 { bytes[i] = UInt8(number >> (24 - 8 * i) & 255) }
    #expect(throws: IDXError.wrongMagic(UInt32(number))) { try parse(bytes) }
  }

  @Test("refuses dimensions that are zero or beyond the limit")
  func dimensions() {
    let empty: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 0]
    #expect(throws: IDXError.empty([0])) { try parse(empty) }
    let huge: [UInt8] = [0, 0, 8, 3] + Array(repeating: 255, count: 12)
    let extents = Array(repeating: 0xFFFF_FFFF, count: 3)
    #expect(throws: IDXError.tooLarge(extents, limit: IDX.limit)) { try parse(huge) }
  }

  @Test("a small packed file cannot ask for more than it can hold")
  func bomb() {
    // 512 MiB of labels in 31 bytes of gzip.
    let packed = Self.gzip([0, 0, 8, 1, 0x20, 0, 0, 0])
    #expect(throws: IDXError.tooLarge([1 << 29], limit: 1032 * packed.count)) { try parse(packed) }
  }

  @Test("refuses damaged gzip data")
  func damagedGzip() {
    var packed = Self.gzip(Self.images)
    packed[packed.count - 6] ^= 1
    let error = #expect(throws: IDXError.self) { try parse(packed) }
    let isExpected = if case .gzip(.corrupt) = error { true } else { false }
    #expect(isExpected, "\(error as Any)")
  }

  @Test("survives any change of two bytes")
  func mutations() {
    var stream = RandomStream(RandomKey(3))
    for whole in [Self.images, Self.gzip(Self.images)] {
      for _ in 0..<500 {
        var bytes = whole
        for _ in 0..<2 {
          bytes[stream.integer(below: bytes.count)] = UInt8(stream.integer(below: 256))
        }
        if let idx = try? parse(bytes) { #expect(idx.values.count == idx.dimensions.reduce(1, *)) }
      }
    }
  }

  // MARK: - Data sets

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(filePath: "\(folder)/\(name)"))
  }

  func writeAll() throws {
    try write(Self.images, to: "train-images-idx3-ubyte")
    try write(Self.gzip(Self.labels), to: "train-labels-idx1-ubyte.gz")
    try write(Self.gzip(Self.images), to: "t10k-images-idx3-ubyte.gz")
    try write(Self.labels, to: "t10k-labels-idx1-ubyte")
  }

  @Test("loads the four files, plain or packed, and scales pixels to 0…1")
  func mnist() throws {
    try writeAll()
    let (train, test) = try Dataset.mnist(at: folder)
    #expect(train.images.prefix(3) == [0, 0.2, 1])
    #expect(train.labels == [9, 0])
    #expect((train.count, train.classes) == (2, 10))
    #expect((train.rows, train.columns) == (2, 3))
    #expect(test.images == train.images)
  }

  @Test("loads the images that come with ByzKit")
  func bundled() throws {
    let root = URL(filePath: #filePath).appending(path: "../../../..").standardized.path
    let (train, test) = try Dataset.mnist(at: "\(root)/Examples/ExampleData/mnist5k")
    #expect((train.count, test.count) == (4_000, 1_000))
    #expect((train.rows, train.columns) == (28, 28))
    #expect(train.labels.prefix(10) == [6, 0, 5, 4, 9, 9, 8, 3, 1, 2])
    #expect(test.labels.prefix(10) == [6, 3, 0, 8, 8, 3, 0, 0, 7, 8])
    for label in 0..<10 { #expect(train.labels.count { $0 == label } == 400) }
    // The sum of all pixels, as NumPy reads them.
    let total = train.images.reduce(0.0) { $0 + Double($1) }
    #expect(abs(total * 255 - 104_870_644) < 1)
  }

  @Test("says what to install when there is no folder, and which file is missing")
  func missing() throws {
    let error = #expect(throws: DatasetError.self) { try Dataset.mnist(at: "\(folder)/none") }
    #expect(error == .missingFolder("\(folder)/none"))
    #expect(error?.description.contains("dataset-fashion-mnist") == true)
    try writeAll()
    #expect(throws: DatasetError.missingFolder("\(folder)/t10k-labels-idx1-ubyte")) {
      try Dataset.mnist(at: "\(folder)/t10k-labels-idx1-ubyte")
    }
    try FileManager.default.removeItem(atPath: "\(folder)/t10k-labels-idx1-ubyte")
    #expect(throws: DatasetError.missingFile(folder: folder, name: "t10k-labels-idx1-ubyte")) {
      try Dataset.mnist(at: folder)
    }
  }

  @Test("names the file that is wrong, and the number")
  func wrongFiles() throws {
    try writeAll()
    let path = "\(folder)/t10k-labels-idx1-ubyte"
    try write([0, 0, 8, 1, 0, 0, 0, 3, 1, 2], to: "t10k-labels-idx1-ubyte")
    let short = IDXError.wrongLength(dimensions: [3], expected: 11, actual: 10)
    #expect(throws: DatasetError.invalidFile(path: path, short)) { try Dataset.mnist(at: folder) }

    try write(Self.images, to: "t10k-labels-idx1-ubyte")
    #expect(throws: DatasetError.wrongRank(path: path, expected: 1, actual: 3)) {
      try Dataset.mnist(at: folder)
    }

    let paths = ["\(folder)/t10k-images-idx3-ubyte.gz", path]
    try write([0, 0, 8, 1, 0, 0, 0, 1, 1], to: "t10k-labels-idx1-ubyte")
    let count = DatasetError.wrongPixelCount(pixels: 12, images: 1, rows: 2, columns: 3)
    #expect(throws: DatasetError.inFiles(paths, count)) { try Dataset.mnist(at: folder) }

    try write([0, 0, 8, 1, 0, 0, 0, 2, 1, 10], to: "t10k-labels-idx1-ubyte")
    let label = DatasetError.labelOutOfRange(10, at: 1, classes: 10)
    #expect(throws: DatasetError.inFiles(paths, label)) { try Dataset.mnist(at: folder) }

    try write(Self.labels, to: "t10k-labels-idx1-ubyte")
    var turned = Self.images
    turned.swapAt(11, 15)
    try write(turned, to: "train-images-idx3-ubyte")
    #expect(throws: DatasetError.sizesDiffer(folder: folder, train: [3, 2], test: [2, 3])) {
      try Dataset.mnist(at: folder)
    }
  }
}
