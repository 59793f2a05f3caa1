import ByzKit

/// What the n vectors of a row hold.
enum DataKind: String, Codable {
  /// Independent standard normal numbers.
  case gaussian
  /// The same, but the last f vectors are what the attack ALIE makes of the others: all equal, and
  /// hard to tell from honest ones.
  case alie
  /// Normal numbers around 10,000, where distances by inner products lose all their digits.
  case offset
}

/// One input of a row: the same bytes as one matrix and as n vectors.
struct Input {
  /// Shape (n, d).
  let matrix: Tensor<Float>
  /// The rows of `matrix`, sharing its memory.
  let vectors: [Tensor<Float>]

  init(_ kind: DataKind, n: Int, d: Int, f: Int, seed: Int) throws {
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
  }

  /// The vectors in double precision, for the references.
  var wide: [[Double]] { vectors.map { $0.elements.map(Double.init) } }
}

/// What a call gave, not yet converted, so that timing it times nothing else.
enum Output {
  case tensors([Tensor<Float>])
  case numbers([Double], columns: Int)

  var wide: [[Double]] {
    switch self {
    case .tensors(let tensors): tensors.map { $0.elements.map(Double.init) }
    case .numbers(let numbers, let columns):
      stride(from: 0, to: numbers.count, by: columns).map { Array(numbers[$0..<$0 + columns]) }
    }
  }
}
