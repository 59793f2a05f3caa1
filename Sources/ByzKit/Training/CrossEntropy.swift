import ByzTensor

/// The mean cross-entropy of softmax over classes, the loss of every model here.
///
/// ```
/// loss = 1/B Σᵢ (log Σₖ exp zᵢₖ - zᵢ,label)      ∂loss/∂zᵢₖ = (softmax(zᵢ)ₖ - [k = label]) / B
/// ```
///
/// Each row is shifted by its maximum, so no exponential overflows, and computed in double
/// precision, with no function of the C library: bits are the same everywhere. A NaN logit makes the loss NaN.
enum CrossEntropy {
  /// Returns the mean loss of logits (B, classes) and replaces them by its gradient. Requires valid
  /// labels and B > 0.
  static func differentiate<Element: TensorElement>(
    _ logits: UnsafeMutablePointer<Element>, labels: [Int], classes: Int
  ) -> Element {
    var total = 0.0
    let scale = 1 / Double(labels.count)
    var exponentials = [Double](repeating: 0, count: classes)
    for (row, label) in labels.enumerated() {
      let z = logits + row * classes
      let greatest = (0..<classes).reduce(-Double.infinity) { max($0, Double(z[$1])) }
      var sum = 0.0
      for k in 0..<classes {
        exponentials[k] = portableExp(Double(z[k]) - greatest)
        sum += exponentials[k]
      }
      total += portableLog(sum) - (Double(z[label]) - greatest)
      for k in 0..<classes {
        let target = k == label ? 1.0 : 0
        z[k] = Element((exponentials[k] / sum - target) * scale)
      }
    }
    return Element(total * scale)
  }
}
