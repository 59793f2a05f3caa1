import ByzKit
import Foundation

/// The convolutional network's loss in double precision, by its definition.
enum ReferenceNetwork {
  static let key = RandomKey(1)
  static func labels(_ count: Int) -> [Int] { (0..<count).map { $0 * 7 % 10 } }

  /// Where each block of the parameter vector ends: filters, biases, layers.
  private static let blocks = [0, 288, 320, 18_752, 18_816, 420_224, 420_352, 421_632, 421_642]

  /// The greater relative error of a loss and of its gradient, along one random direction for each
  /// block of parameters.
  static func error(loss: Double, gradient: [Double], on images: [[Double]]) -> Double {
    let parameters = ConvolutionalNetwork().initialParameters(key: key).elements.map(Double.init)
    var error = abs(loss - self.loss(parameters, images)) / loss
    for (start, end) in zip(blocks, blocks.dropFirst()) {
      let direction = key.child(UInt64(start)).normals(end - start)
      // So short that hardly a pixel crosses a kink of ReLU or pooling on the way.
      let step = 1e-8
      let moved = [-step, step].map { step in
        var parameters = parameters
        for (j, z) in zip(start..<end, direction) { parameters[j] += step * z }
        return self.loss(parameters, images)
      }
      let slope = (moved[1] - moved[0]) / (2 * step)
      let block = Array(gradient[start..<end])
      let found = Reference.dot(block, direction)
      // A direction may happen to be flat: then the gradient's length is the measure.
      error = max(error, abs(found - slope) / max(abs(slope), Reference.norm(block)))
    }
    return error
  }

  private static func loss(_ parameters: [Double], _ images: [[Double]]) -> Double {
    let part = { (k: Int) in Array(parameters[blocks[k]..<blocks[k + 1]]) }
    let weights = (0..<8).map(part)
    var sum = 0.0
    for (image, label) in zip(images, labels(images.count)) {
      let first = convolve(image, size: 28, channels: 1, weights[0], weights[1])
      let features = convolve(first, size: 14, channels: 32, weights[2], weights[3])
      let hidden = layer(features, weights[4], weights[5]).map { max(0, $0) }
      let logits = layer(hidden, weights[6], weights[7])
      let largest = logits.max() ?? 0
      sum += largest + log(logits.reduce(0) { $0 + exp($1 - largest) }) - logits[label]
    }
    return sum / Double(images.count)
  }

  /// x·weights + bias, with weights (inputs, outputs).
  private static func layer(_ x: [Double], _ weights: [Double], _ bias: [Double]) -> [Double] {
    var out = bias
    for (i, value) in x.enumerated() {
      for o in out.indices { out[o] += value * weights[i * out.count + o] }
    }
    return out
  }

  /// 3×3 with a border of zeros, ReLU, and the maximum of each 2×2 window; channels last.
  private static func convolve(
    _ image: [Double], size: Int, channels: Int, _ weights: [Double], _ bias: [Double]
  ) -> [Double] {
    let outputs = bias.count
    var pooled = [Double](repeating: 0, count: size / 2 * (size / 2) * outputs)
    for y in 0..<size {
      for x in 0..<size {
        var sum = bias
        for (ky, kx) in (0..<9).map({ ($0 / 3, $0 % 3) }) {
          let (from, at) = (y + ky - 1, x + kx - 1)
          guard (0..<size).contains(from), (0..<size).contains(at) else { continue }
          for c in 0..<channels {
            let value = image[(from * size + at) * channels + c]
            let row = ((ky * 3 + kx) * channels + c) * outputs
            for o in 0..<outputs { sum[o] += value * weights[row + o] }
          }
        }
        // The windows start at 0, which is ReLU.
        let window = (y / 2 * (size / 2) + x / 2) * outputs
        for o in 0..<outputs { pooled[window + o] = max(pooled[window + o], sum[o]) }
      }
    }
    return pooled
  }
}
