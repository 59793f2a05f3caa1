/// Some sets of n vectors: a bit for each vector of each set, so that those of a thousand vectors still fit a message to a worker.
public struct MemberSets: Hashable, Codable, Sendable {
  /// The number of vectors.
  public let n: Int
  /// The number of sets.
  public let count: Int
  /// Bit i mod 64 of word i / 64 of a set: whether it has vector i.
  private(set) var words: [UInt64]

  /// Empty sets.
  public init(count: Int, of n: Int) {
    self.n = n
    self.count = count
    words = [UInt64](repeating: 0, count: count * Self.words(for: n))
  }

  /// The listed vectors, one list for each set.
  ///
  /// - Precondition: `0 ≤ i < n` for every i.
  public init(_ lists: [[Int]], of n: Int) {
    self.init(count: lists.count, of: n)
    for (set, list) in lists.enumerated() { insert(list, into: set) }
  }

  /// Adds vectors to a set.
  ///
  /// - Precondition: `0 ≤ i < n` for every i.
  public mutating func insert(_ members: [Int], into set: Int) {
    let first = set * Self.words(for: n)
    for i in members {
      precondition(i >= 0 && i < n, "vector \(i) of \(n)")
      words[first + i / 64] |= 1 << UInt64(i % 64)
    }
  }

  /// The vectors of a set, in ascending order.
  public func members(of set: Int) -> [Int] {
    let first = set * Self.words(for: n)
    return (0..<n).filter { words[first + $0 / 64] >> UInt64($0 % 64) & 1 == 1 }
  }

  /// Whether there is a word for every vector of every set, and no vector beyond the last: false for what a stranger made up.
  var isConsistent: Bool {
    guard n >= 1, n <= 1 << 32, count >= 0 else { return false }
    let (needed, overflow) = count.multipliedReportingOverflow(by: Self.words(for: n))
    guard !overflow, words.count == needed else { return false }
    guard n % 64 != 0 else { return true }
    return stride(from: Self.words(for: n) - 1, to: words.count, by: Self.words(for: n)).allSatisfy
    {
      words[$0] >> UInt64(n % 64) == 0
    }
  }

  private static func words(for n: Int) -> Int { (n + 63) / 64 }
}
