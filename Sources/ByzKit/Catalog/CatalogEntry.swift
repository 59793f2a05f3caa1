/// One rule or attack as the command line, the documentation and the tests know it.
public struct CatalogEntry<Product: Sendable>: Sendable {
  /// The name to ask for.
  public let name: String
  /// What it does, in a few words.
  public let summary: String
  /// The parameters it takes.
  public let parameters: [ParameterInfo]
  /// For which n and f it works.
  public let bound: LegalCounts
  /// What it is proved or meant to tolerate; of an attack, what it sees.
  public let tolerates: String
  /// Where it was published.
  public let paper: String
  /// Its cost for n vectors of d coordinates.
  public let cost: String

  private let maker: @Sendable (Parameters) throws(CatalogError) -> Product

  init(
    _ name: String, _ summary: String, _ parameters: [ParameterInfo] = [],
    bound: LegalCounts = .any,
    tolerates: String, paper: String, cost: String,
    make: @escaping @Sendable (Parameters) throws(CatalogError) -> Product
  ) {
    self.name = name
    self.summary = summary
    self.parameters = parameters
    self.bound = bound
    self.tolerates = tolerates
    self.paper = paper
    self.cost = cost
    maker = make
  }

  /// Makes one with these parameters. Whether they are in range is checked when it is used.
  ///
  /// - Throws: ``CatalogError`` for a parameter that is missing, of the wrong kind, none of this entry's, or one of two that
  ///   exclude each other.
  public func make(_ given: Parameters) throws(CatalogError) -> Product {
    for name in given.names where !parameters.contains(where: { $0.name == name }) {
      throw .unknownParameter(name, of: self.name, known: parameters.map(\.name))
    }
    for info in parameters {
      guard let other = info.alternative, given.names.contains(info.name) else { continue }
      if given.names.contains(other) { throw .contradictingParameters(other, info.name) }
    }
    return try maker(given)
  }
}

/// One parameter of a rule or attack.
public struct ParameterInfo: Codable, Hashable, Sendable {
  /// The name.
  public let name: String
  /// What it may be.
  public let range: String
  /// What it is if it is not given; nil if it must be, or another one instead.
  public let defaultValue: String?
  /// The parameter that it stands for: both cannot be given.
  public let alternative: String?

  init(
    _ name: String, _ range: String, default defaultValue: String? = nil,
    insteadOf alternative: String? = nil
  ) {
    self.name = name
    self.range = range
    self.defaultValue = defaultValue
    self.alternative = alternative
  }
}

/// Why a rule or attack could not be found or made by name.
public enum CatalogError: Error, Hashable, Sendable {
  /// Nothing has this name; `nearest` does.
  case unknownName(String, kind: String, nearest: String)
  /// It needs this parameter.
  case missingParameter(String)
  /// The parameter is of the wrong kind.
  case wrongParameter(name: String, expected: String)
  /// The second stands for the first, and both were given.
  case contradictingParameters(String, String)
  /// It has no such parameter.
  case unknownParameter(String, of: String, known: [String])
}

extension CatalogError: CustomStringConvertible {
  /// What is wrong, and what to write instead.
  public var description: String {
    switch self {
    case .unknownName(let name, let kind, let nearest):
      "There is no \(kind) called '\(name)'. Did you mean '\(nearest)'?"
    case .missingParameter(let name): "The parameter '\(name)' is missing."
    case .wrongParameter(let name, let expected): "The parameter '\(name)' must be \(expected)."
    case .contradictingParameters(let name, let other):
      "The parameters '\(name)' and '\(other)' exclude each other; leave one out."
    case .unknownParameter(let name, let owner, let known):
      known.isEmpty
        ? "\(owner) takes no parameters, so no '\(name)'."
        : "\(owner) has no parameter '\(name)'; it takes \(known.joined(separator: ", "))."
    }
  }
}
