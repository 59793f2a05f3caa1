/// How many answers are enough, and when one stops waiting for more.
public struct Quorum: Hashable, Sendable {
  /// How many subtasks must return.
  public var count: Int
  /// How long all are waited for; after that, `count` are enough. Nil waits for all.
  public var deadline: Duration?
  /// How long any are waited for; after that it is over, with fewer than `count` too. Nil for as long as they take: without it,
  /// subtasks that never end can keep the others waiting for a worker for ever.
  public var limit: Duration?

  /// Waits for all until `deadline`, then until `count` have returned, and for nothing beyond `limit`.
  public init(_ count: Int, deadline: Duration? = nil, limit: Duration? = nil) {
    self.count = count
    self.deadline = deadline
    self.limit = limit
  }
}

/// What came of a set of subtasks of which not all need to return.
public struct Gathering<Output: Sendable>: Sendable {
  /// What came of one subtask.
  public enum Outcome: Sendable {
    /// It returned in time.
    case returned(Output)
    /// It threw, or its worker was lost too often.
    case failed(any Error)
    /// It had not ended when no more was waited for.
    case late
  }

  /// In the order of the subtasks, whichever ended first.
  public let outcomes: [Outcome]

  package init(outcomes: [Outcome]) { self.outcomes = outcomes }

  /// The indices of the subtasks that returned, ascending.
  public var participants: [Int] {
    outcomes.indices.filter { if case .returned = outcomes[$0] { true } else { false } }
  }

  /// Refuses fewer than a quorum.
  func checked(for quorum: Quorum) throws(RuntimeError) -> Self {
    let arrived = participants.count
    guard arrived < quorum.count else { return self }
    let failures = outcomes.compactMap { if case .failed(let error) = $0 { error } else { nil } }
    let late = outcomes.count - arrived - failures.count
    throw RuntimeError(
      .quorumNotReached,
      "\(quorum.count) of \(outcomes.count) subtasks had to return, but \(failures.count) failed"
        + (late == 0 ? "." : " and \(late) had not ended in time."),
      cause: failures.first)
  }
}

extension Quorum {
  func validate(for count: Int) throws(RuntimeError) {
    guard (0...count).contains(self.count) else {
      throw RuntimeError(
        .invalidConfiguration,
        "A quorum of \(self.count) is not possible for \(count) subtasks.")
    }
  }
}

/// When a gathering is over: an event goes in, and whether it is comes out.
package struct GatherState {
  package enum Event {
    case returned
    case failed
    case deadlinePassed
    case limitPassed
  }

  private let count: Int
  private let quorum: Int
  private var returned = 0
  private var failed = 0
  private var isLate = false
  private var isOver = false

  package init(count: Int, quorum: Int) {
    self.count = count
    self.quorum = quorum
  }

  /// Whether nothing more is waited for: all have ended, enough have returned after the deadline,
  /// too many have failed for enough to return, or the limit has passed.
  package mutating func handle(_ event: Event) -> Bool {
    switch event {
    case .returned: returned += 1
    case .failed: failed += 1
    case .deadlinePassed: isLate = true
    case .limitPassed: isOver = true
    }
    return isOver || returned + failed == count || isLate && returned >= quorum
      || count - failed < quorum
  }
}
