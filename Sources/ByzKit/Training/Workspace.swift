/// Scratch memory that a model uses again from call to call, instead of asking the system for
/// megabytes each time.
///
/// Whoever calls a model keeps one (a node its own), and uses it from one thread at a time. It
/// grows to what the largest call needed.
///
/// ```swift
/// workspace.withScratch { scratch in
///   // Not cleared; valid until the closure returns.
///   let activations = scratch.floats(batch.count * width)
///   …
/// }
/// ```
public final class Workspace {
  private var block: UnsafeMutableRawPointer
  private var capacity = 0
  private var used = 0
  private var peak = 0
  /// What did not fit into `block`; the next outermost scope starts with a block for all of it.
  private var overflow: [UnsafeMutableRawPointer] = []
  private var depth = 0

  /// An empty workspace.
  public init() {
    block = .allocate(byteCount: 0, alignment: Self.alignment)
  }

  deinit {
    assert(overflow.isEmpty)
    block.deallocate()
  }

  private static let alignment = 64

  /// Calls `body` with memory that is free again when it returns. Scopes may be nested.
  public func withScratch<R, Failure: Error>(
    _ body: (Scratch) throws(Failure) -> R
  ) throws(Failure) -> R {
    let mark = used
    depth += 1
    defer {
      depth -= 1
      if depth == 0, !overflow.isEmpty { grow() }
      used = mark
    }
    return try body(Scratch(workspace: self))
  }

  /// Memory that one call of ``withScratch(_:)`` hands out.
  public struct Scratch {
    fileprivate let workspace: Workspace

    /// `count` numbers on a cache line's boundary, with whatever they held.
    public func floats(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
      let address = workspace.take(count * MemoryLayout<Float>.stride)
      return UnsafeMutableBufferPointer(
        start: address.bindMemory(to: Float.self, capacity: count), count: count)
    }

    /// `count` bytes on a cache line's boundary, with whatever they held.
    public func bytes(_ count: Int) -> UnsafeMutableBufferPointer<UInt8> {
      UnsafeMutableBufferPointer(
        start: workspace.take(count).bindMemory(to: UInt8.self, capacity: count), count: count)
    }
  }

  private func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
    precondition(depth > 0, "Scratch memory is only valid inside of withScratch.")
    let start = used
    used += (byteCount + Self.alignment - 1) / Self.alignment * Self.alignment
    peak = max(peak, used)
    if used <= capacity { return block + start }
    let extra = UnsafeMutableRawPointer.allocate(
      byteCount: byteCount, alignment: Self.alignment)
    overflow.append(extra)
    return extra
  }

  private func grow() {
    for extra in overflow { extra.deallocate() }
    overflow = []
    block.deallocate()
    capacity = peak
    block = .allocate(byteCount: capacity, alignment: Self.alignment)
  }
}
