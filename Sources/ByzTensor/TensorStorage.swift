#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The memory behind one or more tensors: on the heap, or lent by an owner such as a mapped file.
///
/// `@unchecked Sendable`: the address and sizes never change, and the bytes are written only through a reference that is
/// known to be the only one (`Tensor` checks before it writes) or by workers that own disjoint ranges (`OutputRows`).
package final class TensorStorage: @unchecked Sendable {
  package let address: UnsafeMutableRawPointer
  package let byteCount: Int
  /// False for memory that must not change, such as a file mapped for reading.
  package let isWritable: Bool
  /// Keeps lent memory alive; nil for memory of our own.
  private let owner: AnyObject?
  /// Whether these are the bytes of a file.
  let isFile: Bool
  /// The size of the block if it is our own: what was asked for, or a little more.
  private let blockByteCount: Int

  /// The file whose bytes these are, if it is being written.
  var file: OutputFile? { owner as? OutputFile }

  /// Uninitialised memory of our own, aligned to a cache line; from 4 MiB up to huge pages, which halves the cost of first use. If
  /// it is large, what another tensor has left.
  package init(byteCount: Int) {
    if let block = WarmBlocks.shared?.take(byteCount) {
      address = block.address
      blockByteCount = block.byteCount
    } else {
      let huge = 2 << 20
      let alignment = byteCount >= 2 * huge ? huge : 64
      address = .allocate(byteCount: max(byteCount, 1), alignment: alignment)
      #if os(Linux)
        if alignment == huge { _ = madvise(address, byteCount, MADV_HUGEPAGE) }
      #endif
      blockByteCount = byteCount
    }
    self.byteCount = byteCount
    isWritable = true
    isFile = false
    owner = nil
  }

  /// Memory of someone else's, which `owner` keeps in place for as long as this object lives.
  package init(
    lent address: UnsafeMutableRawPointer, byteCount: Int, isWritable: Bool, owner: AnyObject
  ) {
    self.address = address
    self.byteCount = byteCount
    self.isWritable = isWritable
    self.owner = owner
    isFile = owner is FileMapping || owner is OutputFile
    blockByteCount = 0
  }

  deinit {
    guard owner == nil else { return }
    if let blocks = WarmBlocks.shared {
      blocks.leave(WarmBlocks.Block(address: address, byteCount: blockByteCount))
    } else {
      address.deallocate()
    }
  }
}
