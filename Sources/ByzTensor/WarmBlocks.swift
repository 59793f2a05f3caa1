import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Large blocks of memory that tensors have left and the next ones take: the system would clear every page of a new one, which takes
/// as long as to fill it.
///
/// At most ``limit`` bytes are kept, and the block that came first goes first.
///
/// `@unchecked Sendable`: `blocks` is only touched under the mutex; the rest is constant.
package final class WarmBlocks: @unchecked Sendable {
  package struct Block {
    package let address: UnsafeMutableRawPointer
    package let byteCount: Int

    package init(address: UnsafeMutableRawPointer, byteCount: Int) {
      (self.address, self.byteCount) = (address, byteCount)
    }
  }

  /// Those of this process; nil under the address sanitizer, which is to see what is used after it was left.
  package static let shared: WarmBlocks? = byz_is_address_sanitized() ? nil : WarmBlocks()
  /// Smaller blocks are the allocator's, which keeps them itself; from this size on it begins by asking the system for each.
  package static let leastByteCount = 128 << 10
  /// Of all blocks together.
  package static let limit = 64 << 20

  private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
  private var blocks: [Block] = []
  private var keptByteCount = 0

  package init() { pthread_mutex_init(mutex, nil) }

  deinit {
    for block in blocks { block.address.deallocate() }
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// The bytes that are kept.
  package var byteCount: Int { withLock { keptByteCount } }

  /// A block of at least so many bytes, and not much more; nil when there is none.
  package func take(_ byteCount: Int) -> Block? {
    guard byteCount >= Self.leastByteCount else { return nil }
    return withLock {
      let index = blocks.lastIndex {
        $0.byteCount >= byteCount && $0.byteCount <= byteCount + byteCount / 4
      }
      guard let index else { return nil }
      keptByteCount -= blocks[index].byteCount
      return blocks.remove(at: index)
    }
  }

  /// Keeps a block, or gives it back to the system.
  package func leave(_ block: Block) {
    guard block.byteCount >= Self.leastByteCount, block.byteCount <= Self.limit else {
      return block.address.deallocate()
    }
    var gone: [Block] = []
    withLock {
      blocks.append(block)
      keptByteCount += block.byteCount
      while keptByteCount > Self.limit {
        keptByteCount -= blocks[0].byteCount
        gone.append(blocks.removeFirst())
      }
    }
    for block in gone { block.address.deallocate() }
  }

  private func withLock<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}
