import ByzKit

/// When an output passes: shapes agree and, element by element, a finite expectation is met within
/// `atol + rtol·|want|`, an infinite one exactly, and NaN by anything that is not finite.
struct Comparison {
  let expected: Tensor<Double>
  let rtol: Double
  let atol: Double

  /// The first disagreement, in words; nil when the output passes.
  func discrepancy<Element>(_ output: Tensor<Element>) -> String? {
    guard output.shape == expected.shape else {
      return "the output has shape \(output.shape), expected \(expected.shape)"
    }
    for (i, (got, want)) in zip(output.elements, expected.elements).enumerated() {
      guard !passes(Double(got), want) else { continue }
      let tolerance = want.isFinite ? " ± \(atol + rtol * want.magnitude)" : ""
      return "element \(i) is \(got), expected \(want)\(tolerance)"
    }
    return nil
  }

  private func passes(_ got: Double, _ want: Double) -> Bool {
    if want.isNaN { return !got.isFinite }
    if want.isInfinite { return got == want }
    return (got - want).magnitude <= atol + rtol * want.magnitude
  }
}
