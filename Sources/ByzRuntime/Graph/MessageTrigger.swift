/// Passes a message on: a node with this operator waits for one message, and any number of nodes
/// that read from the node get it.
///
/// ```swift
/// let start = GraphNode("start", waitingFor: MessageSource("start", as: Int.self))
/// ```
public struct MessageTrigger: Operator {
  /// The type of the message.
  public let name: String
  /// `message`.
  public var inputNames: [String] { ["message"] }

  /// A trigger for a message of this type.
  public init(_ type: String) { name = type }

  /// Returns the message.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    try inputs.value("message", as: (any Sendable).self)
  }
}

extension GraphNode {
  /// A step whose value is the next message of a type.
  public init(_ name: String, waitingFor source: MessageSource) {
    self.init(name, MessageTrigger(source.type), inputs: ["message": .message(source)])
  }
}

extension GraphBuilder {
  /// The next message of a type: one message, however many operators read it.
  ///
  /// - Parameters:
  ///   - type: the name that messages are delivered under.
  ///   - message: their Swift type; a message of another ends the run with an error.
  ///   - timeout: how long the run waits for it; nil for as long as it takes.
  public func message<Message: Sendable>(
    _ type: String, as message: Message.Type = Message.self, timeout: Duration? = nil
  ) -> GraphValue<Message> {
    let source = MessageSource(type, as: message, timeout: timeout)
    let received = GraphValue<Message>(name: type, source: .message(source), builder: self)
    return apply(MessageTrigger(type), to: ["message": received])
  }
}
