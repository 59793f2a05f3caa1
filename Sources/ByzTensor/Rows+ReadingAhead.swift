#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension Rows {
  /// Calls `body` with the columns in pieces, each a multiple of `unit` long but the last, and has the system read the next piece of
  /// mapped files meanwhile. Rows that are no files are one piece.
  ///
  /// A page that is touched is read then, with what follows it in its row. That is fast for who reads row after row; who reads all rows
  /// at once had better ask for all of them.
  ///
  /// - Parameter read: The rows that `body` reads at once; nil when it reads one after another.
  package func readingAhead(
    columns range: Range<Int>, inMultiplesOf unit: Int,
    of read: @autoclosure () -> Rows?, _ body: (Range<Int>) -> Void
  ) {
    guard owners.contains(where: \.isFile), let read = read() else { return body(range) }
    let length = max(1, Self.pieceByteCount / elementType.byteCount / unit) * unit
    var piece = range.prefix(length)
    read.willNeed(piece)
    while !piece.isEmpty {
      let next = range[piece.upperBound...].prefix(length)
      read.willNeed(next)
      body(piece)
      piece = next
    }
  }

  /// Of each row.
  private static var pieceByteCount: Int { 1 << 20 }
  /// Of all rows, for each caller: pages that were read too early are gone when they are wanted.
  private static var aheadByteCount: Int { 256 << 20 }

  /// Has the system begin to read these columns, as far as they are no longer, or not yet, in memory.
  private func willNeed(_ range: Range<Int>) {
    let size = elementType.byteCount
    let byteCount = min(range.count * size, Self.aheadByteCount / max(1, count))
    guard byteCount > 0 else { return }
    let page = Int(getpagesize())
    for case let row? in pointers {
      let start = Int(bitPattern: row) + range.lowerBound * size
      let first = start / page * page
      let last = (start + byteCount - 1) / page * page
      guard let address = UnsafeMutableRawPointer(bitPattern: first), !Self.isInMemory(last) else {
        continue
      }
      // Only a hint: where it fails the pages come when they are touched.
      _ = madvise(address, last + page - first, MADV_WILLNEED)
    }
  }

  /// Whether the page at an address is in memory, as far as this process may know.
  private static func isInMemory(_ address: Int) -> Bool {
    #if canImport(Darwin)
      var state: CChar = 0
    #else
      var state: UInt8 = 0
    #endif
    guard mincore(UnsafeMutableRawPointer(bitPattern: address), 1, &state) == 0 else { return true }
    return state & 1 == 1
  }
}
