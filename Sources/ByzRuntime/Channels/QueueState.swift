/// What a queue of bounded length holds and who waits for it: an event goes in, directives come out.
///
/// An element goes to exactly one receiver: the one that has waited longest or, if nobody waits, the next. Elements, senders and
/// receivers keep their order; of elements and receivers one kind at most waits. Who waits has a number, which the caller chooses.
package struct QueueState<Element: Sendable>: Sendable {
  package enum Directive: Sendable {
    /// The receiver has this element.
    case give(Element, to: Int)
    /// The sender's element has been taken in.
    case accept(Int)
    /// The queue is closed: the sender or receiver gets nothing.
    case refuse(Int)
  }

  private let capacity: Int
  private var elements: [Element] = []
  private var senders: [(id: Int, element: Element)] = []
  private var receivers: [Int] = []
  private var isClosed = false

  /// At most `capacity` elements; below 1 counts as 1.
  package init(capacity: Int) { self.capacity = max(1, capacity) }

  /// The elements that nobody has taken.
  package var count: Int { elements.count }

  /// How many wait, to put or to take.
  package var waitingCount: Int { senders.count + receivers.count }

  /// Takes an element in if there is room or someone waits for it.
  package mutating func offer(_ element: Element) -> (isAccepted: Bool, directives: [Directive]) {
    guard !isClosed else { return (false, []) }
    if !receivers.isEmpty { return (true, [.give(element, to: receivers.removeFirst())]) }
    // Whoever waits for room came before.
    guard elements.count < capacity, senders.isEmpty else { return (false, []) }
    elements.append(element)
    return (true, [])
  }

  /// Takes an element in, now or when there is room.
  package mutating func put(_ element: Element, by id: Int) -> [Directive] {
    guard !isClosed else { return [.refuse(id)] }
    let (isAccepted, directives) = offer(element)
    if isAccepted { return directives + [.accept(id)] }
    senders.append((id, element))
    return []
  }

  /// Gives the receiver the oldest element, now or when there is one.
  package mutating func take(by id: Int) -> [Directive] {
    guard !elements.isEmpty else {
      if isClosed { return [.refuse(id)] }
      receivers.append(id)
      return []
    }
    let given = Directive.give(elements.removeFirst(), to: id)
    // More may be there than have room, if some were put back.
    guard !senders.isEmpty, elements.count < capacity else { return [given] }
    let next = senders.removeFirst()
    elements.append(next.element)
    return [given, .accept(next.id)]
  }

  /// Gives an element back that was taken, before the first that is later; also beyond the capacity, and to a queue that is closed.
  package mutating func putBack(
    _ element: Element, before isLater: (Element) -> Bool
  ) -> [Directive] {
    guard receivers.isEmpty else { return [.give(element, to: receivers.removeFirst())] }
    elements.insert(element, at: elements.firstIndex(where: isLater) ?? elements.endIndex)
    return []
  }

  /// Forgets a sender or receiver that waits.
  ///
  /// - Returns: whether it did wait; if not, it has had its directive.
  package mutating func cancel(_ id: Int) -> Bool {
    let before = waitingCount
    senders.removeAll { $0.id == id }
    receivers.removeAll { $0 == id }
    return waitingCount < before
  }

  /// Takes nothing more in. What is there can still be taken.
  package mutating func close() -> [Directive] {
    isClosed = true
    defer { (senders, receivers) = ([], []) }
    return (senders.map(\.id) + receivers).map { .refuse($0) }
  }
}
