import ByzRuntime
import ByzTensor

/// The waits between attempts, one after another; nil when there are no more.
package struct BackOff: IteratorProtocol {
  private let policy: RetryPolicy
  private var random: RandomStream
  private var limit: Duration
  private var failures = 0

  package init(_ policy: RetryPolicy) {
    self.policy = policy
    random = RandomStream(RandomKey(policy.seed ?? .random(in: .min ... .max)))
    limit = min(policy.base, policy.cap)
  }

  package mutating func next() -> Duration? {
    failures += 1
    guard failures < policy.attempts else { return nil }
    defer { limit = min(limit * 2, policy.cap) }
    return limit * (0.5 + 0.5 * random.uniform())
  }
}
