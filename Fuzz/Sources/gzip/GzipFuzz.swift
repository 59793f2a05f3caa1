import ByzKit
import FuzzSupport

/// Small enough to be reached by many inputs: a thousandth of what the longest could hold.
private let limit = 4 << 10

/// Unpacks the input, the input with the checksum that belongs to it, and the input packed.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGzip(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  let pieceByteCount = [1, 7, 64, 1_000, 16_384][Int(input.last ?? 0) % 5]
  examine(input, pieceByteCount: pieceByteCount)
  if let repaired = repairedGzip(input, limit: limit) {
    repaired.withUnsafeBytes { examine($0, pieceByteCount: pieceByteCount) }
  }
  for split in [false, true] {
    gzipFile(input, split: split).withUnsafeBytes { packed in
      let output = try? inflated(packed, limit: count).get()
      check(output.map { $0.elementsEqual(input) } == true, "what was packed comes back")
      check(
        count == 0 || inflated(packed, limit: count - 1) == .failure(.tooLong(limit: count - 1)),
        "one byte too many is refused")
    }
  }
  return 0
}

private func examine(_ bytes: UnsafeRawBufferPointer, pieceByteCount: Int) {
  let (output, failure) = streamed(bytes, limit: limit, pieceByteCount: pieceByteCount)
  checkMemory(of: bytes, pieceByteCount: pieceByteCount)
  // An array has up to twice the room it needs, and copies itself to grow.
  let implied = 3 * min(output.count + pieceByteCount, limit)
  switch bounded(implied: implied, by: { inflated(bytes, limit: limit) }) {
  case .success(let whole):
    check(whole.count <= limit, "the limit holds")
    check(failure == nil && whole == output, "pieces give the same as the whole")
    check(inflated(bytes, limit: whole.count) == .success(whole), "the limit itself is allowed")
    if !whole.isEmpty {
      check(
        inflated(bytes, limit: whole.count - 1) == .failure(.tooLong(limit: whole.count - 1)),
        "one byte too many is refused")
    }
  case .failure(let error):
    check(!error.description.isEmpty, "there is a reason")
    if let failure, pieceByteCount == 1 {
      // Behind the limit the whole may fail with either.
      check(
        output.count > limit || kind(failure) == kind(error),
        "pieces fail as the whole does: \(failure), \(error)")
    } else {
      check(failure != nil || output.count > limit, "pieces fail if the whole does: \(error)")
    }
  }
}

/// Reading in pieces takes the same memory however much there is.
private func checkMemory(of bytes: UnsafeRawBufferPointer, pieceByteCount: Int) {
  let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceByteCount, alignment: 1)
  defer { piece.deallocate() }
  bounded("reading in pieces") {
    guard var reader = try? GzipReader(bytes) else { return }
    var total = 0
    while total <= limit, case let count? = try? reader.read(into: piece), count > 0 {
      total += count
    }
  }
}

/// Where data are damaged may be noticed a little earlier or later.
private func kind(_ error: GzipError) -> GzipError {
  if case .corrupt = error { .corrupt(at: 0) } else { error }
}
