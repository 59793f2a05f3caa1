import ByzKit
import ByzRuntime
import ByzTensor
import ByzWorkerSupport
import Testing

@Suite("A cluster of processes")
struct RemoteClusterTests {
  private let backend = RemoteCluster([ProcessBackend(running: KitWorker.self)])

  private func plan(deadline: Duration = .seconds(60)) throws -> ClusterPlan {
    let peers = try Peers()
    let honest = try peers.honest(4).map {
      ParticipantSpecification(
        .honest($0), aggregator: "trimmedMean:f=1", optimizer: peers.optimizer)
    }
    let liar = ParticipantSpecification(
      .byzantine(name: "liar", attack: "empire:scale=-5", own: nil, key: peers.key),
      aggregator: "trimmedMean:f=1", optimizer: peers.optimizer)
    return ClusterPlan(
      try (honest + [liar]).map(Participant.init), topology: try .complete(5),
      models: peers.equalModels(5), deadline: deadline)
  }

  @Test("learns bit for bit what nodes in one process learn, run after run")
  func bits() async throws {
    let plan = try plan()
    func train(on backend: some ClusterBackend) async throws -> [Tensor<Float>?] {
      try await withCluster(plan, on: backend) { (cluster) async throws -> [Tensor<Float>?] in
        for rounds in [3, 2] {
          for result in try await cluster.run(rounds: rounds) {
            #expect(try result.get().count == rounds)
          }
        }
        #expect(cluster.lettersPassedOn == 0)
        return try await cluster.models()
      }
    }
    let expected = try await train(on: .inProcess).compactMap(\.self)
    let actual = try await train(on: backend).compactMap(\.self)
    #expect(expected.count == 5)
    let isSame = sameBits(actual, expected)
    #expect(isSame)
  }

  @Test("refuses a participant that another process could not make")
  func unspecified() async throws {
    let peers = try Peers()
    let plan = ClusterPlan(
      try peers.participants(honest: 3, rule: .median), topology: try .complete(3),
      models: peers.equalModels(3))
    await #expect(throws: PeerToPeerError.notSpecified(node: 0)) {
      try await withCluster(plan, on: backend) { _ in }
    }
  }
}
