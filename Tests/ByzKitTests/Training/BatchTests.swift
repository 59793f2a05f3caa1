import ByzKit
import ByzTensor
import Testing

@Suite("Batches")
struct BatchTests {
  @Test("need one label per input")
  func labels() {
    #expect(throws: ModelError.wrongLabelCount(inputs: 2, labels: 1)) {
      try Batch(inputs: Tensor(repeating: 0, shape: [2, 3]), labels: [1])
    }
  }

  @Test("give consecutive inputs with their labels and shape, also of a part")
  func parts() throws {
    let inputs = try Tensor<Float>((0..<24).map(Float.init), shape: [6, 2, 2])
    let batch = try Batch(inputs: inputs, labels: [0, 1, 2, 3, 4, 5])
    let part = batch[1..<5][1..<3]
    #expect(part.labels == [2, 3])
    #expect(part.inputs.shape == [2, 2, 2])
    #expect(part.inputs.elements == (8..<16).map(Float.init))
    let chosen = part.selecting([1, 0, 1])
    #expect(chosen.labels == [3, 2, 3])
    #expect(chosen.inputs.shape == [3, 2, 2])
    #expect(chosen.inputs.elements == [12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15])
  }
}
