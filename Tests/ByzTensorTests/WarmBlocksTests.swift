import ByzTensor
import Testing

@Suite("Blocks that tensors have left")
struct WarmBlocksTests {
  private let mebibyte = 1 << 20

  private func block(_ byteCount: Int) -> WarmBlocks.Block {
    WarmBlocks.Block(address: .allocate(byteCount: byteCount, alignment: 64), byteCount: byteCount)
  }

  @Test("the last one that fits is taken, once, and none that is much larger")
  func take() throws {
    let blocks = WarmBlocks()
    let (first, second, large) = (block(2 * mebibyte), block(2 * mebibyte), block(8 * mebibyte))
    for block in [first, second, large] { blocks.leave(block) }
    #expect(blocks.take(3 * mebibyte) == nil)
    #expect(blocks.take(2 * mebibyte)?.address == second.address)
    let last = try #require(blocks.take(2 * mebibyte - 100_000))
    #expect(last.address == first.address && last.byteCount == 2 * mebibyte)
    #expect(blocks.take(2 * mebibyte) == nil)
    #expect(blocks.byteCount == 8 * mebibyte)
    blocks.leave(first)
    blocks.leave(second)
  }

  @Test("no more is kept than the limit, and nothing small")
  func limits() {
    let blocks = WarmBlocks()
    let size = WarmBlocks.limit / 4
    for _ in 0..<6 { blocks.leave(block(size)) }
    #expect(blocks.byteCount == WarmBlocks.limit)
    blocks.leave(block(WarmBlocks.limit + 64))
    blocks.leave(block(1000))
    #expect(blocks.byteCount == WarmBlocks.limit)
    #expect(blocks.take(1000) == nil)
  }

  @Test("tensors in memory that others have left have values of their own")
  func tensors() throws {
    let count = 3 << 20
    func address(_ tensor: Tensor<Float>) -> UnsafeRawPointer? {
      tensor.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) }
    }
    var tensors = (0..<3).map { Tensor(repeating: Float($0), shape: [count]) }
    #expect(Set(tensors.map(address)).count == 3)
    tensors.removeLast()
    tensors.append(Tensor(repeating: 7, shape: [count]))
    #expect(Set(tensors.map(address)).count == 3)
    #expect(
      zip(tensors, [0, 1, 7] as [Float]).allSatisfy { tensor, value in
        tensor.withUnsafeBufferPointer { $0.allSatisfy { $0 == value } }
      })
  }
}
