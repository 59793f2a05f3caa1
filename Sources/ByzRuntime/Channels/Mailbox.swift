/// Names a mailbox: the process it is in, and its name there.
public struct MailboxAddress: Hashable, Codable, Sendable, CustomStringConvertible {
  /// The process.
  package let host: UInt64
  /// The name of the mailbox.
  public let name: String

  package init(host: UInt64, name: String) {
    self.host = host
    self.name = name
  }

  /// Name and process.
  public var description: String { "\(name)@\(String(host, radix: 16))" }
}

/// A message as it comes out of a mailbox.
public struct Letter<Element: Sendable>: Sendable {
  /// The process that sent it, as the connection proved it, not as the message claims.
  public let sender: UInt64
  /// What was sent.
  public let value: Element
}

/// A named, bounded queue that other processes put messages into.
///
/// ```swift
/// let inbox = try system.mailbox(named: "updates", of: Update.self, capacity: 16)
/// for await letter in inbox { apply(letter.value) }
/// ```
///
/// Messages of one sender that waits for each come out in its order. A full mailbox makes senders wait. A message that was put in
/// comes out exactly once, to one of those who receive. It lives until ``close()``, until nobody holds it, or until its system ends.
public final class Mailbox<Element: Codable & Sendable>: Sendable {
  /// Where to send to.
  public let address: MailboxAddress
  let queue: BoundedQueue<Letter<Element>>
  private let system: ByzActorSystem
  private let isOpen = Monitor(true)

  init(address: MailboxAddress, capacity: Int, system: ByzActorSystem) {
    self.address = address
    self.system = system
    queue = BoundedQueue(capacity: capacity)
  }

  deinit { close() }

  /// The next message, waiting for it; nil when the mailbox is closed and empty.
  ///
  /// A caller that is cancelled while it waits gets nil, and takes no message.
  public func receive() async -> Letter<Element>? { await queue.next() }

  /// Takes no more messages: senders that wait are told, and receivers get what is left.
  public func close() {
    let wasOpen = isOpen.withLock { isOpen in
      defer { isOpen = false }
      return isOpen
    }
    if wasOpen { system.state.withLock { $0.mailboxes[address.name] = nil } }
    queue.close()
  }

  /// It never had the name: another mailbox may have it.
  func forget() { isOpen.withLock { $0 = false } }
}

extension Mailbox: AsyncSequence {
  /// Receives until the mailbox is closed and empty.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let mailbox: Mailbox

    /// The next message.
    public func next() async -> Letter<Element>? { await mailbox.receive() }
  }

  /// Receives until the mailbox is closed and empty.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(mailbox: self) }
}
