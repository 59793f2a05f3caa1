/// How often a pool replaces a worker that is lost, and how long it waits before it does.
///
/// The first replacement is made at once; if the worker ended with nothing to do, when work waits for one like it. Another within the
/// same period waits ``backOff``, and each one after that twice as long as the one before: a worker that cannot live is not started
/// again and again as fast as it dies. An attempt that fails counts as a replacement, and until one succeeds none is forgotten: a host
/// that answers nothing is given up, however long each attempt takes. A child that the pool itself ended, because it went on with a
/// subtask that was cancelled or overdue, is replaced at once, and its first replacement is not counted.
public struct RestartPolicy: Hashable, Sendable {
  /// The most replacements of one worker within ``within``; after that it stays lost. 0 for none.
  public var maxRestarts: Int
  /// The period in which replacements are counted.
  public var within: Duration
  /// How long the second replacement within the period waits.
  public var backOff: Duration

  /// At most `maxRestarts` replacements of one worker `within` any such period.
  public init(
    maxRestarts: Int = 3, within: Duration = .seconds(60), backOff: Duration = .milliseconds(100)
  ) {
    self.maxRestarts = maxRestarts
    self.within = within
    self.backOff = backOff
  }

  /// No replacement: a lost worker stays lost.
  public static let never = RestartPolicy(maxRestarts: 0)
}

/// The replacements of one worker so far: what its policy still allows. Times count from the
/// beginning of the pool.
package struct RestartBudget: Sendable {
  private let policy: RestartPolicy
  private var starts: [Duration] = []
  /// How often it was started again, successfully or not.
  private var attempts: UInt32 = 0

  package init(_ policy: RestartPolicy) { self.policy = policy }

  /// When and as which life of the worker to start it again; nil when the policy forbids it.
  ///
  /// - Parameters:
  ///   - wasGivenUp: whether the pool ended the worker, and has not tried to replace it.
  ///   - afterFailure: whether the attempt before has failed.
  package mutating func next(
    at now: Duration, wasGivenUp: Bool = false, afterFailure: Bool = false
  ) -> (delay: Duration, epoch: UInt32)? {
    if !afterFailure { starts.removeAll { $0 + policy.within <= now } }
    if wasGivenUp, policy.maxRestarts > 0 {
      attempts += 1
      return (.zero, attempts)
    }
    guard starts.count < policy.maxRestarts else { return nil }
    var delay = Duration.zero
    for count in starts.indices {
      delay = count == 0 ? policy.backOff : min(delay * 2, policy.within)
    }
    starts.append(now + delay)
    attempts += 1
    return (delay, attempts)
  }
}
