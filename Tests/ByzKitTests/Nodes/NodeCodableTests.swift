import ByzKit
import Foundation
import Testing

@Suite("Nodes and models that travel")
struct NodeCodableTests {
  private func copy<Value: Codable>(_ value: Value) throws -> Value {
    try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
  }

  @Test("an honest node gives the same gradients where it arrives")
  func honestNode() throws {
    let problem = try Peers()
    let node = try problem.honest(3)[1]
    let arrived = try copy(node)
    let parameters = problem.models(1)[0]
    #expect(arrived.name == "honest-1")
    for round in 0..<5 {
      let (a, b) = (
        try node.gradient(at: parameters, round: round),
        try arrived.gradient(at: parameters, round: round)
      )
      #expect(a.loss == b.loss && a.gradient.hasSameBits(as: b.gradient))
    }
  }

  @Test("the library's models arrive with their sizes")
  func models() throws {
    #expect(try copy(SoftmaxRegression(inputs: 5, classes: 3)).parameterCount == 18)
    let network = try copy(MultilayerPerceptron(inputs: 5, hidden: [4, 2], classes: 3))
    #expect(network.parameterCount == 24 + 10 + 9)
    #expect(try copy(ConvolutionalNetwork()).parameterCount == 421_642)
    #expect(throws: ModelError.invalidWidths([-1, 3])) {
      try JSONDecoder().decode(
        SoftmaxRegression.self,
        from: JSONEncoder().encode(ModelSpecification.softmaxRegression(inputs: -1, classes: 3)))
    }
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(
        SoftmaxRegression.self, from: JSONEncoder().encode(ModelSpecification.convolutionalNetwork))
    }
  }

  @Test("a node whose batches would take any amount of memory is refused on arrival")
  func scratch() throws {
    let inputs = Tensor<Float>(repeating: 0, shape: [40_000, 1])
    func node(batchSize: Int) throws -> HonestNode {
      try HonestNode(
        name: "wide", model: MultilayerPerceptron(inputs: 1, hidden: [20_000], classes: 2),
        data: Batch(inputs: inputs, labels: [Int](repeating: 0, count: 40_000)),
        batchSize: batchSize, key: RandomKey(0))
    }
    let limit = (4 << 30) / (4 * 40_002)
    #expect(try copy(node(batchSize: limit)).batchSize == limit)
    #expect(throws: ModelError.batchTooLarge(limit + 1, limit: limit)) {
      try copy(node(batchSize: limit + 1))
    }
  }

  private struct OwnModel: Model {
    let parameterCount = 1
    let inputCount = 1
    let classCount = 1
    func initialParameters(key: RandomKey) -> Tensor<Float> { [0] }
    func gradient(
      at parameters: Tensor<Float>, on batch: Batch, into gradient: inout Tensor<Float>,
      workspace: Workspace
    ) -> Float { 0 }
    func logits(
      at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace
    ) -> Tensor<Float> { inputs }
  }

  @Test("a node with a model of the user's says why it cannot be sent")
  func ownModel() throws {
    let node = try HonestNode(
      name: "own", model: OwnModel(), data: Batch(inputs: Tensor([1], shape: [1, 1]), labels: [0]),
      batchSize: 1, key: RandomKey(0))
    #expect(throws: ModelError.cannotBeSent(model: "OwnModel")) { try JSONEncoder().encode(node) }
  }

  @Test("batches are checked on arrival")
  func batches() throws {
    let batch = try Peers().data[0..<4]
    let arrived = try copy(batch)
    #expect(arrived.inputs == batch.inputs && arrived.labels == batch.labels)
    let text = try #require(String(data: JSONEncoder().encode(batch), encoding: .utf8))
    let broken = text.replacing("[0,1,2,0]", with: "[0,1,2]")
    #expect(throws: ModelError.wrongLabelCount(inputs: 4, labels: 3)) {
      try JSONDecoder().decode(Batch.self, from: Data(broken.utf8))
    }
  }

  @Test("what an optimizer remembers, and what a node sends, travel")
  func stateAndMessages() throws {
    let state = try copy(SGD.State(velocity: [1, 2], step: 7))
    #expect(state.velocity == [1, 2] && state.step == 7)
    let message = try copy(GossipMessage(round: 3, vector: [1, 2, 3]))
    #expect(message.round == 3 && message.vector == [1, 2, 3])
  }
}
