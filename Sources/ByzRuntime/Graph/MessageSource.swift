/// A message that a node waits for: the next of one type that is delivered to the run's
/// ``MessageInbox``.
///
/// ```swift
/// let source = MessageSource("gradient", \GradientMessage.vector, timeout: .seconds(5))
/// let node = GraphNode("step", Krum(f: 1), inputs: ["vectors": .message(source)])
/// ```
///
/// Each input that has a source takes a message of its own; where nodes of one run wait for a type
/// at the same time, either may get the first, except in sequential mode. To give one message to
/// several nodes, let them read from a node with a ``MessageTrigger``.
public struct MessageSource: Sendable {
  /// The name that messages are delivered under.
  public let type: String
  /// How long a node waits once everything else it reads is there; nil for as long as it takes.
  public let timeout: Duration?
  private let read: @Sendable (any Sendable) throws -> any Sendable

  /// The next message of this type, whole.
  public init<Message: Sendable>(
    _ type: String, as message: Message.Type = Message.self, timeout: Duration? = nil
  ) {
    self.type = type
    self.timeout = timeout
    read = { try Self.cast($0, as: Message.self, of: type) }
  }

  /// One field of the next message of this type.
  public init<Message: Sendable, Field: Sendable>(
    _ type: String, _ field: any KeyPath<Message, Field> & Sendable, timeout: Duration? = nil
  ) {
    self.type = type
    self.timeout = timeout
    read = { try Self.cast($0, as: Message.self, of: type)[keyPath: field] }
  }

  /// What a node gets of a message.
  ///
  /// - Throws: ``GraphError/wrongType(of:expected:actual:)`` when the message is of another Swift
  ///   type.
  func value(of message: any Sendable) throws -> any Sendable { try read(message) }

  private static func cast<Message>(
    _ message: any Sendable, as: Message.Type, of type: String
  ) throws(GraphError) -> Message {
    guard let typed = message as? Message else {
      throw .wrongType(
        of: "message \(type)", expected: "\(Message.self)", actual: "\(Swift.type(of: message))")
    }
    return typed
  }
}
