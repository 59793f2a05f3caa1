/// Which parts of an arena are taken, as a value: no memory is touched here.
///
/// Free memory is either warm, used before and still backed by pages, or cold, which costs a page fault for each page when it is
/// used. A block goes where it needs no cold memory if there is such a place, and of those places to the smallest one.
/// More warm memory than the bound is to be given back to the system.
package struct ArenaState: Hashable, Sendable {
  /// Blocks of at least this size begin at a multiple of ``largeAlignment``.
  package static let largeByteCount = 4 << 20
  package static let largeAlignment = 2 << 20
  /// Everything begins at a multiple of a cache line.
  package static let alignment = 64
  /// Less than this is not worth a system call to give back.
  package static let smallestDiscard = 64 << 10
  private static let page = 4096

  /// A part of the arena without a gap.
  private struct Extent: Hashable {
    var range: Range<Int>
    var isWarm: Bool
  }

  package let byteCount: Int
  /// How much free memory stays warm.
  package let warmLimit: Int
  /// How much is free and warm.
  package private(set) var warmByteCount = 0
  /// How much belongs to blocks.
  package private(set) var usedByteCount = 0
  /// In order; neighbours are equally warm only if something lies between them.
  private var free: [Extent]
  /// The sizes of the blocks by their beginning.
  private var blocks: [Int: Int] = [:]

  /// An arena without blocks, all of it cold.
  package init(byteCount: Int, warmLimit: Int) {
    self.byteCount = byteCount / Self.alignment * Self.alignment
    self.warmLimit = warmLimit
    free = self.byteCount > 0 ? [Extent(range: 0..<self.byteCount, isWarm: false)] : []
  }

  /// The number of blocks.
  package var blockCount: Int { blocks.count }

  /// Takes a block of at least `byteCount` bytes and returns where it begins; nil when no free part is large enough.
  ///
  /// - Complexity: O(number of free parts).
  package mutating func allocate(_ byteCount: Int) -> Int? {
    guard byteCount >= 0, byteCount <= self.byteCount else { return nil }
    let size = max(1, (byteCount + Self.alignment - 1) / Self.alignment) * Self.alignment
    let alignment = byteCount >= Self.largeByteCount ? Self.largeAlignment : Self.alignment
    guard let place = place(for: size, alignment: alignment) else { return nil }
    take(place..<place + size)
    blocks[place] = size
    usedByteCount += size
    return place
  }

  /// Gives a block back and returns what is then to be discarded: the caller tells the system, then ``finishDiscarding(_:)``.
  ///
  /// - Precondition: `start` is what ``allocate(_:)`` returned, and was not given back since.
  package mutating func deallocate(_ start: Int) -> Range<Int>? {
    guard let size = blocks.removeValue(forKey: start) else {
      preconditionFailure("No block begins at \(start)")
    }
    usedByteCount -= size
    insert(Extent(range: start..<start + size, isWarm: true))
    return beginDiscarding()
  }

  /// Takes back, cold, what has been discarded.
  package mutating func finishDiscarding(_ range: Range<Int>) {
    insert(Extent(range: range, isWarm: false))
  }

  // MARK: - Free extents

  /// The best beginning of a block: without cold memory, in the smallest gap, furthest in front.
  private func place(for size: Int, alignment: Int) -> Int? {
    var best: (place: Int, isWarm: Bool, gap: Int)?
    var first = 0
    while first < free.count {
      // A gap is a run of extents that touch.
      var last = first
      while last + 1 < free.count, free[last + 1].range.lowerBound == free[last].range.upperBound {
        last += 1
      }
      let gap = free[first].range.lowerBound..<free[last].range.upperBound
      let place = (gap.lowerBound + alignment - 1) / alignment * alignment
      if place + size <= gap.upperBound {
        let isWarm = free[first...last].allSatisfy {
          $0.isWarm || !$0.range.overlaps(place..<place + size)
        }
        if best.map({ isWarm != $0.isWarm ? isWarm : gap.count < $0.gap }) ?? true {
          best = (place, isWarm, gap.count)
        }
      }
      first = last + 1
    }
    return best?.place
  }

  /// Removes a range that is free.
  private mutating func take(_ range: Range<Int>) {
    let first = free.partitioningIndex { $0.range.upperBound > range.lowerBound }
    var rest: [Extent] = []
    var last = first
    while last < free.count, free[last].range.lowerBound < range.upperBound {
      let extent = free[last]
      let before = extent.range.lowerBound..<max(extent.range.lowerBound, range.lowerBound)
      let after = min(extent.range.upperBound, range.upperBound)..<extent.range.upperBound
      for part in [before, after] where !part.isEmpty {
        rest.append(Extent(range: part, isWarm: extent.isWarm))
      }
      if extent.isWarm { warmByteCount -= extent.range.clamped(to: range).count }
      last += 1
    }
    free.replaceSubrange(first..<last, with: rest)
  }

  /// Adds a range that is not free, and joins it with neighbours that are as warm.
  private mutating func insert(_ extent: Extent) {
    if extent.isWarm { warmByteCount += extent.range.count }
    var range = extent.range
    var first = free.partitioningIndex { $0.range.upperBound >= range.lowerBound }
    var last = first
    if first < free.count, free[first].range.upperBound == range.lowerBound {
      if free[first].isWarm == extent.isWarm {
        range = free[first].range.lowerBound..<range.upperBound
      } else {
        first += 1
      }
      last += 1
    }
    if last < free.count, free[last].range.lowerBound == range.upperBound,
      free[last].isWarm == extent.isWarm
    {
      range = range.lowerBound..<free[last].range.upperBound
      last += 1
    }
    free.replaceSubrange(first..<last, with: [Extent(range: range, isWarm: extent.isWarm)])
  }

  /// Takes out the end of the largest warm extent when there is more warm memory than the bound: whole pages of it.
  private mutating func beginDiscarding() -> Range<Int>? {
    guard warmByteCount > warmLimit,
      let largest = free.filter(\.isWarm).max(by: { $0.range.count < $1.range.count })?.range
    else { return nil }
    let excess = max(warmByteCount - warmLimit, Self.smallestDiscard)
    let start =
      (max(largest.lowerBound, largest.upperBound - excess) + Self.page - 1) / Self.page * Self.page
    let end = largest.upperBound / Self.page * Self.page
    guard end - start >= Self.smallestDiscard - Self.page else { return nil }
    take(start..<end)
    return start..<end
  }
}

extension Array {
  /// The first index whose element satisfies `predicate`, when all behind it do too.
  fileprivate func partitioningIndex(where predicate: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
