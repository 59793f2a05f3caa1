/// For which n and f a rule works: the one table that the rules, the documentation and the tests share.
public enum LegalCounts: String, CaseIterable, Sendable, CustomStringConvertible {
  /// Any n ≥ 1; the rule has no f.
  case any
  /// 0 ≤ f < n.
  case fewerThanAll
  /// 0 ≤ 2f < n.
  case minority
  /// 0 ≤ 2f < n and f ≤ n - 2.
  case minorityOfTwo
  /// 0 ≤ 2f < n and f ≤ n - 3.
  case minorityOfThree
  /// f ≥ 0 and n ≥ 4f + 3.
  case quarter

  /// Whether the rule works.
  public func allows(n: Int, f: Int) -> Bool {
    guard n > 0, f >= 0, f <= n else { return false }
    // Divided rather than multiplied: any n and f may be asked about, and 4f could overflow.
    let isMinority = f <= (n - 1) / 2
    return switch self {
    case .any: true
    case .fewerThanAll: f < n
    case .minority: isMinority
    case .minorityOfTwo: isMinority && f <= n - 2
    case .minorityOfThree: isMinority && f <= n - 3
    case .quarter: n >= 3 && f <= (n - 3) / 4
    }
  }

  /// The bound, as it stands in the table of rules.
  public var description: String {
    switch self {
    case .any: "n ≥ 1"
    case .fewerThanAll: "0 ≤ f < n"
    case .minority: "0 ≤ 2f < n"
    case .minorityOfTwo: "0 ≤ 2f < n and f ≤ n - 2"
    case .minorityOfThree: "0 ≤ 2f < n and f ≤ n - 3"
    case .quarter: "f ≥ 0 and n ≥ 4f + 3"
    }
  }
}
