import ByzTensor
import Testing

@Suite("Headers of .npy files")
struct NpyTests {
  static let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"

  /// A file with this dictionary and so many bytes of numbers.
  static func file(_ dictionary: String, version: UInt8 = 1, dataByteCount: Int = 24) -> [UInt8] {
    let length = dictionary.utf8.count
    let lengthBytes = (0..<(version == 1 ? 2 : 4)).map {
      UInt8(truncatingIfNeeded: length >> (8 * $0))
    }
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + lengthBytes + Array(dictionary.utf8)
      + Array(repeating: 0, count: dataByteCount)
  }

  func parse(_ bytes: [UInt8], fileByteCount: Int? = nil) throws(NpyError) -> NpyHeader {
    var result: Result<NpyHeader, NpyError> = .failure(.notNpy)
    bytes.withUnsafeBytes { bytes in
      result = Result { () throws(NpyError) in
        try NpyHeader.parse(bytes, fileByteCount: fileByteCount)
      }
    }
    return try result.get()
  }

  @Test("reads what NumPy writes, in versions 1.0, 2.0 and 3.0", arguments: [1, 2, 3] as [UInt8])
  func versions(version: UInt8) throws {
    // 128 bytes in all, as NumPy pads them.
    let blanks = String(
      repeating: " ", count: 128 - (version == 1 ? 10 : 12) - Self.dictionary.utf8.count - 1)
    let header = try parse(Self.file(Self.dictionary + blanks + "\n", version: version))
    #expect(header.element == .float32)
    #expect(header.shape == [2, 3])
    #expect(!header.fortranOrder)
    #expect(header.dataOffset == 128)
    #expect(header.dataByteCount == 24)
  }

  @Test(
    "reads any rank up to 32, either order, and the keys in any sequence",
    arguments: [
      ("{'descr': '<f8', 'fortran_order': True, 'shape': (3,), }", [3]),
      ("{'descr': '<f8', 'fortran_order': True, 'shape': (), }", []),
      ("{\"shape\":(3,1),\"fortran_order\":True,\"descr\":\"<f8\"}", [3, 1]),
      (
        "{'descr': '<f8', 'fortran_order': True, 'shape': (\(Array(repeating: "1", count: 32).joined(separator: ", "))), }",
        Array(repeating: 1, count: 32)
      ),
      ("{'descr': '<f8', 'fortran_order': True, 'shape': (0, 5), }", [0, 5]),
    ])
  func shapes(dictionary: String, shape: [Int]) throws {
    let header = try parse(Self.file(dictionary, dataByteCount: 8 * shape.reduce(1, *)))
    #expect(header.shape == shape)
    #expect(header.fortranOrder)
    #expect(header.element == .float64)
  }

  @Test("reads the header of a long file from its beginning")
  func prefix() throws {
    let start = Array(Self.file(Self.dictionary).dropLast(24))
    #expect(try parse(start, fileByteCount: start.count + 24).shape == [2, 3])
    #expect(throws: NpyError.wrongLength(shape: [2, 3], expected: 93, actual: 69)) {
      try parse(start)
    }
  }

  @Test(
    "a written header is the one NumPy writes",
    arguments: [([], "()"), ([3], "(3,)"), ([64, 65_536], "(64, 65536)")])
  func writing(shape: [Int], text: String) throws {
    let header = NpyHeader(element: .float16, shape: shape)
    #expect(header.dataOffset == 128)
    let encoded = header.encoded
    let expected = "{'descr': '<f2', 'fortran_order': False, 'shape': \(text), }"
    #expect(encoded.prefix(10) == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, 118, 0])
    #expect(String(decoding: encoded[10...].prefix(expected.utf8.count), as: UTF8.self) == expected)
    #expect(encoded.last == 0x0A)
    #expect(try parse(encoded, fileByteCount: 128 + header.dataByteCount) == header)
  }

  @Test("a header of the largest rank and extents is padded to whole lines")
  func longHeader() throws {
    let shape = [0] + Array(repeating: Int.max, count: 31)
    let header = NpyHeader(element: .float32, shape: shape)
    #expect(header.dataOffset.isMultiple(of: 64))
    #expect(header.encoded.count == header.dataOffset)
    #expect(throws: NpyError.shapeTooLarge(shape)) { try parse(header.encoded) }
    let largest = [0, 1 << 60] + Array(repeating: 1, count: 30)
    let accepted = NpyHeader(element: .float32, shape: largest)
    #expect(try parse(accepted.encoded) == accepted)
  }

  @Test("refuses other files and versions")
  func otherFiles() {
    #expect(throws: NpyError.notNpy) { try parse([]) }
    #expect(throws: NpyError.notNpy) { try parse(Array("PK\u{3}\u{4}12345678".utf8)) }
    #expect(throws: NpyError.unsupportedVersion(major: 4, minor: 0)) {
      try parse(Self.file(Self.dictionary, version: 4))
    }
    var minor = Self.file(Self.dictionary)
    minor[7] = 1
    #expect(throws: NpyError.unsupportedVersion(major: 1, minor: 1)) { try parse(minor) }
  }

  @Test("refuses a file cut off anywhere, or with a byte too many")
  func lengths() {
    let whole = Self.file(Self.dictionary)
    for count in 0..<whole.count {
      #expect(throws: NpyError.self) { try parse(Array(whole[..<count])) }
    }
    #expect(throws: NpyError.truncatedHeader(expected: 69, actual: 60)) {
      try parse(Array(whole[..<60]))
    }
    #expect(throws: NpyError.wrongLength(shape: [2, 3], expected: 93, actual: 94)) {
      try parse(whole + [0])
    }
  }

  @Test("refuses a dictionary longer than 32 KiB, whatever the file holds")
  func longDictionary() {
    let bytes: [UInt8] =
      Array(Self.file("", version: 2).prefix(8)) + [0xFF, 0xFF, 0xFF, 0xFF, 0, 0]
    #expect(throws: NpyError.headerTooLong(4_294_967_295, limit: 32_768)) { try parse(bytes) }
  }

  @Test(
    "refuses elements it would misread",
    arguments: [">f4", "=f4", "|f4", "<i4", "<f16", "<c8", "|O", "f4", ""])
  func elements(descr: String) {
    let dictionary = "{'descr': '\(descr)', 'fortran_order': False, 'shape': (2, 3), }"
    #expect(throws: NpyError.unsupportedElement(descr)) { try parse(Self.file(dictionary)) }
    let structure = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }"
    #expect(throws: NpyError.unsupportedElement("a structure")) { try parse(Self.file(structure)) }
  }

  @Test(
    "refuses shapes that no file has",
    arguments: [
      "(9223372036854775807,)", "(4294967296, 4294967296)", "(2305843009213693952,)",
      "(2305843009213693951,)", "(0, 4611686018427387904, 4611686018427387904)",
      "(4611686018427387904, 4611686018427387904, 0)",
    ])
  func hugeShapes(shape: String) {
    let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }"
    let error = #expect(throws: NpyError.self) { try parse(Self.file(dictionary)) }
    let isExpected = if case .shapeTooLarge = error { true } else { false }
    #expect(isExpected, "\(error as Any)")
  }

  @Test(
    "refuses everything that is not the one dictionary",
    arguments: [
      "", "{", "{}", "{'descr'", "{'descr': '<f4'}", dictionary + "x", dictionary + dictionary,
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (6)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,, 3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3.0)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
      "{'descr': '<f4\\'', 'fortran_order': False, 'shape': (2, 3)}",
      "{'descr\": '<f4', 'fortran_order': False, 'shape': (2, 3)}",
      "{descr: '<f4', 'fortran_order': False, 'shape': (2, 3)}",
      "{'descr': '\(String(repeating: "x", count: 100))', 'fortran_order': False, 'shape': (2, 3)}",
    ])
  func malformed(dictionary: String) {
    let error = #expect(throws: NpyError.self) { try parse(Self.file(dictionary)) }
    let isExpected = if case .malformed = error { true } else { false }
    #expect(isExpected, "\(error as Any)")
  }

  @Test("refuses more than 32 dimensions")
  func rank() {
    let extents = Array(repeating: "1", count: 33).joined(separator: ", ")
    let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(extents)), }"
    #expect(throws: NpyError.tooManyDimensions(limit: 32)) { try parse(Self.file(dictionary)) }
  }

  @Test("survives any change of one or two bytes")
  func mutations() {
    let whole = Self.file(Self.dictionary)
    var stream = RandomStream(RandomKey(1))
    for _ in 0..<2_000 {
      var bytes = whole
      for _ in 0..<2 { bytes[stream.integer(below: 69)] = UInt8(stream.integer(below: 256)) }
      if let header = try? parse(bytes) {
        #expect(header.dataOffset + header.dataByteCount == bytes.count)
      }
    }
  }

  @Test("says what to change")
  func messages() {
    #expect(
      "\(NpyError.unsupportedElement(">f4"))"
        == "Elements of type >f4 are not read; save with astype('<f4'), '<f8' or '<f2'.")
    #expect(
      "\(NpyError.wrongLength(shape: [2, 3], expected: 93, actual: 94))"
        == "The shape [2, 3] needs a file of 93 bytes, but it has 94.")
  }
}
