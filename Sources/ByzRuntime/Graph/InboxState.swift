/// What an inbox holds and who waits for it: an event goes in, directives come out.
///
/// A message of a type goes to exactly one receiver: the one that has waited longest or, if nobody
/// waits, the next. Messages and receivers of a type keep their order; of messages and receivers one
/// kind at most waits.
package struct InboxState<Message: Sendable>: Sendable {
  package enum Directive {
    /// The receiver has this message.
    case give(Message, to: Int)
    /// The sender's message has been taken in.
    case accept(Int)
    /// The inbox is closed: the sender or receiver gets nothing.
    case refuse(Int)
  }

  private struct Queue {
    var messages: [Message] = []
    var senders: [(id: Int, message: Message)] = []
    var receivers: [Int] = []

    var isEmpty: Bool { messages.isEmpty && senders.isEmpty && receivers.isEmpty }
  }

  private let capacity: Int
  /// No type that nothing is known of, so that names alone take no memory.
  private var queues: [String: Queue] = [:]
  private var isClosed = false

  /// At most `capacity` messages of each type; below 1 counts as 1.
  package init(capacity: Int) { self.capacity = max(1, capacity) }

  /// The messages of a type that nobody has received.
  package func count(of type: String) -> Int { queues[type]?.messages.count ?? 0 }

  /// How many wait, to send or to receive.
  package var waitingCount: Int {
    queues.values.reduce(0) { $0 + $1.senders.count + $1.receivers.count }
  }

  /// Takes a message in if there is room or someone waits for it.
  package mutating func offer(
    _ message: Message, _ type: String
  ) -> (isAccepted: Bool, directives: [Directive]) {
    guard !isClosed else { return (false, []) }
    let capacity = capacity
    return change(type) { queue in
      if !queue.receivers.isEmpty {
        return (true, [.give(message, to: queue.receivers.removeFirst())])
      }
      // Whoever waits for room came before.
      guard queue.messages.count < capacity, queue.senders.isEmpty else { return (false, []) }
      queue.messages.append(message)
      return (true, [])
    }
  }

  /// Takes a message in, now or when there is room.
  package mutating func send(_ message: Message, _ type: String, from id: Int) -> [Directive] {
    guard !isClosed else { return [.refuse(id)] }
    let (isAccepted, directives) = offer(message, type)
    if isAccepted { return directives + [.accept(id)] }
    change(type) { $0.senders.append((id, message)) }
    return []
  }

  /// Gives the receiver the oldest message of the type, now or when there is one.
  package mutating func receive(_ type: String, by id: Int) -> [Directive] {
    let isClosed = isClosed
    return change(type) { queue in
      guard !queue.messages.isEmpty else {
        if isClosed { return [.refuse(id)] }
        queue.receivers.append(id)
        return []
      }
      var directives: [Directive] = [.give(queue.messages.removeFirst(), to: id)]
      if !queue.senders.isEmpty {
        let next = queue.senders.removeFirst()
        queue.messages.append(next.message)
        directives.append(.accept(next.id))
      }
      return directives
    }
  }

  /// Forgets a sender or receiver that waits.
  ///
  /// - Returns: whether it did wait; if not, it has had its directive.
  package mutating func cancel(_ id: Int, _ type: String) -> Bool {
    change(type) { queue in
      let before = queue.senders.count + queue.receivers.count
      queue.senders.removeAll { $0.id == id }
      queue.receivers.removeAll { $0 == id }
      return queue.senders.count + queue.receivers.count < before
    }
  }

  /// Takes nothing more in. What is there can still be received.
  package mutating func close() -> [Directive] {
    isClosed = true
    var directives: [Directive] = []
    for type in queues.keys.sorted() {
      change(type) { queue in
        directives += (queue.senders.map(\.id) + queue.receivers).map { .refuse($0) }
        queue.senders = []
        queue.receivers = []
      }
    }
    return directives
  }

  private mutating func change<R>(_ type: String, _ body: (inout Queue) -> R) -> R {
    var queue = queues.removeValue(forKey: type) ?? Queue()
    defer { if !queue.isEmpty { queues[type] = queue } }
    return body(&queue)
  }
}
