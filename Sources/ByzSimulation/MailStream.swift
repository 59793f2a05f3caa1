import ByzRuntime

/// Sends letters one after another: each waits until it is known what became of the one before.
final class MailStream {
  private let number: Int
  unowned let node: MailNode
  private unowned let shell: MailShell
  private var left: Int
  /// Where most of its letters go.
  private var favorite: MailboxAddress?
  private var underway: [Int: Delivery] = [:]

  init(_ number: Int, of node: MailNode, count: Int, in shell: MailShell) {
    self.number = number
    self.node = node
    self.shell = shell
    left = count
  }

  var isDone: Bool { !node.isThere || left == 0 && underway.isEmpty }

  /// Its process is asked for nothing more.
  func cancel() {
    left = 0
    for letter in underway.keys.sorted() { underway[letter]?.cancel() }
  }

  func next() {
    guard left > 0, !node.hasEnded else { return }
    left -= 1
    let world = shell.world
    if favorite == nil || world.chance(0.1) { favorite = shell.randomAddress(for: node) }
    var addresses = world.chance(0.7) ? [favorite ?? shell.randomAddress(for: node)] : []
    while addresses.isEmpty || world.chance(0.2) {
      addresses.append(shell.randomAddress(for: node))
    }
    // To several at once, of which each gets one.
    var seen: Set<MailboxAddress> = []
    let letters = addresses.filter { seen.insert($0).inserted }.map { address in
      (address, shell.ledger.write(number, from: node.name, to: address))
    }
    for (address, letter) in letters { send(letter, to: address) }
  }

  private func send(_ letter: Int, to address: MailboxAddress, isCopy: Bool = false) {
    let world = shell.world
    world.note("letter", letter)
    let delivery = Delivery { [unowned self] result in
      // As the task goes on that waited, some time later.
      node.after(0) { [unowned self] in ended(letter, result, address, isCopy: isCopy) }
    }
    underway[letter] = delivery
    node.forward(.unsigned(UInt64(letter)), from: node.name, to: address, delivery)
    guard world.chance(0.1) else { return }
    node.after(world.pick(0...60_000)) { delivery.cancel() }
  }

  private func ended(
    _ letter: Int, _ result: Result<WireValue, any Error>, _ address: MailboxAddress, isCopy: Bool
  ) {
    let outcome = outcome(result)
    if case .unknown = outcome, shell.world.plant == .unknownSentAgain, !isCopy, !node.hasEnded {
      return send(letter, to: address, isCopy: true)
    }
    underway[letter] = nil
    shell.ledger.ended(letter, outcome)
    guard underway.isEmpty else { return }
    let pause = shell.world.chance(0.3) ? 0 : shell.world.pick(0...20_000)
    node.after(pause) { [unowned self] in next() }
  }

  private func outcome(_ result: Result<WireValue, any Error>) -> MailLedger.Outcome {
    switch result {
    case .success: return .acknowledged
    case .failure(is CancellationError): return .cancelled
    case .failure(let error as RuntimeError) where error.code == .deliveryUnknown: return .unknown
    case .failure(let error as RuntimeError): return .refused(error.code)
    case .failure:
      shell.world.violate("A sender was told what no part of the mail says.")
      return .unknown
    }
  }
}
