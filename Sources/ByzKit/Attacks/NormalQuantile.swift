#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Φ⁻¹(p), the quantile of the standard normal distribution, for 0 < p < 1: to about 1e-15, by Newton's method with Halley's
/// correction on Φ(z) = erfc(-z/√2)/2.
func normalQuantile(_ p: Double) -> Double {
  precondition(p > 0 && p < 1)
  // By symmetry only the lower half, where erfc does not cancel.
  if p > 0.5 { return -normalQuantile(1 - p) }
  var z = -(max(0, -2 * log(2 * p))).squareRoot()
  for _ in 0..<50 {
    let error = erfc(-z / 2.0.squareRoot()) / 2 - p
    let density = exp(-z * z / 2) / (2 * Double.pi).squareRoot()
    let newton = error / density
    let step = newton / (1 + z * newton / 2)
    z -= step
    if abs(step) <= 1e-16 * max(1, abs(z)) { break }
  }
  return z
}
