/// The values of a graph's outputs after a run.
public struct GraphOutputs: Sendable {
  private let values: [String: any Sendable]

  init(_ values: [String: any Sendable]) { self.values = values }

  /// The value of an output, in its type.
  ///
  /// - Throws: ``GraphError/unknownOutput(_:)`` when the graph has no such output,
  ///   ``GraphError/wrongType(of:expected:actual:)`` when it is of another type.
  public func value<Value>(of name: String, as type: Value.Type = Value.self) throws(GraphError)
    -> Value
  {
    guard let value = values[name] else { throw .unknownOutput(name) }
    guard let typed = value as? Value else {
      throw .wrongType(of: name, expected: "\(type)", actual: "\(Swift.type(of: value))")
    }
    return typed
  }

  /// The value that a builder promised.
  ///
  /// - Throws: as ``value(of:as:)``.
  public func value<Value>(of promise: GraphValue<Value>) throws(GraphError) -> Value {
    try value(of: promise.name, as: Value.self)
  }
}
