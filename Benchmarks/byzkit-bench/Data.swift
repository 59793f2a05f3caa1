import ByzKit

/// What the n vectors of a row hold.
package enum DataKind: String, CaseIterable, Sendable {
  /// Independent standard normal numbers.
  case gaussian
  /// The same, but the last f vectors are what the attack ALIE makes of the others: all equal, and
  /// hard to tell from honest ones.
  case alie
  /// Normal numbers around 10,000, where distances by inner products lose all their digits.
  case offset
}

/// One input of a row: the same bytes as one matrix and as n vectors, here and where child processes see them.
struct Input {
  /// Shape (n, d).
  let matrix: Tensor<Float>
  /// The rows of `matrix`, sharing its memory.
  let vectors: [Tensor<Float>]
  /// The same in shared memory; the same vectors where nobody asked for it.
  let shared: [Tensor<Float>]

  init(_ kind: DataKind, n: Int, d: Int, f: Int, seed: Int, isShared: Bool) throws {
    let key = RandomKey(UInt64(seed)).derived(for: "benchmark")
    var numbers = Tensor<Float>.normal(
      shape: [n, d], mean: kind == .offset ? 10_000 : 0, key: key)
    if kind == .alie {
      let attack = try ALIE().craft(honest: Array(numbers.rows.prefix(n - f)))
      numbers.withUnsafeMutableBufferPointer { numbers in
        attack.withUnsafeBufferPointer { attack in
          for i in (n - f)..<n {
            _ = UnsafeMutableBufferPointer(rebasing: numbers[(i * d)..<((i + 1) * d)])
              .update(from: attack)
          }
        }
      }
    }
    matrix = numbers
    vectors = numbers.rows
    shared = isShared ? try numbers.sharedCopy().rows : vectors
  }

  /// Every `step`th column in double precision, for the references.
  func wide(every step: Int) -> [[Double]] { vectors.map { $0.wide(every: step) } }
}

extension Tensor<Float> {
  /// Every `step`th number in double precision.
  func wide(every step: Int) -> [Double] {
    withUnsafeBufferPointer { numbers in
      stride(from: 0, to: numbers.count, by: step).map { Double(numbers[$0]) }
    }
  }
}

/// What a call gave, not yet converted, so that timing it times nothing else.
enum Output {
  case tensors([Tensor<Float>])
  case numbers([Double], columns: Int)

  func wide(every step: Int) -> [[Double]] {
    switch self {
    case .tensors(let tensors): tensors.map { $0.wide(every: step) }
    case .numbers(let numbers, let columns):
      stride(from: 0, to: numbers.count, by: columns).map { Array(numbers[$0..<$0 + columns]) }
    }
  }

  func hasSameBits(as other: Output) -> Bool {
    switch (self, other) {
    case (.tensors(let a), .tensors(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.hasSameBits(as: $1) }
    case (.numbers(let a, _), .numbers(let b, _)): a == b
    default: false
    }
  }
}
