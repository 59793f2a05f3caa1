/// Values that live with the workers for many subtasks, such as the nodes of a training run; a subtask names one by its index.
///
/// Workers of this process see these very objects. A worker in another process is sent a copy of each that its subtasks ask for,
/// once, so a resident must not change in a way that its answers show; there its type must be `Codable` and in the ``Registry``.
/// Make one list and use it for all calls: another list is sent again.
public struct Residents: Sendable {
  let id: UInt64
  private let values: [Int: any Sendable]

  /// A list of values.
  public init(_ values: [any Sendable] = []) {
    self.init(
      id: .random(in: 1 ... .max),
      values: Dictionary(uniqueKeysWithValues: values.enumerated().map { ($0, $1) }))
  }

  init(id: UInt64, values: [Int: any Sendable]) {
    self.id = id
    self.values = values
  }

  /// The value at an index; nil when there is none.
  public subscript(index: Int) -> (any Sendable)? { values[index] }

  /// The indices, in order.
  var indices: [Int] { values.keys.sorted() }
}
