/// Batcher's merge exchange for n numbers: the fewest exchanges that are known to be made in a regular way.
package struct SortingNetwork {
  /// Pairs of positions, the smaller number to the first, in order.
  package let exchanges: [(Int, Int)]

  package init(_ n: Int) {
    var exchanges: [(Int, Int)] = []
    var top = 1
    while top < n { top *= 2 }
    var p = top / 2
    while p > 0 {
      var (q, r, distance) = (top / 2, 0, p)
      while true {
        for i in 0..<max(0, n - distance) where i & p == r { exchanges.append((i, i + distance)) }
        if q == p { break }
        (distance, q, r) = (q - p, q / 2, p)
      }
      p /= 2
    }
    self.exchanges = exchanges
  }

  /// How many minima and maxima are left when only some ranks are wanted: those that cannot reach them are not computed.
  package func operations(for ranks: some Sequence<Int>) -> Int {
    var wanted = Set(ranks)
    var count = 0
    for (i, k) in exchanges.reversed() {
      let needed = [i, k].filter(wanted.contains)
      guard !needed.isEmpty else { continue }
      count += needed.count
      wanted.formUnion([i, k])
    }
    return count
  }
}
