/// The value of a parameter that comes from a command line or a file.
public enum ParameterValue: Hashable, Codable, Sendable {
  /// A whole number.
  case integer(Int)
  /// Any number, NaN and infinity included.
  case number(Double)
  /// A word.
  case text(String)
  /// Whole numbers.
  case integers([Int])
  /// Numbers.
  case numbers([Double])
  /// Pairs of whole numbers.
  case mapping([Int: Int])
}

/// The parameters of one rule or attack, by name, as a command line or a file gives them.
public struct Parameters: Sendable, ExpressibleByDictionaryLiteral {
  private let values: [String: ParameterValue]

  /// Wraps the values.
  public init(_ values: [String: ParameterValue]) { self.values = values }

  /// The listed values.
  public init(dictionaryLiteral elements: (String, ParameterValue)...) {
    values = Dictionary(elements) { $1 }
  }

  /// The names that are there.
  public var names: [String] { values.keys.sorted() }

  /// A whole number.
  ///
  /// - Throws: ``CatalogError/missingParameter(_:)``, ``CatalogError/wrongParameter(name:expected:)``.
  public func integer(_ name: String, default fallback: Int? = nil) throws(CatalogError) -> Int {
    switch values[name] {
    case .integer(let value): return value
    case nil: if let fallback { return fallback } else { throw .missingParameter(name) }
    default: throw .wrongParameter(name: name, expected: "a whole number")
    }
  }

  /// Any number.
  ///
  /// - Throws: ``CatalogError/missingParameter(_:)``, ``CatalogError/wrongParameter(name:expected:)``.
  public func number(_ name: String, default fallback: Double? = nil) throws(CatalogError) -> Double
  {
    switch values[name] {
    case .integer(let value): return Double(value)
    case .number(let value): return value
    case nil: if let fallback { return fallback } else { throw .missingParameter(name) }
    default: throw .wrongParameter(name: name, expected: "a number")
    }
  }

  /// One of a list of words.
  ///
  /// - Throws: ``CatalogError/wrongParameter(name:expected:)`` for any other.
  public func choice<Choice: CaseIterable & RawRepresentable<String>>(
    _ name: String, default fallback: Choice
  ) throws(CatalogError) -> Choice {
    guard let value = values[name] else { return fallback }
    guard case .text(let word) = value, let choice = Choice(rawValue: word) else {
      throw .wrongParameter(
        name: name, expected: "one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return choice
  }

  /// Whole numbers, if they are given.
  ///
  /// - Throws: ``CatalogError/wrongParameter(name:expected:)``.
  public func integers(_ name: String) throws(CatalogError) -> [Int]? {
    switch values[name] {
    case nil: return nil
    case .integers(let values): return values
    case .integer(let value): return [value]
    default: throw .wrongParameter(name: name, expected: "whole numbers")
    }
  }

  /// Numbers.
  ///
  /// - Throws: ``CatalogError/missingParameter(_:)``, ``CatalogError/wrongParameter(name:expected:)``.
  public func numbers(_ name: String) throws(CatalogError) -> [Double] {
    switch values[name] {
    case nil: throw .missingParameter(name)
    case .numbers(let values): return values
    case .integers(let values): return values.map(Double.init)
    case .number(let value): return [value]
    case .integer(let value): return [Double(value)]
    default: throw .wrongParameter(name: name, expected: "numbers")
    }
  }

  /// Pairs of whole numbers, if they are given.
  ///
  /// - Throws: ``CatalogError/wrongParameter(name:expected:)``.
  public func mapping(_ name: String) throws(CatalogError) -> [Int: Int]? {
    switch values[name] {
    case nil: return nil
    case .mapping(let pairs): return pairs
    default: throw .wrongParameter(name: name, expected: "pairs of whole numbers")
    }
  }
}
