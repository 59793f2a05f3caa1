import ByzKit
import ByzTensor
import Testing

/// Kinds of rows that rules meet, each with its own way to go wrong.
enum RowKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
  /// Nothing special.
  case normal
  /// A common offset of 10⁴ and a spread of 1: a Gram matrix of the plain rows would cancel.
  case offset
  /// Small integers: many exact ties.
  case ties
  /// Three different rows of multiples of 1/8, repeated: medians and ties are exact.
  case duplicates
  /// f rows of about 10³⁰, whose squares overflow a float.
  case far
  /// A spread of 10⁻³⁰, whose squares underflow a float.
  case tiny
  /// f rows that are NaN or infinite somewhere.
  case nonFinite

  var testDescription: String { rawValue }
}

/// Reproducible rows.
struct TestRows {
  private var numbers: TestNumbers

  init(seed: Int) { numbers = TestNumbers(seed: UInt64(truncatingIfNeeded: seed &* 7919 &+ 1)) }

  /// Uniform in 0 ..< bound.
  mutating func integer(below bound: Int) -> Int {
    min(bound - 1, Int((numbers.next() + 1) / 2 * Float(bound)))
  }

  /// About normal: the sum of a few uniform numbers.
  mutating func normal() -> Double {
    (0..<6).reduce(0) { sum, _ in sum + Double(numbers.next()) } / 2.0.squareRoot()
  }

  mutating func permutation(_ n: Int) -> [Int] {
    var order = Array(0..<n)
    for i in stride(from: n - 1, to: 0, by: -1) { order.swapAt(i, integer(below: i + 1)) }
    return order
  }

  /// n rows of d numbers, each of them a float; f of the rows are special where the kind has special rows.
  mutating func rows(_ kind: RowKind, n: Int, d: Int, f: Int) -> [[Double]] {
    var rows = (0..<n).map { _ in (0..<d).map { _ in normal() } }
    let special = permutation(n).prefix(f)
    switch kind {
    case .normal: break
    case .offset: rows = rows.map { $0.map { $0 + 1e4 } }
    case .ties: rows = rows.map { $0.map { _ in Double(integer(below: 3)) } }
    case .duplicates:
      let few = rows.prefix(3).map { $0.map { ($0 * 8).rounded() / 8 } }
      rows = rows.map { _ in few[integer(below: few.count)] }
    case .far: for i in special { rows[i] = rows[i].map { $0 * 1e30 } }
    case .tiny: rows = rows.map { $0.map { $0 * 1e-30 } }
    case .nonFinite:
      let bad = [Double.nan, .infinity, -.infinity]
      for (k, i) in special.enumerated() { rows[i][integer(below: d)] = bad[k % 3] }
    }
    return rows.map { $0.map { Double(Float($0)) } }
  }
}

extension Array where Element == [Double] {
  /// One tensor per row.
  func tensors<E: TensorElement>(as _: E.Type = E.self, shape: [Int]? = nil) throws -> [Tensor<E>] {
    try map { row in try Tensor(row.map { E($0) }, shape: shape ?? [row.count]) }
  }
}

extension Tensor {
  var doubles: [Double] { elements.map { Double($0) } }
}

/// How closely a result must agree with its twin: relative, and absolute as a multiple of the size of the rows.
struct Tolerance {
  var float32 = 1e-5
  var float64 = 1e-11

  /// Why `got` does not agree with `want`; nil if it does. The rows say what size is typical.
  func complaint<E: TensorElement>(_ got: [Tensor<E>], _ want: [[Double]], rows: [[Double]])
    -> String?
  {
    guard got.count == want.count else { return "\(got.count) vectors instead of \(want.count)" }
    let relative = E.elementType == .float32 ? float32 : float64
    let sizes = rows.filter { $0.allSatisfy(\.isFinite) }.map { $0.reduce(0) { max($0, abs($1)) } }
      .sorted()
    let typical = sizes.isEmpty ? 0 : sizes[sizes.count / 2]
    for (k, row) in want.enumerated() {
      guard got[k].count == row.count else {
        return "\(got[k].count) columns instead of \(row.count)"
      }
      let largest = row.filter(\.isFinite).reduce(typical) { max($0, abs($1)) }
      // A float below 1e-38 has fewer digits.
      let absolute = max(
        relative * largest, E.elementType == .float32 ? 1e-44 * Double(rows.count) : 0)
      for (j, value) in got[k].doubles.enumerated() {
        let agrees =
          row[j].isNaN
          ? !value.isFinite
          : row[j].isInfinite
            ? value == row[j] : abs(value - row[j]) <= absolute + relative * abs(row[j])
        if !agrees { return "vector \(k), column \(j): \(value) instead of \(row[j])" }
      }
    }
    return nil
  }
}
