import ByzTensor
import Testing

@Suite("Arena state")
struct ArenaStateTests {
  @Test("blocks never overlap, are aligned, and fill the arena again when all are given back")
  func laws() {
    var random = Dice(state: 7)
    let size = 64 << 20
    var arena = ArenaState(byteCount: size, warmLimit: 4 << 20)
    var live: [Range<Int>] = []
    for step in 0..<3000 {
      if live.isEmpty || random.next(3) > 0 && step < 2500 {
        let wanted = random.next(8) == 0 ? random.next(6 << 20) : random.next(100_000)
        guard let start = arena.allocate(wanted) else { continue }
        let block = start..<start + max(wanted, 1)
        let alignment =
          wanted >= ArenaState.largeByteCount ? ArenaState.largeAlignment : ArenaState.alignment
        #expect(start % alignment == 0)
        #expect(block.upperBound <= size)
        #expect(!live.contains { $0.overlaps(block) })
        live.append(block)
      } else {
        let block = live.remove(at: random.next(live.count))
        if let range = arena.deallocate(block.lowerBound) {
          #expect(range.lowerBound % 4096 == 0 && range.upperBound % 4096 == 0)
          #expect(!live.contains { $0.overlaps(range) })
          arena.finishDiscarding(range)
        }
        #expect(arena.warmByteCount <= arena.warmLimit + (2 << 20))
      }
      #expect(arena.blockCount == live.count)
      #expect(arena.usedByteCount >= live.reduce(0) { $0 + $1.count })
    }
    for block in live {
      if let range = arena.deallocate(block.lowerBound) { arena.finishDiscarding(range) }
    }
    #expect(arena.usedByteCount == 0)
    let all = arena.allocate(size)
    #expect(all == 0)
  }

  @Test("a block takes memory that is warm before memory that is cold, even in a larger gap")
  func warmFirst() throws {
    var arena = ArenaState(byteCount: 300_032, warmLimit: 1 << 20)
    let (first, behind) = (arena.allocate(200_000), arena.allocate(1000))
    _ = arena.deallocate(try #require(first))
    let again = arena.allocate(50_000)
    #expect(again == first)
    #expect(arena.warmByteCount < 150_100)
    #expect(behind != nil)
  }

  @Test("the smallest gap that is large enough is taken")
  func bestFit() throws {
    var arena = ArenaState(byteCount: 1 << 20, warmLimit: 1 << 20)
    var blocks: [Int] = []
    for size in [10_000, 64, 4000, 64, 6000, 64] {
      let block = arena.allocate(size)
      blocks.append(try #require(block))
    }
    for index in [0, 2, 4] { _ = arena.deallocate(blocks[index]) }
    let (small, medium) = (arena.allocate(3900), arena.allocate(5000))
    #expect(small == blocks[2])
    #expect(medium == blocks[4])
  }

  @Test("what exceeds the bound of warm memory is discarded, and not given out meanwhile")
  func discard() throws {
    var arena = ArenaState(byteCount: 8 << 20, warmLimit: 1 << 20)
    let block = arena.allocate(8 << 20)
    let discarded = arena.deallocate(try #require(block))
    let range = try #require(discarded)
    #expect(range == 1 << 20..<8 << 20)
    let meanwhile = arena.allocate(2 << 20)
    #expect(meanwhile == nil)
    arena.finishDiscarding(range)
    #expect(arena.warmByteCount == 1 << 20)
    let all = arena.allocate(8 << 20)
    #expect(all == 0)
  }

  @Test("nothing is given out that is not there", arguments: [0, 63, 64, 4096])
  func full(size: Int) {
    var arena = ArenaState(byteCount: size, warmLimit: 0)
    let (tooLarge, negative, one) = (
      arena.allocate(size + 1), arena.allocate(-1), arena.allocate(1)
    )
    #expect(tooLarge == nil)
    #expect(negative == nil)
    #expect((one != nil) == (size >= 64))
  }
}

/// Pseudorandom numbers, the same in every run.
private struct Dice {
  var state: UInt64

  mutating func next(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }
}
