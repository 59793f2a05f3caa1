public import ByzRuntime
public import ByzTensor

/// What a Byzantine worker sends instead of its gradient.
///
/// An attack's type says what it may see, and a ``ByzantineNode`` hands it exactly that:
///
/// | protocol | sees |
/// |---|---|
/// | ``BlindAttack`` | the shape of a gradient |
/// | ``OwnGradientAttack`` | its own honest gradient |
/// | ``DataAttack`` | its own data and labels |
/// | ``OmniscientAttack`` | the honest gradients of this round |
/// | ``ModelAttack`` | the global model and a target of its choice |
/// | ``RuleAwareAttack`` | the honest gradients and the server's rule |
/// | ``TargetedAttack`` | among peers: whom it lies to, and what the attack for that neighbor sees |
public protocol Attack: Operator {}

/// An attack that sees nothing but the shape of a gradient.
public protocol BlindAttack: Attack {
  /// Checks the parameters.
  ///
  /// - Throws: ``AttackError/invalidParameter(attack:name:value:requirement:)``.
  func validate() throws(AttackError)

  /// Makes a gradient.
  ///
  /// - Parameters:
  ///   - shape: of the gradients of this round.
  ///   - key: what randomness is drawn from; the same key gives the same gradient.
  /// - Throws: ``AttackError/invalidParameter(attack:name:value:requirement:)``.
  func craft<Element>(shape: [Int], key: RandomKey) throws(AttackError) -> Tensor<Element>
}

/// An attack that sees the gradient its worker would honestly send.
public protocol OwnGradientAttack: Attack, Rule {}

/// An attack that sees its worker's data and labels, and otherwise behaves.
public protocol DataAttack: Attack {
  /// What to train on instead of `labels`.
  ///
  /// - Throws: ``AttackError/labelOutOfRange(label:classes:)``.
  func poison(labels: [Int], classes: Int) throws(AttackError) -> [Int]

  /// What to multiply the gradient by.
  var scale: Double { get }
}

/// An attack that sees the honest gradients of this round.
public protocol OmniscientAttack: Attack, Rule {}

/// An attack that sees the global model and wants it to become another.
public protocol ModelAttack: Attack, Rule {}

/// An attack that sees the honest gradients and knows the rule that will aggregate them.
public protocol RuleAwareAttack: Attack {
  /// Checks the parameters for this number of attackers.
  ///
  /// - Throws: ``AttackError/invalidParameter(attack:name:value:requirement:)``.
  func validate(f: Int) throws(AttackError)

  /// Makes the gradient that all `f` attackers send.
  ///
  /// - Throws: ``AttackError`` for a bad parameter; ``AggregationError`` when the rule refuses whatever is sent.
  func craft<Element>(
    honest: [Tensor<Element>], against rule: any Aggregator, f: Int
  ) throws -> Tensor<Element>
}

/// Why an attack could not be made.
public enum AttackError: Error, Hashable, Sendable {
  /// A parameter is out of its range.
  case invalidParameter(attack: String, name: String, value: String, requirement: String)
  /// A label is outside of `0..<classes`.
  case labelOutOfRange(label: Int, classes: Int)
}

extension AttackError: CustomStringConvertible {
  /// What is wrong, with the number to change.
  public var description: String {
    switch self {
    case .invalidParameter(let attack, let name, let value, let requirement):
      "\(attack): \(name) = \(value) is not allowed; it must be \(requirement)."
    case .labelOutOfRange(let label, let classes):
      "Label \(label) is outside of 0..<\(classes)."
    }
  }
}

// MARK: - Calls

extension OwnGradientAttack {
  /// Makes a gradient from the worker's own.
  ///
  /// - Throws: ``AggregationError/invalidParameter(rule:name:value:requirement:)``.
  public func craft<Element>(own: Tensor<Element>) throws(AggregationError) -> Tensor<Element> {
    try craft(from: [own])
  }

  /// What the attack reads as a step of a graph: `gradient`.
  public var inputNames: [String] { ["gradient"] }

  /// Makes a gradient from the input `gradient`, a `Tensor<Float>` or `Tensor<Double>`.
  ///
  /// - Throws: ``AggregationError``, or `GraphError` when the input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    if let own = inputs.optionalValue("gradient", as: Tensor<Double>.self) {
      return try await craft(from: [own], in: context)
    }
    return try await craft(from: [inputs.value("gradient", as: Tensor<Float>.self)], in: context)
  }
}

extension OmniscientAttack {
  /// Makes a gradient from the honest ones.
  ///
  /// - Parameter honest: the honest gradients of this round, of one shape; nothing is copied.
  /// - Throws: ``AggregationError`` when there are too few, or a parameter is out of its range.
  public func craft<Element>(honest: [Tensor<Element>]) throws(AggregationError) -> Tensor<Element>
  {
    try craft(from: honest)
  }

  /// The same with the help of a pool, bit for bit.
  public func craft<Element>(
    honest: [Tensor<Element>], on pool: ActorPool, chunkSize: Int? = nil
  ) async throws -> Tensor<Element> {
    try await craft(
      from: honest, in: OperatorContext(nodeName: name, pool: pool, chunkSize: chunkSize))
  }

  /// What the attack reads as a step of a graph: `honest`.
  public var inputNames: [String] { ["honest"] }

  /// Makes a gradient from the input `honest`, `[Tensor<Float>]` or `[Tensor<Double>]`.
  ///
  /// - Throws: ``AggregationError``, or `GraphError` when the input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    if let honest = inputs.optionalValue("honest", as: [Tensor<Double>].self) {
      return try await craft(from: honest, in: context)
    }
    return try await craft(from: inputs.value("honest", as: [Tensor<Float>].self), in: context)
  }
}

extension ModelAttack {
  /// Makes the update to send.
  ///
  /// - Parameters:
  ///   - global: the model that the server holds.
  ///   - target: the model that the attacker wants it to hold.
  /// - Throws: ``AggregationError/invalidParameter(rule:name:value:requirement:)``.
  public func craft<Element>(
    global: Tensor<Element>, target: Tensor<Element>
  ) throws(AggregationError) -> Tensor<Element> {
    try craft(from: [global, target])
  }

  /// What the attack reads as a step of a graph: `global` and `target`.
  public var inputNames: [String] { ["global", "target"] }

  /// Makes the update from the inputs `global` and `target`, of `Tensor<Float>` or `Tensor<Double>`.
  ///
  /// - Throws: ``AggregationError``, or `GraphError` when an input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    if let global = inputs.optionalValue("global", as: Tensor<Double>.self) {
      return try await craft(from: [global, inputs.value("target")], in: context)
    }
    let global = try inputs.value("global", as: Tensor<Float>.self)
    return try await craft(from: [global, inputs.value("target")], in: context)
  }
}

extension BlindAttack {
  /// What the attack reads as a step of a graph: `honest`, of which it uses the shape only, and `key`, a `RandomKey`.
  public var inputNames: [String] { ["honest", "key"] }

  /// Makes a gradient of the shape of the input `honest`, from the input `key`.
  ///
  /// - Throws: ``AttackError``, or `GraphError` when an input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    let key = try inputs.value("key", as: RandomKey.self)
    if let honest = inputs.optionalValue("honest", as: [Tensor<Double>].self) {
      return try craft(shape: honest.first?.shape ?? [0], key: key) as Tensor<Double>
    }
    let honest = try inputs.value("honest", as: [Tensor<Float>].self)
    return try craft(shape: honest.first?.shape ?? [0], key: key) as Tensor<Float>
  }
}

extension DataAttack {
  /// What the attack reads as a step of a graph: `labels`, and `classes`, their number.
  public var inputNames: [String] { ["labels", "classes"] }

  /// The poisoned labels.
  ///
  /// - Throws: ``AttackError``, or `GraphError` when an input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    try poison(
      labels: inputs.value("labels", as: [Int].self), classes: inputs.value("classes", as: Int.self)
    )
  }
}

extension RuleAwareAttack {
  /// What the attack reads as a step of a graph: `honest`, `rule`, an `any Aggregator`, and `f`.
  public var inputNames: [String] { ["honest", "rule", "f"] }

  /// Makes a gradient from the inputs.
  ///
  /// - Throws: as ``craft(honest:against:f:)``, or `GraphError` when an input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    let rule = try inputs.value("rule", as: (any Aggregator).self)
    let f = try inputs.value("f", as: Int.self)
    if let honest = inputs.optionalValue("honest", as: [Tensor<Double>].self) {
      return try craft(honest: honest, against: rule, f: f)
    }
    return try craft(honest: inputs.value("honest", as: [Tensor<Float>].self), against: rule, f: f)
  }
}

extension Rule {
  fileprivate func craft<Element>(from rows: [Tensor<Element>]) throws(AggregationError) -> Tensor<
    Element
  > {
    try validate(n: rows.count)
    return try apply(to: rows)[0]
  }

  fileprivate func craft<Element>(
    from rows: [Tensor<Element>], in context: OperatorContext
  ) async throws -> Tensor<Element> {
    try validate(n: rows.count)
    return try await apply(to: rows, in: context)[0]
  }
}
