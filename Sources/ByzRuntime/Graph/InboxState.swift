/// What an inbox holds and who waits for it: a ``QueueState`` for each type of message.
///
/// A message of a type goes to exactly one receiver: the one that has waited longest or, if nobody
/// waits, the next. Messages and receivers of a type keep their order.
package struct InboxState<Message: Sendable>: Sendable {
  package typealias Directive = QueueState<Message>.Directive

  /// The most types of which messages or those who wait for some are there.
  package static var maxTypes: Int { 1024 }

  private let capacity: Int
  /// No type that nothing is known of, so that names alone take no memory.
  private var queues: [String: QueueState<Message>] = [:]
  private var isClosed = false

  /// At most `capacity` messages of each type; below 1 counts as 1.
  package init(capacity: Int) { self.capacity = capacity }

  /// The messages of a type that nobody has received.
  package func count(of type: String) -> Int { queues[type]?.count ?? 0 }

  /// How many wait, to send or to receive.
  package var waitingCount: Int { queues.values.reduce(0) { $0 + $1.waitingCount } }

  /// Whether there is a place for messages of a type. A closed inbox refuses them for that.
  package func takes(_ type: String) -> Bool {
    isClosed || queues[type] != nil || queues.count < Self.maxTypes
  }

  /// Takes a message in if there is room or someone waits for it.
  package mutating func offer(
    _ message: Message, _ type: String
  ) -> (isAccepted: Bool, directives: [Directive]) {
    guard takes(type) else { return (false, []) }
    return change(type) { $0.offer(message) }
  }

  /// Takes a message in, now or when there is room.
  ///
  /// - Precondition: ``takes(_:)``.
  package mutating func send(_ message: Message, _ type: String, from id: Int) -> [Directive] {
    change(type) { $0.put(message, by: id) }
  }

  /// Gives the receiver the oldest message of the type, now or when there is one.
  package mutating func receive(_ type: String, by id: Int) -> [Directive] {
    change(type) { $0.take(by: id) }
  }

  /// Gives a message back that was received, before the first that is later.
  package mutating func putBack(
    _ message: Message, _ type: String, before isLater: (Message) -> Bool
  ) -> [Directive] {
    change(type) { $0.putBack(message, before: isLater) }
  }

  /// Forgets a sender or receiver that waits.
  ///
  /// - Returns: whether it did wait; if not, it has had its directive.
  package mutating func cancel(_ id: Int, _ type: String) -> Bool { change(type) { $0.cancel(id) } }

  /// Takes nothing more in. What is there can still be received.
  package mutating func close() -> [Directive] {
    isClosed = true
    return queues.keys.sorted().flatMap { type in change(type) { $0.close() } }
  }

  private var newQueue: QueueState<Message> {
    var queue = QueueState<Message>(capacity: capacity)
    if isClosed { _ = queue.close() }
    return queue
  }

  private mutating func change<R>(
    _ type: String, _ body: (inout QueueState<Message>) -> R
  ) -> R {
    var queue = queues.removeValue(forKey: type) ?? newQueue
    defer { if queue.count + queue.waitingCount > 0 { queues[type] = queue } }
    return body(&queue)
  }
}
