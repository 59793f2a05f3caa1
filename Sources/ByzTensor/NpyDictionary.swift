/// Reads the dictionary in a `.npy` header: the one Python literal that NumPy writes there, and no
/// more of Python.
struct NpyDictionary {
  private let bytes: UnsafeRawBufferPointer
  /// Where `bytes` lies in the file, for error messages.
  private let start: Int
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer, startsAt start: Int) {
    self.bytes = bytes
    self.start = start
  }

  mutating func read() throws(NpyError) -> (NpyHeader.Element, fortranOrder: Bool, shape: [Int]) {
    var element: NpyHeader.Element?
    var fortranOrder: Bool?
    var shape: [Int]?
    try expect("{")
    while !skip("}") {
      let keyPosition = position
      switch try string() {
      case "descr" where element == nil:
        try expect(":")
        element = try elementType()
      case "fortran_order" where fortranOrder == nil:
        try expect(":")
        fortranOrder = try boolean()
      case "shape" where shape == nil:
        try expect(":")
        shape = try tuple()
      default:
        throw .malformed(
          at: start + keyPosition,
          expected: "one of the keys descr, fortran_order, shape, each once")
      }
      if !skip(",") {
        try expect("}")
        break
      }
    }
    skipSpaces()
    guard position == bytes.count else { throw malformed("only blanks after the dictionary") }
    guard let element, let fortranOrder, let shape else {
      throw malformed("the keys descr, fortran_order and shape")
    }
    return (element, fortranOrder, shape)
  }

  private mutating func elementType() throws(NpyError) -> NpyHeader.Element {
    skipSpaces()
    // A list of fields; its contents do not matter.
    if bytes[position...].first == UInt8(ascii: "[") { throw .unsupportedElement("a structure") }
    let descr = try string()
    guard let element = NpyHeader.Element(rawValue: descr) else {
      throw .unsupportedElement(descr)
    }
    return element
  }

  private mutating func boolean() throws(NpyError) -> Bool {
    skipSpaces()
    if skip("True") { return true }
    if skip("False") { return false }
    throw malformed("True or False")
  }

  private mutating func tuple() throws(NpyError) -> [Int] {
    var extents: [Int] = []
    try expect("(")
    while !skip(")") {
      guard extents.count < NpyHeader.maximumRank else {
        throw .tooManyDimensions(limit: NpyHeader.maximumRank)
      }
      extents.append(try integer())
      if !skip(",") {
        // Without a comma, `(3)` is a number in Python and no tuple.
        guard extents.count > 1 else { throw malformed("a comma after the only extent") }
        try expect(")")
        break
      }
    }
    return extents
  }

  private mutating func integer() throws(NpyError) -> Int {
    skipSpaces()
    if skip("-") { throw malformed("no negative extent") }
    var value = 0
    var digits = 0
    while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10
    {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = tens.addingReportingOverflow(Int(digit))
      guard !overflow, !overflow2 else { throw malformed("an extent below 2⁶³") }
      value = sum
      digits += 1
      position += 1
    }
    guard digits > 0 else { throw malformed("an extent in digits") }
    return value
  }

  /// A short string of printable ASCII between equal quotes, without escapes.
  private mutating func string() throws(NpyError) -> String {
    skipSpaces()
    guard position < bytes.count, case let quote = bytes[position],
      quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"")
    else { throw malformed("a string in quotes") }
    let rest = bytes[(position + 1)...].prefix(20)
    guard let end = rest.firstIndex(of: quote),
      rest[..<end].allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\\") })
    else { throw malformed("a string of at most 19 plain characters") }
    position = end + 1
    return String(decoding: rest[..<end], as: UTF8.self)
  }

  private mutating func skipSpaces() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
      position += 1
    }
  }

  private mutating func skip(_ text: StaticString) -> Bool {
    skipSpaces()
    let end = position + text.utf8CodeUnitCount
    guard end <= bytes.count,
      text.withUTF8Buffer({ bytes[position..<end].elementsEqual($0) })
    else { return false }
    position = end
    return true
  }

  private mutating func expect(_ text: StaticString) throws(NpyError) {
    if !skip(text) { throw malformed("\"\(text)\"") }
  }

  private func malformed(_ expected: String) -> NpyError {
    .malformed(at: start + position, expected: expected)
  }
}
