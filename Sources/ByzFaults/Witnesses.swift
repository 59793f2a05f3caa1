import ByzRuntime

/// Objects that a run makes, and that nothing keeps after it: a task of its that waits for ever would keep one.
final class Witnesses: Sendable {
  private struct Reference: Sendable {
    weak let object: (any AnyObject & Sendable)?
  }

  private let references = Monitor<[Reference]>([])

  func watch(_ object: any AnyObject & Sendable) {
    references.withLock { $0.append(Reference(object: object)) }
  }

  /// How many are still there.
  var living: Int { references.withLock { $0.count { $0.object != nil } } }
}
