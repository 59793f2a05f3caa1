import ByzTensor
import Testing

@Suite("Tensors")
struct TensorTests {
  @Test(
    "refuse extents that overflow, also beside a 0",
    arguments: [[0, 1 << 40, 1 << 40], [1 << 40, 1 << 40, 0]])
  func hugeExtents(shape: [Int]) {
    #expect(throws: TensorError.invalidShape(shape)) { try Tensor<Float>([], shape: shape) }
  }
}
