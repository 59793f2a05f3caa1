import ByzTensor
import Foundation
import Testing

@Suite("Random streams")
struct RandomStreamTests {
  @Test("a stream gives the words of its key in order")
  func words() {
    var stream = RandomStream(RandomKey(5))
    let uniforms = (0..<9).map { _ in stream.uniform() }
    #expect(uniforms == RandomKey(5).uniforms(9))
  }

  @Test("bounded integers are pinned, in range and without bias")
  func integers() {
    var stream = RandomStream(RandomKey(5))
    #expect(
      (0..<8).map { _ in stream.integer(below: 1_000) } == [69, 965, 156, 119, 688, 199, 693, 944])
    var counts = [0, 0, 0]
    for _ in 0..<3_000 { counts[stream.integer(below: 3)] += 1 }
    #expect(counts.allSatisfy { (900...1_100).contains($0) })
    // 2⁶⁴ is 8/3 of this bound: were no word rejected, remainders 0, 1, 2 would appear 3 : 3 : 2.
    counts = [0, 0, 0]
    for _ in 0..<3_000 { counts[stream.integer(below: 3 << 61) % 3] += 1 }
    #expect(counts.allSatisfy { (900...1_100).contains($0) })
    #expect(stream.integer(below: 1) == 0)
  }

  @Test("gamma numbers have mean and variance equal to their shape", arguments: [0.3, 1, 4.5])
  func gamma(shape: Double) {
    var stream = RandomStream(RandomKey(11))
    let n = 4_000.0
    let x = (0..<4_000).map { _ in exp(stream.logGamma(shape: shape)) }
    let mean = x.reduce(0, +) / n
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
    // Five standard errors; the fourth central moment of a gamma number is 3·shape² + 6·shape.
    #expect(abs(mean - shape) < 5 * (shape / n).squareRoot())
    #expect(abs(variance - shape) < 5 * ((2 * shape * shape + 6 * shape) / n).squareRoot())
  }

  @Test(
    "Dirichlet parts sum to one, also where gamma numbers underflow",
    arguments: [1e-300, 0.001, 0.5, 1e6])
  func dirichlet(alpha: Double) {
    var stream = RandomStream(RandomKey(3))
    for _ in 0..<20 {
      let parts = stream.dirichlet(alpha: alpha, count: 7)
      #expect(parts.allSatisfy { $0 >= 0 })
      #expect(abs(parts.reduce(0, +) - 1) < 1e-12)
      if alpha < 1e-200 { #expect(parts.max() == 1) }
      if alpha > 1e5 { #expect(parts.allSatisfy { abs($0 - 1 / 7.0) < 0.01 }) }
    }
  }

  @Test("Dirichlet numbers are pinned")
  func pinned() {
    var stream = RandomStream(RandomKey(3))
    let bits = stream.dirichlet(alpha: 0.5, count: 3).map(\.bitPattern)
    #expect(
      bits == [4_590_468_520_413_655_535, 4_603_796_760_135_155_430, 4_598_991_912_310_007_223])
  }

  @Test("logarithm, exponential, power and cosine are those of the C library, to a few last places")
  func portableMath() {
    for step in 0...2000 {
      let x = Double(step) / 2000
      func expect(_ value: Double, _ other: Double, _ places: Double = 4) {
        #expect(abs(value - other) <= places * max(other.ulp, 0x1p-54), "\(x)")
      }
      expect(portableExp(-40 * x), exp(-40 * x))
      expect(portableLog(1 + 99 * x), log(1 + 99 * x))
      expect(portableCosine(x * .pi / 2), cos(x * .pi / 2))
      expect(portablePower(x, step % 9), pow(x, Double(step % 9)), 12)
    }
    #expect(portableExp(.nan).isNaN && portableLog(.nan).isNaN)
    #expect(portableExp(-.infinity) == 0 && portableExp(0) == 1 && portablePower(7, 0) == 1)
  }
}
