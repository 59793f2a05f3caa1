import ByzKit
import FuzzSupport

/// Reads the input as an IDX file; the input packed; the input with the checksum that belongs to it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzIDX(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  let result = examine(input)
  if Gzip.isGzip(input) {
    if let repaired = repairedGzip(input, limit: 4 << 10) {
      _ = repaired.withUnsafeBytes(examine)
    }
  } else {
    for split in [false, true] {
      let packed = gzipFile(input, split: split).withUnsafeBytes(examine)
      check((try? packed.get()) == (try? result.get()), "packing changes nothing")
    }
  }
  return 0
}

private func examine(_ bytes: UnsafeRawBufferPointer) -> Result<IDX, IDXError> {
  let implied = impliedByteCount(bytes)
  let result = bounded(implied: implied) {
    Result { () throws(IDXError) in try IDX.parse(bytes) }
  }
  switch result {
  case .success(let contents):
    check([1, 3].contains(contents.dimensions.count), "labels or images")
    check(contents.dimensions.allSatisfy { $0 > 0 }, "no dimension is empty")
    check(contents.dimensions.reduce(1, *) == contents.values.count, "dimensions and values agree")
    check(contents.values.count == implied, "the header says how much there is")
    let written = encoded(contents)
    if Gzip.isGzip(bytes) {
      check(inflated(bytes, limit: written.count) == .success(written), "written as it was read")
    } else {
      check(bytes.elementsEqual(written), "written as it was read")
    }
  case .failure(let error):
    check(!error.description.isEmpty, "there is a reason")
  }
  return result
}

/// The values a header asks for, or 0 if it is none or asks for more than the input can hold.
private func impliedByteCount(_ bytes: UnsafeRawBufferPointer) -> Int {
  let isPacked = Gzip.isGzip(bytes)
  var header = Array(bytes.prefix(16))
  if isPacked {
    guard var reader = try? GzipReader(bytes) else { return 0 }
    // Read as `IDX` does: a failure behind the header may come earlier in a longer read.
    var magic: [UInt8] = [0, 0, 0, 0]
    guard (try? reader.read(into: &magic)) == 4, let rank = magic.last, rank <= 3 else { return 0 }
    var extents = [UInt8](repeating: 0, count: 4 * Int(rank))
    guard (try? reader.read(into: &extents)) == extents.count else { return 0 }
    header = magic + extents
  }
  guard header.starts(with: [0, 0, 8, 1]) || header.starts(with: [0, 0, 8, 3]) else { return 0 }
  let rank = Int(header[3])
  guard header.count >= 4 + 4 * rank else { return 0 }
  let limit = isPacked ? min(IDX.limit, 1032 * bytes.count) : bytes.count - 4 - 4 * rank
  var count = 1
  for i in 1...rank {
    count *= header[4 * i..<4 * i + 4].reduce(0) { $0 << 8 | Int($1) }
    if count > limit { return 0 }
  }
  return count
}

private func encoded(_ contents: IDX) -> [UInt8] {
  let numbers = [0x800 | contents.dimensions.count] + contents.dimensions
  return numbers.flatMap { number in
    (0..<4).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  } + contents.values
}
