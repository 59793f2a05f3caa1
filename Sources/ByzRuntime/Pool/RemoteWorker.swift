/// A worker in another process: subtasks travel to it with the part of their operands that they touch.
package final class RemoteWorker: Worker {
  package let name: String
  private let peer: Peer
  private let system: ByzActorSystem
  /// What the other side has been sent to keep.
  private let sent = Monitor(Set<SubtaskRequest.Resident>())

  package init(name: String, peer: Peer, system: ByzActorSystem) {
    self.name = name
    self.peer = peer
    self.system = system
  }

  package var isStarted: Bool { true }

  package func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output {
    do {
      return try await ask(subtask, operands)
    } catch let error as RuntimeError where error.code == .residentMissing {
      // The other side has made room for other lists.
      sent.withLock { $0 = [] }
      return try await ask(subtask, operands)
    }
  }

  private func ask<S: Subtask>(_ subtask: S, _ operands: Operands) async throws -> S.Output {
    let residents = (subtask as? any FootprintSubtask)?.residents ?? operands.residents.indices
    for index in residents { try await keep(index, of: operands.residents) }
    let (value, segments) = try SubtaskRequest.encode(subtask, operands)
    let answer = try await system.call(peer, .subtask(value), segments: segments)
    return try SubtaskRequest.finish(subtask, operands, answer: answer, system: system)
  }

  private func keep(_ index: Int, of residents: Residents) async throws {
    let key = SubtaskRequest.Resident(set: residents.id, index: index)
    guard !sent.withLock({ $0.contains(key) }) else { return }
    guard let resident = residents[index] else {
      throw RuntimeError(.unknownTarget, "There is no resident \(index).")
    }
    guard let value = resident as? any Encodable else {
      throw RuntimeError(
        .unknownTarget,
        "\(type(of: resident)) lives with the workers of \(name), so it must be Codable and in the registry.")
    }
    var encoder = WireEncoder()
    let encoded = try encoder.encode(value)
    let request = Service.keep(
      set: residents.id, index: UInt64(index), type: Registry.name(of: type(of: resident)),
      value: encoded)
    _ = try await system.call(peer, request, segments: encoder.segments)
    sent.withLock { _ = $0.insert(key) }
  }

  package func stop() async { await peer.close() }
}

extension LinkBackend {
  /// Opens a connection and waits until the other side has said hello.
  public func makeWorker(named name: String) async throws -> any Worker {
    let system = ByzActorSystem(registry: Registry())
    return RemoteWorker(
      name: name, peer: try await system.connect(to: self, named: name), system: system)
  }
}
