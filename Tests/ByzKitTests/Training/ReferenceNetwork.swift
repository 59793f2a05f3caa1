import Foundation

/// A naive twin of every model here, in double precision: plain loops, one input at a time, nothing
/// shared with the library.
struct ReferenceNetwork {
  enum Layer {
    /// 3×3 with a border of zeros; weights (3, 3, channels, outputs), then the bias.
    case convolution(height: Int, width: Int, channels: Int, outputs: Int)
    case pool(height: Int, width: Int, channels: Int)
    case relu
    /// Weights (inputs, outputs), then the bias.
    case dense(inputs: Int, outputs: Int)

    var parameterCount: Int {
      switch self {
      case .convolution(_, _, let channels, let outputs): (9 * channels + 1) * outputs
      case .dense(let inputs, let outputs): (inputs + 1) * outputs
      case .pool, .relu: 0
      }
    }
  }

  let layers: [Layer]

  static func perceptron(_ widths: [Int]) -> Self {
    var layers = zip(widths, widths.dropFirst()).flatMap {
      [Layer.dense(inputs: $0, outputs: $1), .relu]
    }
    layers.removeLast()
    return Self(layers: layers)
  }

  static func convolutional(size: Int, channels: (Int, Int, Int), hidden: Int, classes: Int) -> Self
  {
    let (c0, c1, c2) = channels
    let (half, quarter) = (size / 2, size / 4)
    return Self(layers: [
      .convolution(height: size, width: size, channels: c0, outputs: c1), .relu,
      .pool(height: size, width: size, channels: c1),
      .convolution(height: half, width: half, channels: c1, outputs: c2), .relu,
      .pool(height: half, width: half, channels: c2),
      .dense(inputs: quarter * quarter * c2, outputs: hidden), .relu,
      .dense(inputs: hidden, outputs: classes),
    ])
  }

  var parameterCount: Int { layers.reduce(0) { $0 + $1.parameterCount } }

  func logits(_ parameters: [Double], _ input: [Double]) -> [Double] {
    activations(parameters, input).last!
  }

  func loss(_ parameters: [Double], _ inputs: [[Double]], _ labels: [Int]) -> Double {
    gradientOrLoss(parameters, inputs, labels, differentiates: false).loss
  }

  func gradient(
    _ parameters: [Double], _ inputs: [[Double]], _ labels: [Int]
  ) -> (loss: Double, gradient: [Double]) {
    gradientOrLoss(parameters, inputs, labels, differentiates: true)
  }
}

// MARK: - One input

extension ReferenceNetwork {
  private func gradientOrLoss(
    _ parameters: [Double], _ inputs: [[Double]], _ labels: [Int], differentiates: Bool
  ) -> (loss: Double, gradient: [Double]) {
    var loss = 0.0
    var gradient = [Double](repeating: 0, count: differentiates ? parameters.count : 0)
    for (input, label) in zip(inputs, labels) {
      let values = activations(parameters, input)
      let exponentials = values.last!.map { exp($0) }
      let sum = exponentials.reduce(0, +)
      loss -= log(exponentials[label] / sum) / Double(labels.count)
      guard differentiates else { continue }
      var g = exponentials.enumerated().map {
        ($1 / sum - ($0 == label ? 1 : 0)) / Double(labels.count)
      }
      var end = parameters.count
      for (layer, x) in zip(layers, values).reversed() {
        end -= layer.parameterCount
        g = backward(layer, parameters, end, x, g, &gradient)
      }
    }
    return (loss, gradient)
  }

  /// The input and every layer's output.
  private func activations(_ parameters: [Double], _ input: [Double]) -> [[Double]] {
    var values = [input]
    var offset = 0
    for layer in layers {
      values.append(forward(layer, parameters, offset, values.last!))
      offset += layer.parameterCount
    }
    return values
  }

  private func forward(_ layer: Layer, _ p: [Double], _ at: Int, _ x: [Double]) -> [Double] {
    switch layer {
    case .relu: return x.map { max(0, $0) }
    case .pool(let height, let width, let channels):
      return windows(height, width, channels).map { window in window.map { x[$0] }.max()! }
    case .dense(let inputs, let outputs):
      var y = Array(p[(at + inputs * outputs)..<(at + (inputs + 1) * outputs)])
      for i in 0..<inputs {
        add(x[i], times: p, from: at + i * outputs, to: &y, from: 0, count: outputs)
      }
      return y
    case .convolution(let height, let width, let channels, let outputs):
      let bias = at + 9 * channels * outputs
      var y = (0..<height * width).flatMap { _ in p[bias..<bias + outputs] }
      forEachTap(height, width, channels) { pixel, weight, input in
        add(
          x[input], times: p, from: at + weight * outputs, to: &y, from: pixel * outputs,
          count: outputs)
      }
      return y
    }
  }

  /// Adds the layer's gradient and returns that of its input.
  private func backward(
    _ layer: Layer, _ p: [Double], _ at: Int, _ x: [Double], _ g: [Double],
    _ gradient: inout [Double]
  ) -> [Double] {
    var below = [Double](repeating: 0, count: x.count)
    switch layer {
    case .relu:
      for i in x.indices where x[i] > 0 { below[i] = g[i] }
    case .pool(let height, let width, let channels):
      for (i, window) in windows(height, width, channels).enumerated() {
        below[window.max { x[$0] < x[$1] }!] += g[i]
      }
    case .dense(let inputs, let outputs):
      for i in 0..<inputs {
        add(x[i], times: g, from: 0, to: &gradient, from: at + i * outputs, count: outputs)
        below[i] = dot(g, 0, p, at + i * outputs, outputs)
      }
      add(1, times: g, from: 0, to: &gradient, from: at + inputs * outputs, count: outputs)
    case .convolution(let height, let width, let channels, let outputs):
      forEachTap(height, width, channels) { pixel, weight, input in
        let (from, to) = (pixel * outputs, at + weight * outputs)
        add(x[input], times: g, from: from, to: &gradient, from: to, count: outputs)
        below[input] += dot(g, from, p, to, outputs)
      }
      for pixel in 0..<height * width {
        add(
          1, times: g, from: pixel * outputs, to: &gradient, from: at + 9 * channels * outputs,
          count: outputs)
      }
    }
    return below
  }

  /// The four inputs of each pooled value, in its order.
  private func windows(_ height: Int, _ width: Int, _ channels: Int) -> [[Int]] {
    (0..<height / 2 * (width / 2) * channels).map { i in
      let (pixel, c) = (i / channels, i % channels)
      let (y, x) = (pixel / (width / 2) * 2, pixel % (width / 2) * 2)
      return [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)].map {
        ($0.0 * width + $0.1) * channels + c
      }
    }
  }

  /// Calls `body` with the output pixel, the row of the weights and the input that meet.
  private func forEachTap(
    _ height: Int, _ width: Int, _ channels: Int, _ body: (Int, Int, Int) -> Void
  ) {
    for pixel in 0..<height * width {
      for k in 0..<9 {
        let (y, x) = (pixel / width + k / 3 - 1, pixel % width + k % 3 - 1)
        guard (0..<height).contains(y), (0..<width).contains(x) else { continue }
        for c in 0..<channels { body(pixel, k * channels + c, (y * width + x) * channels + c) }
      }
    }
  }

  private func add(
    _ factor: Double, times x: [Double], from: Int, to y: inout [Double], from start: Int,
    count: Int
  ) {
    // Most activations and gradients are zero after ReLU and pooling.
    if factor == 0 { return }
    var i = 0
    x.withUnsafeBufferPointer { x in
      y.withUnsafeMutableBufferPointer { y in
        while i < count {
          y[start + i] += factor * x[from + i]
          i += 1
        }
      }
    }
  }

  private func dot(_ x: [Double], _ i: Int, _ y: [Double], _ j: Int, _ count: Int) -> Double {
    var sum = 0.0
    var k = 0
    x.withUnsafeBufferPointer { x in
      y.withUnsafeBufferPointer { y in
        while k < count {
          sum += x[i + k] * y[j + k]
          k += 1
        }
      }
    }
    return sum
  }
}
