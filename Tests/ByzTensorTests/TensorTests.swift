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

  @Test("has at most 64 extents")
  func extents() throws {
    #expect(try TensorError.checkedCount(of: Array(repeating: 1, count: 64)) == 1)
    #expect(throws: TensorError.self) {
      try TensorError.checkedCount(of: Array(repeating: 1, count: 65))
    }
  }
}
