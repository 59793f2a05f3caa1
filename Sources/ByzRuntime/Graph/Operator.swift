/// A step of a computation graph: named inputs in, one value out.
///
/// Every aggregator, pre-aggregator and attack is one, and so is any type of yours. An operator is
/// a value that holds parameters and nothing else, so one instance may run in many graphs at once.
public protocol Operator: Sendable {
  /// A short name, used for nodes that are given none and in errors.
  var name: String { get }
  /// The names of the inputs that ``run(_:in:)`` reads.
  var inputNames: [String] { get }

  /// Computes the output.
  ///
  /// The scheduler calls it once per run of the graph, when every input is there. Split the work
  /// with ``OperatorContext/run(_:operands:)``, which uses the pool if there is one and the calling
  /// task if there is none. When the caller's task is cancelled, so is this one.
  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable
}

extension Operator {
  /// The type's name.
  public var name: String { "\(Self.self)" }
}

/// The values that an operator reads, by name.
public struct OperatorInputs: Sendable {
  private let values: [String: any Sendable]

  /// Wraps the values.
  public init(_ values: [String: any Sendable]) { self.values = values }

  /// The value of an input, in its type.
  ///
  /// - Throws: ``GraphError/missingInputs(_:)`` when there is none,
  ///   ``GraphError/wrongType(of:expected:actual:)`` when it is of another type.
  public func value<Value>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
    guard let value = values[name] else { throw GraphError.missingInputs([name]) }
    guard let typed = value as? Value else {
      throw GraphError.wrongType(of: name, expected: "\(type)", actual: "\(Swift.type(of: value))")
    }
    return typed
  }

  /// The value of an input, if it is there and of this type.
  public func optionalValue<Value>(_ name: String, as type: Value.Type = Value.self) -> Value? {
    values[name] as? Value
  }
}
