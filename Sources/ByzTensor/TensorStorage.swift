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

  /// Uninitialised memory of our own, aligned to a cache line; from 4 MiB up to huge pages, which halves the cost of first use.
  package init(byteCount: Int) {
    let huge = 2 << 20
    let alignment = byteCount >= 2 * huge ? huge : 64
    address = .allocate(byteCount: max(byteCount, 1), alignment: alignment)
    #if os(Linux)
      if alignment == huge { _ = madvise(address, byteCount, MADV_HUGEPAGE) }
    #endif
    self.byteCount = byteCount
    isWritable = true
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
  }

  deinit {
    if owner == nil { address.deallocate() }
  }
}
