/// A rule or attack and its parameters as one word of a command line: `multiKrum:f=2,q=5`.
///
/// A value is a whole number, a number, a word, or a list with slashes: `bucketing:size=2,permutation=1/0/3/2`. Pairs are
/// written with `>`: `labelFlip:mapping=3>5/5>3`.
public struct RuleSpecification: Hashable, Sendable {
  /// The name to look up in the ``Catalog``.
  public let name: String
  /// The parameters that were given.
  public private(set) var values: [String: ParameterValue]

  /// Reads one word.
  ///
  /// - Throws: ``CatalogError/wrongParameter(name:expected:)`` for a parameter without a value.
  public init(_ text: String) throws(CatalogError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    name = String(parts[0])
    values = [:]
    guard parts.count == 2 else { return }
    for assignment in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
      let sides = assignment.split(separator: "=", maxSplits: 1)
      guard sides.count == 2 else {
        throw .wrongParameter(name: String(assignment), expected: "written as name=value")
      }
      guard values[String(sides[0])] == nil else {
        throw .wrongParameter(name: String(sides[0]), expected: "given once")
      }
      values[String(sides[0])] = ParameterValue(parsing: String(sides[1]))
    }
  }

  /// The parameters.
  public var parameters: Parameters { Parameters(values) }

  /// Gives parameters values unless they have one already, or another that excludes them has, or the entry does not take them.
  ///
  /// - Returns: the names of those that were given.
  @discardableResult
  public mutating func setDefaults<Product>(
    _ defaults: [String: ParameterValue], for entry: CatalogEntry<Product>
  ) -> Set<String> {
    let own = values
    var taken: Set<String> = []
    for parameter in entry.parameters where own[parameter.name] == nil {
      let excluding = entry.parameters.filter {
        $0.alternative == parameter.name || $0.name == parameter.alternative
      }
      guard excluding.allSatisfy({ own[$0.name] == nil }) else { continue }
      guard let value = defaults[parameter.name] else { continue }
      values[parameter.name] = value
      taken.insert(parameter.name)
    }
    return taken
  }
}

extension RuleSpecification: CustomStringConvertible {
  /// The word that reads back as the same, with its parameters in the order of their names.
  public var description: String {
    guard !values.isEmpty else { return name }
    let parameters = values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text)" }
    return "\(name):\(parameters.joined(separator: ","))"
  }
}

extension ParameterValue {
  /// The value as it stands in a command line.
  var text: String {
    switch self {
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .text(let text): text
    case .integers(let numbers): numbers.map { "\($0)" }.joined(separator: "/")
    case .numbers(let numbers): numbers.map { "\($0)" }.joined(separator: "/")
    case .mapping(let pairs):
      pairs.sorted { $0.key < $1.key }.map { "\($0.key)>\($0.value)" }.joined(separator: "/")
    }
  }

  /// Reads a value as it stands in a command line: a number, a word, a list with slashes, or pairs with `>`.
  public init(parsing text: String) {
    let items = text.split(separator: "/", omittingEmptySubsequences: false)
    let pairs = items.map { item in
      let sides = item.split(separator: ">", omittingEmptySubsequences: false)
      return sides.count == 2 ? sides.compactMap { Int($0) } : []
    }
    if let number = Int(text) {
      self = .integer(number)
    } else if let number = Double(text) {
      self = .number(number)
    } else if pairs.allSatisfy({ $0.count == 2 }), Set(pairs.map { $0[0] }).count == pairs.count {
      self = .mapping(Dictionary(pairs.map { ($0[0], $0[1]) }) { $1 })
    } else if items.count > 1, items.allSatisfy({ Int($0) != nil }) {
      self = .integers(items.compactMap { Int($0) })
    } else if items.count > 1, items.allSatisfy({ Double($0) != nil }) {
      self = .numbers(items.compactMap { Double($0) })
    } else {
      self = .text(text)
    }
  }
}
