import CByzKernels
import Testing

@Suite("Convolution kernels", .serialized)
struct ConvolutionTests {
  /// A full tile and a rest in x, more rows than one gradient chain, and the first layer's single
  /// channel.
  static let shapes = [
    Shape(height: 2, width: 16, channels: 32, outputs: 32),
    Shape(height: 8, width: 2, channels: 32, outputs: 64),
    Shape(height: 4, width: 30, channels: 1, outputs: 32),
  ]

  @Test("pool the maximum of bias plus a naive convolution, and name its place", arguments: shapes)
  func forward(_ s: Shape) {
    let run = Run(s)
    for isa in variants {
      let (pooled, which) = run.pool(isa)
      for y in 0..<s.height / 2 {
        for x in 0..<s.width / 2 {
          for o in 0..<s.outputs {
            let window = (0..<4).map { run.response(2 * y + $0 / 2, 2 * x + $0 % 2, o) }
            let best = window.max()!
            let at = (y * (s.width / 2) + x) * s.outputs + o
            #expect(abs(Double(pooled[at]) - max(0, best)) < 1e-4)
            #expect(Int(which[at]) == (best > 0 ? window.firstIndex(of: best)! : 4))
          }
        }
      }
    }
  }

  @Test("give the gradients of a naive convolution", arguments: shapes)
  func backward(_ s: Shape) {
    let run = Run(s)
    for isa in variants {
      let r = run.differentiate(isa)
      func g(_ y: Int, _ x: Int, _ o: Int) -> Double {
        Double(r.unpooled[((y + 1) * (s.width + 2) + x + 1) * s.outputs + o])
      }
      var bias = [Double](repeating: 0, count: s.outputs)
      var weights = [Double](repeating: 0, count: 9 * s.channels * s.outputs)
      var input = [Double](repeating: 0, count: (s.height + 2) * (s.width + 2) * s.channels)
      for y in 0..<s.height {
        for x in 0..<s.width {
          for o in 0..<s.outputs where g(y, x, o) != 0 {
            bias[o] += g(y, x, o)
            for (k, c, weight, pixel) in run.taps(y, x, o) {
              weights[(k * s.channels + c) * s.outputs + o] += g(y, x, o) * Double(run.input[pixel])
              input[pixel] += g(y, x, o) * Double(run.weights[weight])
            }
          }
        }
      }
      #expect(distance(r.bias, bias) < 1e-5)
      #expect(distance(r.weights, weights) < 1e-5)
      if s.channels > 1 {
        let row = (s.width + 2) * s.channels
        let inside = (1...s.height).flatMap { y -> ArraySlice<Double> in
          input[(y * row + s.channels)..<((y + 1) * row - s.channels)]
        }
        #expect(distance(r.input, inside) < 1e-4)
      }
    }
  }

  @Test("give the same bits in every variant", arguments: shapes)
  func sameBits(_ s: Shape) {
    let run = Run(s)
    let (pooled, which) = run.pool(BYZ_PLAIN)
    let plain = run.differentiate(BYZ_PLAIN)
    for isa in variants {
      let other = run.pool(isa)
      #expect(haveSameBits(other.pooled, pooled))
      #expect(other.which == which)
      let result = run.differentiate(isa)
      for (a, b) in zip(plain.all, result.all) { #expect(haveSameBits(a, b)) }
    }
  }

  @Test("unpool the gradient to the place of the maximum alone")
  func unpools() {
    let s = Self.shapes[1]
    let run = Run(s)
    let which = run.pool(BYZ_PLAIN).which
    let unpooled = run.differentiate(BYZ_PLAIN).unpooled
    for (at, code) in which.enumerated() {
      let (pixel, o) = (at / s.outputs, at % s.outputs)
      let (y, x) = (pixel / (s.width / 2), pixel % (s.width / 2))
      let window = (0..<4).map {
        unpooled[((2 * y + $0 / 2 + 1) * (s.width + 2) + 2 * x + $0 % 2 + 1) * s.outputs + o]
      }
      #expect(window == (0..<4).map { $0 == Int(code) ? run.pooledGradient[at] : 0 })
    }
  }

  @Test("give a tie to the first pixel")
  func ties() {
    var run = Run(Shape(height: 2, width: 2, channels: 1, outputs: 32))
    run.weights = [Float](repeating: 0, count: run.weights.count)
    run.bias = [Float](repeating: 7, count: run.bias.count)
    for isa in variants {
      let (pooled, which) = run.pool(isa)
      #expect(pooled.allSatisfy { $0 == 7 } && which.allSatisfy { $0 == 0 })
    }
  }

  @Test("keep a NaN, wherever it is in the window")
  func notANumber() {
    let clean = Run(Shape(height: 6, width: 6, channels: 1, outputs: 32))
    // Each is seen by the filter at one corner of the middle window.
    for (y, x) in [(1, 1), (1, 4), (4, 1), (4, 4)] {
      var run = clean
      run.input[(y + 1) * 8 + x + 1] = .nan
      for isa in variants {
        let pooled = run.pool(isa).pooled
        #expect(pooled[4 * 32..<5 * 32].allSatisfy { $0.isNaN })
        #expect(pooled.contains { !$0.isNaN })
      }
    }
  }
}

// MARK: - One convolution on random numbers

struct Shape: Sendable, CustomTestStringConvertible {
  let height, width, channels, outputs: Int
  var testDescription: String { "\(height)×\(width), \(channels) → \(outputs)" }
}

private var variants: [byz_isa] { [BYZ_PLAIN, BYZ_AVX2, BYZ_AVX512].filter(byz_isa_available) }

/// As a function, so that a failure does not print thousands of numbers.
private func haveSameBits(_ a: [Float], _ b: [Float]) -> Bool {
  a.map(\.bitPattern) == b.map(\.bitPattern)
}

private func distance(_ a: [Float], _ b: [Double]) -> Double {
  a.count == b.count ? zip(a, b).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } : .infinity
}

private struct Run {
  let shape: Shape
  var input, weights, bias, pooledGradient: [Float]

  init(_ s: Shape) {
    shape = s
    var state: UInt32 = 1
    func draw(_ count: Int) -> [Float] {
      (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return Float(state >> 8) * 0x1p-23 - 1
      }
    }
    input = draw((s.height + 2) * (s.width + 2) * s.channels)
    for i in input.indices {
      let (y, x) = (i / s.channels / (s.width + 2), i / s.channels % (s.width + 2))
      if y == 0 || y > s.height || x == 0 || x > s.width { input[i] = 0 }
    }
    weights = draw(9 * s.channels * s.outputs)
    bias = draw(s.outputs)
    pooledGradient = draw(s.height / 2 * (s.width / 2) * s.outputs)
  }

  /// Filter place, channel, and the weight and pixel that meet there, for one output.
  func taps(_ y: Int, _ x: Int, _ o: Int) -> [(Int, Int, weight: Int, pixel: Int)] {
    (0..<9).flatMap { k in
      (0..<shape.channels).map { c in
        (
          k, c, (k * shape.channels + c) * shape.outputs + o,
          ((y + k / 3) * (shape.width + 2) + x + k % 3) * shape.channels + c
        )
      }
    }
  }

  func response(_ y: Int, _ x: Int, _ o: Int) -> Double {
    taps(y, x, o).reduce(Double(bias[o])) {
      $0 + Double(input[$1.pixel]) * Double(weights[$1.weight])
    }
  }

  func pool(_ isa: byz_isa) -> (pooled: [Float], which: [UInt8]) {
    let s = shape
    byz_isa_select(isa)
    var pooled = [Float](repeating: -1, count: pooledGradient.count)
    var which = [UInt8](repeating: 9, count: pooledGradient.count)
    byz_convolve_pool(
      input, s.height, s.width, s.channels, s.outputs, weights, bias, &pooled,
      s.width / 2 * s.outputs, &which)
    return (pooled, which)
  }

  struct Gradients {
    var unpooled, weights, bias, input: [Float]
    var all: [[Float]] { [unpooled, weights, bias, input] }
  }

  func differentiate(_ isa: byz_isa) -> Gradients {
    let s = shape
    let which = pool(isa).which
    func zeros(_ count: Int) -> [Float] { [Float](repeating: 0, count: count) }
    var r = Gradients(
      unpooled: zeros((s.height + 2) * (s.width + 2) * s.outputs), weights: zeros(weights.count),
      bias: zeros(s.outputs), input: zeros(s.height * s.width * s.channels))
    byz_unpool(pooledGradient, which, s.height, s.width, s.outputs, &r.unpooled, &r.bias)
    if s.channels == 1 {
      r.bias = zeros(s.outputs)
      byz_convolve_pool_weight_gradient(
        input, pooledGradient, which, s.height, s.width, s.outputs, &r.weights, &r.bias)
    } else {
      byz_convolve_weight_gradient(
        input, r.unpooled, s.height, s.width, s.channels, s.outputs, &r.weights)
      var transposed = zeros(weights.count)
      byz_convolve_transpose_weights(weights, s.channels, s.outputs, &transposed)
      byz_convolve(
        r.unpooled, s.height, s.width, s.outputs, s.channels, transposed, &r.input)
    }
    return r
  }
}
