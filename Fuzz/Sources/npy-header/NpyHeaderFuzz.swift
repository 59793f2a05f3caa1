import ByzKit
import FuzzSupport

/// Reads the input as the beginning of a `.npy` file, and as the dictionary in one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNpyHeader(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  examine(input)
  npyFile(dictionary: input).withUnsafeBytes(examine)
  return 0
}

private func examine(_ bytes: UnsafeRawBufferPointer) {
  switch bounded(by: { npyHeader(bytes) }) {
  case .success(let header):
    checkAccepted(header, bytes, fileByteCount: bytes.count)
  case .failure(.wrongLength(let shape, let expected, let actual)):
    check(actual == bytes.count && expected != actual, "the lengths are those of the file")
    guard case .success(let header) = bounded(by: { npyHeader(bytes, fileByteCount: expected) })
    else {
      fatalError("A file of the length asked for is refused: \(shape), \(expected) bytes")
    }
    check(header.shape == shape, "the shape does not depend on the length of the file")
    checkAccepted(header, bytes, fileByteCount: expected)
  case .failure(let error):
    check(!bounded { error.description.isEmpty }, "there is a reason")
  }
}

private func checkAccepted(
  _ header: NpyHeader, _ bytes: UnsafeRawBufferPointer, fileByteCount: Int
) {
  check(header.shape.count <= NpyHeader.maximumRank, "the rank is limited")
  check(header.shape.allSatisfy { $0 >= 0 }, "no extent is negative")
  var elements = 1
  // In any order, and without the zeros, as strides and parts of the shape are multiplied later.
  for extent in header.shape where extent > 0 {
    let (product, overflow) = elements.multipliedReportingOverflow(by: extent)
    check(!overflow, "any extents of \(header.shape) can be multiplied")
    elements = product
  }
  if header.shape.contains(0) { elements = 0 }
  check(header.dataByteCount == elements * header.element.byteCount, "shape and bytes agree")
  check(header.dataOffset <= bytes.count, "the header lies within the input")
  check(header.dataOffset + header.dataByteCount == fileByteCount, "header and file agree")

  let prefix = UnsafeRawBufferPointer(rebasing: bytes[..<header.dataOffset])
  check(
    npyHeader(prefix, fileByteCount: fileByteCount) == .success(header),
    "the numbers do not matter to the header")
  let short = UnsafeRawBufferPointer(rebasing: prefix.dropLast())
  check(
    npyHeader(short, fileByteCount: fileByteCount)
      == .failure(.truncatedHeader(expected: prefix.count, actual: short.count)),
    "a header without its last byte is refused")
  if fileByteCount < Int.max {
    check(
      npyHeader(prefix, fileByteCount: fileByteCount + 1)
        == .failure(
          .wrongLength(shape: header.shape, expected: fileByteCount, actual: fileByteCount + 1)),
      "a file with a byte too many is refused")
  }
  checkRewritten(header)
}

/// What is written for the same shape is read again.
private func checkRewritten(_ header: NpyHeader) {
  let written = NpyHeader(element: header.element, shape: header.shape)
  let encoded = written.encoded
  check(encoded.count == written.dataOffset, "the header is as long as it says")
  check(encoded.count.isMultiple(of: 64), "the numbers are aligned")
  let (total, overflow) = written.dataOffset.addingReportingOverflow(written.dataByteCount)
  if overflow { return }
  check(
    encoded.withUnsafeBytes { npyHeader($0, fileByteCount: total) } == .success(written),
    "a written header is read again")
}
