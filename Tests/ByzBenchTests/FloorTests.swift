import Testing
import byzkit_bench

@Suite("Floors of the benchmark")
struct FloorTests {
  private let rates = Rates(
    bytesRead: 10, bytesReadAgain: 20, bytesWritten: 5, multiplyAdds: 100, squaredDifferences: 50,
    minMax: 200,
    transcendentals: 1)

  @Test("take the time of what takes longest, with reading and writing one after the other")
  func longest() {
    let memory = rates.floor(
      of: Work(bytesRead: 20, bytesReadAgain: 20, bytesWritten: 5, multiplyAdds: 300))
    #expect(memory == Floor(seconds: 4, bound: .memory))
    let arithmetic = rates.floor(
      of: Work(bytesRead: 20, multiplyAdds: 300, squaredDifferences: 200, minMax: 600))
    #expect(arithmetic == Floor(seconds: 4, bound: .squaredDifference))
    #expect(rates.floor(of: Work(minMax: 1000, transcendentals: 4.5)).seconds == 5)
    #expect(rates.floor(of: Work(minMax: 600, transcendentals: 4)).bound == .transcendental)
  }

  @Test("count the minima and maxima that reach the wanted ranks, and no others")
  func operations() {
    // (0,2) (1,3) (0,1) (2,3) (1,2): the smallest needs three minima, the middle two all of the first four numbers.
    let four = SortingNetwork(4)
    #expect(four.exchanges.count == 5)
    #expect(four.operations(for: 0..<4) == 10)
    #expect(four.operations(for: [0]) == 3)
    #expect(four.operations(for: [1, 2]) == 8)
    #expect(four.operations(for: []) == 0)
    #expect(SortingNetwork(64).exchanges.count == 543)
  }

  @Test("come from networks that sort", arguments: [1, 2, 3, 5, 8, 13, 16, 31])
  func sorts(n: Int) {
    var numbers = (0..<n).map { ($0 * 7 + 3) % n }
    for (i, k) in SortingNetwork(n).exchanges where numbers[i] > numbers[k] {
      numbers.swapAt(i, k)
    }
    #expect(numbers == numbers.sorted())
  }

  @Test("count each rule's bytes and operations at a small size")
  func rules() {
    let shape = Shape(n: 4, d: 10, size: 8)
    #expect(
      Floors.mean(shape) == Work(bytesRead: 320, bytesWritten: 80, multiplyAdds: 40))
    #expect(
      Floors.distances(shape) == Work(bytesRead: 320, squaredDifferences: 60))
    // Distances of 4 vectors, then the mean of 3.
    #expect(
      Floors.selection(of: 3)(shape)
        == Work(
          bytesRead: 320, bytesReadAgain: 240, bytesWritten: 80, multiplyAdds: 30,
          squaredDifferences: 60))
    #expect(
      Floors.clipping(shape) == Work(bytesRead: 320, bytesWritten: 320, multiplyAdds: 80))
    // 2·1·3/4 = 1 vector is clipped.
    #expect(
      Floors.arc(f: 1)(shape)
        == Work(bytesRead: 320, bytesReadAgain: 80, bytesWritten: 80, multiplyAdds: 50))
    // Five exchanges sort four numbers.
    #expect(
      Floors.meanAroundMedian(f: 1)(shape)
        == Work(bytesRead: 320, bytesWritten: 80, multiplyAdds: 50, minMax: 120))
    // Two exchanges sort two halves; then the larger of one pair, and the smaller of another.
    #expect(
      Floors.trimmedMean(f: 1)(shape)
        == Work(bytesRead: 320, bytesWritten: 80, multiplyAdds: 20, minMax: 60))
    #expect(Floors.trimmedMean(f: 8)(Shape(n: 64, d: 1)).minMax == 780)
    #expect(Floors.median(Shape(n: 64, d: 1)).minMax == 828)
    #expect(
      Floors.bucketing(size: 3)(shape)
        == Work(bytesRead: 320, bytesWritten: 160, multiplyAdds: 40))
  }
}
