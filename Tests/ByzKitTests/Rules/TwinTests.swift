import ByzKit
import ByzTensor
import Testing

@Suite("Rules against naive twins in double precision")
struct TwinTests {
  #if DEBUG
    static let shapes = [(1, 1), (2, 3), (3, 1), (4, 5), (7, 2), (8, 33), (11, 4)]
    static let repeats = 2
  #else
    static let shapes = [
      (1, 1), (1, 4), (2, 1), (2, 3), (3, 1), (3, 2), (4, 1), (4, 5), (5, 17), (6, 2), (7, 2),
      (7, 40), (8, 33), (9, 3),
      (10, 2), (11, 4), (16, 100), (23, 5), (40, 20), (65, 3), (200, 7),
    ]
    static let repeats = 6
  #endif

  @Test(
    "Every rule agrees with its definition, on ordinary rows and on hostile ones",
    arguments: TestedRule.all)
  func definition(_ rule: TestedRule) throws {
    for (n, d) in Self.shapes where n <= rule.twinLimit {
      guard let f = rule.f(n: n) else { continue }
      for kind in rule.kinds {
        for seed in 0..<Self.repeats {
          try check(rule, n: n, d: d, f: f, kind, seed: seed, Float.self)
          try check(rule, n: n, d: d, f: f, kind, seed: seed, Double.self)
        }
      }
    }
  }

  private func check<E: TensorElement>(
    _ rule: TestedRule, n: Int, d: Int, f: Int, _ kind: RowKind, seed: Int, _: E.Type
  ) throws {
    var source = TestRows(seed: seed * 100 + n * 10 + d)
    var rows = source.rows(kind, n: n, d: d, f: f)
    if rule.name == "MoNNA", !Twin.isFinite(rows[n / 2]) {
      rows[n / 2] = rows[n / 2].map { _ in 1 }
    }
    let length = kind == .tiny ? 1e-30 : 1
    let made = rule.make(n, f, length)
    // Too few vectors for an attack or a rule with a bound of its own.
    do { try made.validate(n: n) } catch { return }
    let complaint = rule.tolerance.complaint(
      try made.outputs(rows.tensors(as: E.self)), rule.twin(rows, f, length), rows: rows)
    #expect(complaint == nil, "n = \(n), d = \(d), f = \(f), \(kind), seed \(seed), \(E.self)")
  }
}
