/// What a method has to move and to compute: the bytes it reads and writes, and its operations of each kind.
package struct Work: Hashable, Sendable {
  package var bytesRead = 0.0
  /// Read again after a pass over all of the input, of which what fits the caches is still there.
  package var bytesReadAgain = 0.0
  package var bytesWritten = 0.0
  /// Additions, multiplications, or both fused.
  package var multiplyAdds = 0.0
  /// (a - b)² + c.
  package var squaredDifferences = 0.0
  /// The smaller or the larger of two numbers; also a comparison with a choice.
  package var minMax = 0.0
  /// Logarithms, roots, sines.
  package var transcendentals = 0.0

  package init(
    bytesRead: Double = 0, bytesReadAgain: Double = 0, bytesWritten: Double = 0,
    multiplyAdds: Double = 0, squaredDifferences: Double = 0, minMax: Double = 0,
    transcendentals: Double = 0
  ) {
    self.bytesRead = bytesRead
    self.bytesReadAgain = bytesReadAgain
    self.bytesWritten = bytesWritten
    self.multiplyAdds = multiplyAdds
    self.squaredDifferences = squaredDifferences
    self.minMax = minMax
    self.transcendentals = transcendentals
  }

  package static func + (a: Work, b: Work) -> Work {
    Work(
      bytesRead: a.bytesRead + b.bytesRead, bytesReadAgain: a.bytesReadAgain + b.bytesReadAgain,
      bytesWritten: a.bytesWritten + b.bytesWritten,
      multiplyAdds: a.multiplyAdds + b.multiplyAdds,
      squaredDifferences: a.squaredDifferences + b.squaredDifferences,
      minMax: a.minMax + b.minMax, transcendentals: a.transcendentals + b.transcendentals)
  }
}

/// How much of each kind the machine does in a second, on one core.
package struct Rates: Hashable, Sendable {
  /// Of memory, at the footprint of the row.
  package var bytesRead: Double
  package var bytesReadAgain: Double
  package var bytesWritten: Double
  package var multiplyAdds: Double
  package var squaredDifferences: Double
  package var minMax: Double
  package var transcendentals: Double

  package init(
    bytesRead: Double, bytesReadAgain: Double, bytesWritten: Double, multiplyAdds: Double,
    squaredDifferences: Double, minMax: Double, transcendentals: Double
  ) {
    self.bytesRead = bytesRead
    self.bytesReadAgain = bytesReadAgain
    self.bytesWritten = bytesWritten
    self.multiplyAdds = multiplyAdds
    self.squaredDifferences = squaredDifferences
    self.minMax = minMax
    self.transcendentals = transcendentals
  }

  /// The least time for this work: that of the kind which takes longest, as if all others ran beside it.
  package func floor(of work: Work) -> Floor {
    let times: [(Bound, Double)] = [
      (
        .memory,
        work.bytesRead / bytesRead + work.bytesReadAgain / bytesReadAgain
          + work.bytesWritten / bytesWritten
      ),
      (.multiplyAdd, work.multiplyAdds / multiplyAdds),
      (.squaredDifference, work.squaredDifferences / squaredDifferences),
      (.minMax, work.minMax / minMax),
      (.transcendental, work.transcendentals / transcendentals),
    ]
    let longest = times.max { $0.1 < $1.1 } ?? (.memory, 0)
    return Floor(seconds: longest.1, bound: longest.0)
  }
}

/// What a row is bound by.
package enum Bound: String, Sendable {
  case memory
  case multiplyAdd = "multiply-add"
  case squaredDifference = "difference"
  case minMax = "min/max"
  case transcendental
}

/// The time below which no method that is known can get on this machine.
package struct Floor: Hashable, Sendable {
  package var seconds: Double
  package var bound: Bound

  package init(seconds: Double, bound: Bound) {
    self.seconds = seconds
    self.bound = bound
  }
}
