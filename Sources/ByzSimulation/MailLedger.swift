import ByzRuntime

/// What became of every letter, and whether that is what was promised.
final class MailLedger {
  /// What its sender was told.
  enum Outcome {
    case acknowledged, unknown, cancelled
    case refused(RuntimeError.Code)
  }

  struct Letter {
    /// Letters of one stream are sent one after another.
    let stream: Int
    let sender: UInt64
    let address: MailboxAddress
    /// How often it was put into its box, and taken out.
    var putCount = 0
    var takenCount = 0
    var outcome: Outcome?
  }

  /// Names no box.
  static let nobody = "nobody"

  private struct Lane: Hashable {
    var stream: Int
    var address: MailboxAddress
  }

  private unowned let world: World
  private(set) var letters: [Letter] = []
  private var lastTaken: [Lane: Int] = [:]

  init(in world: World) { self.world = world }

  /// A new letter; its number is greater than those before.
  func write(_ stream: Int, from sender: UInt64, to address: MailboxAddress) -> Int {
    letters.append(Letter(stream: stream, sender: sender, address: address))
    world.counts.letters += 1
    return letters.count - 1
  }

  func put(_ number: Int, into address: MailboxAddress, from sender: UInt64) {
    world.note("letter in", number)
    guard letters.indices.contains(number) else { return world.violate("A letter came unsent.") }
    letters[number].putCount += 1
    let letter = letters[number]
    if letter.address != address {
      world.violate("Letter \(number) is in another box than its own.")
    }
    if letter.sender != sender {
      world.violate("Letter \(number) names a sender that it is not of.")
    }
    if letter.putCount > 1 { world.violate("Letter \(number) was put in twice.") }
    check(letter, number)
  }

  func taken(_ number: Int) {
    world.note("letter out", number)
    world.counts.received += 1
    letters[number].takenCount += 1
    let letter = letters[number]
    if letter.takenCount > letter.putCount { world.violate("Letter \(number) came out twice.") }
    let lane = Lane(stream: letter.stream, address: letter.address)
    if let last = lastTaken[lane], last > number {
      world.violate("Letter \(number) came out after \(last), which was sent later.")
    }
    lastTaken[lane] = number
  }

  func ended(_ number: Int, _ outcome: Outcome) {
    world.note("letter ended", number)
    if letters[number].outcome != nil { world.violate("The sender was told twice of \(number).") }
    letters[number].outcome = outcome
    check(letters[number], number)
    switch outcome {
    case .acknowledged where letters[number].putCount == 0:
      world.violate("Letter \(number) was acknowledged, and is not in.")
    case .unknown:
      world.counts.unknown += 1
      if world.faults.isCalm {
        world.violate("Nobody knows of letter \(number) though nothing went wrong.")
      }
    case .refused(let code)
    where world.faults.isCalm && letters[number].address.name != Self.nobody:
      world.violate("Letter \(number) was refused though nothing went wrong: \(code)")
    default: break
    }
  }

  /// A letter that was refused or cancelled must not be in, whenever that shows.
  private func check(_ letter: Letter, _ number: Int) {
    guard letter.putCount > 0 else { return }
    switch letter.outcome {
    case .cancelled: world.violate("Letter \(number) is in though it was cancelled.")
    case .refused(let code): world.violate("Letter \(number) is in though it was refused: \(code)")
    case .acknowledged, .unknown, nil: break
    }
  }

  /// At the end: a box that is still there has given what it took.
  func finish(isThere: (MailboxAddress) -> Bool) {
    for (number, letter) in letters.enumerated()
    where letter.takenCount < letter.putCount && isThere(letter.address) {
      world.violate("Letter \(number) was put in, and never came out.")
    }
  }
}
