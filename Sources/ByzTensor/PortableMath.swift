// Logarithm, exponential, power and cosine from arithmetic alone, so that random draws and training are the same bits on every
// platform; the C library's are not. All are within a few units in the last place.

/// log x for a positive normal number: x = m·2ᵉ with √½ ≤ m < √2, log m = 2 atanh((m - 1)/(m + 1)).
///
/// NaN gives NaN.
package func portableLog(_ x: Double) -> Double {
  var m = x.significand
  var e = Double(x.exponent)
  if m > 2.0.squareRoot() {
    m /= 2
    e += 1
  }
  let s = (m - 1) / (m + 1)
  let z = s * s
  var p = 0.0
  for k in stride(from: 23, through: 3, by: -2) { p = (2 / Double(k)).addingProduct(p, z) }
  return (2 * s).addingProduct(s * z, p).addingProduct(e, 0x1.62e4_2fef_a39efp-1)
}

/// exp x for x ≤ 0, by Taylor's series after x = k·log 2 + r with |r| ≤ ½ log 2. Zero below -708; NaN gives NaN.
package func portableExp(_ x: Double) -> Double {
  guard x > -708 else { return x.isNaN ? x : 0 }
  let k = (x * 0x1.7154_7652_b82fep+0).rounded()
  // log 2 in two parts, the first short enough for k times it to be exact.
  let r = x.addingProduct(-k, 0x1.62e4_2fee_00000p-1).addingProduct(-k, 0x1.a39e_f357_93c76p-33)
  var sum = 1.0
  for n in stride(from: 14, through: 1, by: -1) { sum = 1 + sum * r / Double(n) }
  return sum * Double(sign: .plus, exponent: Int(k), significand: 1)
}

/// xᵏ for k ≥ 0, by squaring.
package func portablePower(_ x: Double, _ k: Int) -> Double {
  var (power, square, rest) = (1.0, x, k)
  while rest > 0 {
    if rest & 1 == 1 { power *= square }
    square *= square
    rest >>= 1
  }
  return power
}

/// cos x for 0 ≤ x ≤ ½π, by Taylor's series.
package func portableCosine(_ x: Double) -> Double {
  var sum = 1.0
  for n in stride(from: 24, through: 2, by: -2) { sum = 1 - sum * x * x / Double(n * (n - 1)) }
  return sum
}
