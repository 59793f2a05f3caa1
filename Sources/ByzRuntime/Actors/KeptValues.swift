/// What subtasks of one connection refer to. Of many sets the sixteen used last are kept, or fewer where they exceed the limits: a
/// caller whose set is gone is told, and sends it again.
package struct KeptValues: Sendable {
  private struct Kept {
    let id: UInt64
    var values: [UInt64: (value: any Sendable, byteCount: Int)] = [:]
    var byteCount = 0

    mutating func insert(_ value: any Sendable, _ byteCount: Int, at index: UInt64) {
      self.byteCount += byteCount - (values[index]?.byteCount ?? 0)
      values[index] = (value, byteCount)
    }
  }

  private static let capacity = 16
  /// The one used last is the last.
  private var sets: [Kept] = []

  package init() {}

  /// Keeps a value that took so many bytes to send.
  ///
  /// - Throws: ``RuntimeError/Code/limitExceeded`` when its set alone exceeds the limits; the set is gone then.
  package mutating func insert(
    _ value: any Sendable, byteCount: Int, set: UInt64, index: UInt64, limits: WireLimits
  ) throws(RuntimeError) {
    let position = sets.firstIndex { $0.id == set }
    var kept = position.map { sets.remove(at: $0) } ?? Kept(id: set)
    kept.insert(value, byteCount, at: index)
    guard kept.values.count <= limits.keptValues else {
      throw RuntimeError(
        .limitExceeded, "A peer may have \(limits.keptValues) values kept: WireLimits.keptValues.")
    }
    guard kept.byteCount <= limits.keptBytes else {
      throw RuntimeError(
        .limitExceeded, "A peer may have \(limits.keptBytes) bytes kept: WireLimits.keptBytes.")
    }
    sets.append(kept)
    while sets.count > Self.capacity || exceeds(limits) { sets.removeFirst() }
  }

  private func exceeds(_ limits: WireLimits) -> Bool {
    sets.reduce(0) { $0 + $1.values.count } > limits.keptValues
      || sets.reduce(0) { $0 + $1.byteCount } > limits.keptBytes
  }

  mutating func values(
    _ wanted: [SubtaskRequest.Resident]
  ) throws(RuntimeError) -> [Int: any Sendable] {
    var result: [Int: any Sendable] = [:]
    for resident in wanted {
      if let used = sets.firstIndex(where: { $0.id == resident.set }) {
        sets.append(sets.remove(at: used))
      }
      guard let set = sets.last, set.id == resident.set,
        let value = set.values[UInt64(resident.index)]?.value
      else { throw RuntimeError(.residentMissing, "\(resident.set)/\(resident.index)") }
      result[resident.index] = value
    }
    return result
  }
}

extension RuntimeError.Code {
  /// A subtask refers to a value that is not, or no longer, kept where it ran.
  static let residentMissing = RuntimeError.Code(wireName: "residentMissing")
}
