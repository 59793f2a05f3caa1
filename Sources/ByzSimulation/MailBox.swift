import ByzRuntime

/// A mailbox: the production ``QueueState`` in virtual time, carried out as ``BoundedQueue`` carries it out.
final class MailBox {
  let address: MailboxAddress
  private let capacity: Int
  private unowned let world: World
  private let ledger: MailLedger
  private var queue: QueueState<Int>
  private var senders: [Int: (number: Int, from: UInt64, done: (Bool) -> Void)] = [:]
  private var receivers: [Int: (Int?) -> Void] = [:]
  private var nextWaiter = 0

  init(_ address: MailboxAddress, capacity: Int, _ ledger: MailLedger, in world: World) {
    self.address = address
    self.capacity = capacity
    self.ledger = ledger
    self.world = world
    queue = QueueState(capacity: world.plant == .capacityIgnored ? .max : capacity)
  }

  var isEmpty: Bool { queue.count == 0 && senders.isEmpty }
  var waitingCount: Int { queue.waitingCount }

  /// Puts a letter in, waiting for room; `done` is called once unless the wait is cancelled.
  func put(_ letter: Int, from sender: UInt64, done: @escaping (Bool) -> Void) -> Int {
    nextWaiter += 1
    senders[nextWaiter] = (letter, sender, done)
    carryOut(queue.put(letter, by: nextWaiter))
    return nextWaiter
  }

  /// Takes a letter, waiting for one; `done` is called once unless the wait is cancelled.
  func take(done: @escaping (Int?) -> Void) -> Int {
    nextWaiter += 1
    receivers[nextWaiter] = done
    carryOut(queue.take(by: nextWaiter))
    return nextWaiter
  }

  /// - Returns: whether it did wait, and has nothing.
  func cancelPut(_ waiter: Int) -> Bool {
    guard queue.cancel(waiter) else { return false }
    senders[waiter] = nil
    return true
  }

  /// - Returns: whether it did wait, and has nothing.
  func cancelTake(_ waiter: Int) -> Bool {
    if world.plant == .cancelledReceiverTakes {
      guard receivers[waiter] != nil else { return false }
      // What comes for it is lost.
      receivers[waiter] = { _ in }
      return true
    }
    guard queue.cancel(waiter) else { return false }
    receivers[waiter] = nil
    return true
  }

  func close() { carryOut(queue.close()) }

  private func carryOut(_ directives: [QueueState<Int>.Directive]) {
    // What was accepted is in before it can be out.
    for case .accept(let waiter) in directives {
      guard let sender = senders[waiter] else { continue }
      ledger.put(sender.number, into: address, from: sender.from)
    }
    if queue.count > capacity {
      world.violate("Box \(address) holds \(queue.count) letters and has room for \(capacity).")
    }
    for directive in directives {
      switch directive {
      case .give(let letter, let waiter):
        guard let receiver = receivers.removeValue(forKey: waiter) else {
          world.violate("Letter \(letter) was given to nobody.")
          continue
        }
        receiver(letter)
      case .accept(let waiter): senders.removeValue(forKey: waiter)?.done(true)
      case .refuse(let waiter):
        senders.removeValue(forKey: waiter)?.done(false)
        receivers.removeValue(forKey: waiter)?(nil)
      }
    }
  }
}
