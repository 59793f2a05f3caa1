import ByzTensor
import CByzKernels
import Foundation
import Testing

@Suite("Random keys")
struct RandomKeyTests {
  let key = RandomKey(0x0123_4567_89AB_CDEF)

  @Test(
    "Philox gives the known answers",
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [.max, .max, .max, .max], [.max, .max],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func knownAnswers(counter: [UInt32], key: [UInt32], expected: [UInt32]) {
    var words: [UInt32] = [0, 0, 0, 0]
    byz_philox(counter, key, &words)
    #expect(words == expected)
  }

  @Test("a uniform is the top bits of its Philox word")
  func uniformsFromWords() {
    let floats = Tensor<Float>(shape: [12]) { key.fillUniforms($0) }.elements
    let doubles = key.uniforms(6)
    for block in 0..<3 {
      var words: [UInt32] = [0, 0, 0, 0]
      byz_philox([UInt32(block), 0, 0, 0], [0x89AB_CDEF, 0x0123_4567], &words)
      for i in 0..<4 { #expect(floats[4 * block + i] == Float(words[i] >> 8) * 0x1p-24) }
      for i in 0..<2 {
        let joined = UInt64(words[2 * i + 1]) << 32 | UInt64(words[2 * i])
        #expect(doubles[2 * block + i] == Double(joined >> 11) * 0x1p-53)
      }
    }
  }

  @Test("a normal is the Box–Muller transform of its words")
  func normalsFromWords() {
    let doubles = key.normals(64)
    let floats = Tensor<Float>(shape: [128]) { key.fillNormals($0) }.elements
    for block in 0..<32 {
      var words: [UInt32] = [0, 0, 0, 0]
      byz_philox([UInt32(block), 0, 0, 0], [0x89AB_CDEF, 0x0123_4567], &words)
      for pair in [0, 2] {
        let (u, angle) = (Double(words[pair]), Int32(bitPattern: words[pair + 1] << 2))
        let (x, y) = boxMuller(
          u: (u + 0.5) * 0x1p-32, turn: (Double(angle) + 0.5) * 0x1p-34, top: words[pair + 1] >> 30)
        #expect(abs(Double(floats[4 * block + pair]) - x) < 2e-6)
        #expect(abs(Double(floats[4 * block + pair + 1]) - y) < 2e-6)
      }
      let u = Double(UInt64(words[1]) << 32 | UInt64(words[0]))
      let angle = UInt64(words[3] & 0xF_FFFF) << 32 | UInt64(words[2])
      let (x, y) = boxMuller(
        u: (u + 0.5) * 0x1p-64, turn: (Double(angle) + 0.5 - 0x1p51) * 0x1p-54, top: words[3] >> 30)
      #expect(abs(doubles[2 * block] - x) < 1e-14)
      #expect(abs(doubles[2 * block + 1] - y) < 1e-14)
    }
  }

  /// `turn`, within an eighth of a circle, spread by two bits: the first negates x, the second
  /// exchanges x and y.
  func boxMuller(u: Double, turn: Double, top: UInt32) -> (Double, Double) {
    let radius = (-2 * log(u)).squareRoot()
    let x = radius * cos(2 * .pi * turn) * (top >> 1 == 1 ? -1 : 1)
    let y = radius * sin(2 * .pi * turn)
    return top & 1 == 1 ? (y, x) : (x, y)
  }

  @Test("every kernel variant gives the pinned bits")
  func pinnedBits() {
    let before = KernelVariant.selected
    defer { before.select() }
    for variant in KernelVariant.allCases where variant.select() {
      let uniform32 = Tensor<Float>(shape: [10_007]) { key.fillUniforms($0) }
      let normal32 = Tensor<Float>(shape: [10_007]) {
        key.fillNormals($0, mean: 3, deviation: 0.25)
      }
      let uniform64 = Tensor<Double>(shape: [10_007]) { key.fillUniforms($0) }
      let normal64 = Tensor<Double>(shape: [10_007]) {
        key.fillNormals($0, mean: -2, deviation: 10)
      }
      #expect(digest(uniform32) == 16_130_624_473_517_153_575, "\(variant)")
      #expect(digest(normal32) == 1_285_096_445_930_216_197, "\(variant)")
      #expect(digest(uniform64) == 13_814_485_646_002_113_747, "\(variant)")
      #expect(digest(normal64) == 11_353_306_266_019_995_301, "\(variant)")
      #expect(normal32.elements[0].bitPattern == 1_078_051_544, "\(variant)")
      #expect(normal64.elements[0].bitPattern == 13_839_663_067_444_308_601, "\(variant)")
    }
  }

  /// FNV-1a of all bytes.
  func digest<Element>(_ tensor: Tensor<Element>) -> UInt64 {
    tensor.withUnsafeBufferPointer { elements in
      UnsafeRawBufferPointer(elements).reduce(0xCBF2_9CE4_8422_2325) { hash, byte in
        (hash ^ UInt64(byte)) &* 0x100_0000_01B3
      }
    }
  }

  @Test("any range holds the elements of the whole sequence")
  func ranges() {
    let before = KernelVariant.selected
    defer { before.select() }
    for variant in KernelVariant.allCases where variant.select() {
      let normals = Tensor<Float>(shape: [300]) { key.fillNormals($0) }.elements
      let uniforms = key.uniforms(300)
      for begin in [0, 1, 3, 63, 64, 65, 130] {
        for count in [0, 1, 2, 63, 64, 65, 128, 170] {
          let part = Tensor<Float>(shape: [count]) { key.fillNormals($0, from: begin) }
          #expect(part.elements == Array(normals[begin..<begin + count]), "\(variant)")
          let other = Tensor<Double>(shape: [count]) { key.fillUniforms($0, from: begin) }
          #expect(other.elements == Array(uniforms[begin..<begin + count]), "\(variant)")
        }
      }
    }
  }

  @Test("elements beyond 2³² blocks differ from the first ones")
  func highBlocks() {
    let far = Tensor<Float>(shape: [64]) { key.fillUniforms($0, from: 4 << 32) }
    #expect(far != Tensor<Float>(shape: [64]) { key.fillUniforms($0) })
  }

  @Test(
    "normals have the mean, the deviation and the distribution asked for",
    arguments: [
      (0, 1, 65_536, 0.01953125, 0.013810679, 0.0076171875),
      (3, 0.25, 40_000, 0.00625, 0.0044194174, 0.00975),
      (-2, 10, 10_001, 0.4999750, 0.3535357, 0.019499025),
    ])
  func distribution(
    mean: Double, deviation: Double, count: Int, meanBound: Double, deviationBound: Double,
    distanceBound: Double
  ) {
    let draw = Tensor<Float>(shape: [count]) {
      RandomKey(7).fillNormals($0, mean: mean, deviation: deviation)
    }
    let x = draw.elements.map(Double.init).sorted()
    let n = Double(count)
    let average = x.reduce(0, +) / n
    let variance = x.reduce(0) { $0 + ($1 - average) * ($1 - average) } / n
    #expect(abs(average - mean) < meanBound)
    #expect(abs(variance.squareRoot() - deviation) < deviationBound)
    var distance = 0.0
    for (i, value) in x.enumerated() {
      let p = erfc((mean - value) / deviation / 2.0.squareRoot()) / 2
      distance = max(distance, p - Double(i) / n, Double(i + 1) / n - p)
    }
    #expect(distance < distanceBound)
  }

  @Test("derived keys are pinned and all differ")
  func derivedKeys() {
    #expect(RandomKey(0).child(0).rawValue == 1_389_609_246_023_119_845)
    #expect(RandomKey(0).derived(for: "noise").rawValue == 5_110_825_724_772_582_756)
    #expect(key.derived(node: 3, round: 17, purpose: "noise").rawValue == 2_581_779_065_819_989_385)
    var seen: Set<RandomKey> = [key]
    for index in 0..<100 as Range<UInt64> { seen.insert(key.child(index)) }
    for purpose in ["", "a", "b", "ab", "ba", "noise"] { seen.insert(key.derived(for: purpose)) }
    #expect(seen.count == 107)
  }

  @Test("a permutation holds every index once, and every order of three is as frequent")
  func permutations() {
    #expect(key.permutation(of: 0) == [])
    #expect(key.permutation(of: 1) == [0])
    #expect(key.permutation(of: 10) == [6, 5, 9, 1, 0, 3, 8, 2, 4, 7])
    #expect(key.permutation(of: 500).sorted() == Array(0..<500))
    var counts: [[Int]: Int] = [:]
    for index in 0..<3_000 as Range<UInt64> {
      counts[key.child(index).permutation(of: 3), default: 0] += 1
    }
    #expect(counts.count == 6)
    // 500 expected, standard deviation 20.
    #expect(counts.values.allSatisfy { (400...600).contains($0) })
  }
}
