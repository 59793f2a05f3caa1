/// Eigenvalues of small symmetric matrices: Householder's reduction to tridiagonal form, then bisection for the largest one.
///
/// O(m³) for an m×m matrix, all of it in the reduction.
struct Tridiagonal {
  /// The diagonal, and the entries beside it: `beside[k]` couples k and k + 1.
  private var diagonal: [Double]
  private var beside: [Double]
  /// The reflections that made it, to turn eigenvectors back: `reflections[k]` acts on entries above k.
  private var reflections: [[Double]] = []

  /// Reduces `matrix`, m×m row-major and symmetric.
  init(_ matrix: [Double], count m: Int) {
    var a = matrix
    diagonal = []
    beside = []
    for k in 0..<m {
      diagonal.append(a[k * m + k])
      guard k + 1 < m else { break }
      // The reflection that clears column k below its first subdiagonal entry.
      var v = (k + 1..<m).map { a[$0 * m + k] }
      let norm = v.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard norm > 0 else {
        beside.append(0)
        reflections.append([])
        continue
      }
      let head = v[0] > 0 ? -norm : norm
      beside.append(head)
      v[0] -= head
      let squared = v.reduce(0) { $0 + $1 * $1 }
      guard squared > 0 else {
        reflections.append([])
        continue
      }
      let scale = (2 / squared).squareRoot()
      for i in v.indices { v[i] *= scale }
      // A ← (I - vvᵀ) A (I - vvᵀ) on the remaining block, by one symmetric rank-two update.
      a.withUnsafeMutableBufferPointer { a in
        v.withUnsafeBufferPointer { v in
          Self.reflect(a.baseAddress! + (k + 1) * m + (k + 1), stride: m, along: v)
        }
      }
      reflections.append(v)
    }
  }

  /// One symmetric rank-two update of a block of a matrix whose rows are `stride` numbers apart.
  private static func reflect(
    _ block: UnsafeMutablePointer<Double>, stride: Int, along v: UnsafeBufferPointer<Double>
  ) {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: v.count) { p in
      for i in v.indices {
        let row = UnsafeBufferPointer(start: block + i * stride, count: v.count)
        var sum = 0.0
        for j in v.indices { sum += row[j] * v[j] }
        p[i] = sum
      }
      var half = 0.0
      for i in v.indices { half += p[i] * v[i] }
      half /= 2
      for i in v.indices { p[i] -= half * v[i] }
      for i in v.indices {
        // Through buffers, so that the loop is checked once and vectorised.
        let row = UnsafeMutableBufferPointer(start: block + i * stride, count: v.count)
        let (vi, pi) = (v[i], p[i])
        for j in v.indices { row[j] -= vi * p[j] + pi * v[j] }
      }
    }
  }

  /// The largest eigenvalue, to rounding.
  func largestEigenvalue() -> Double {
    let m = diagonal.count
    // Gershgorin's circles hold all eigenvalues.
    var (low, high) = (-Double.infinity, -Double.infinity)
    for k in 0..<m {
      let radius = (k > 0 ? abs(beside[k - 1]) : 0) + (k < m - 1 ? abs(beside[k]) : 0)
      high = max(high, diagonal[k] + radius)
      low = max(low, diagonal[k])
    }
    // Four numbers at once take hardly longer than one, since their divisions run beside each other. 20 times bring a finite
    // interval down to 1e-14 of itself; halving does the rest.
    for _ in 0..<20 where high.isFinite {
      let tried = low + (high - low) * SIMD4(0.2, 0.4, 0.6, 0.8)
      let above = areAboveAll(tried)
      for k in 0..<4 {
        if above[k] {
          high = tried[k]
          break
        }
        low = tried[k]
      }
    }
    while true {
      let middle = low + (high - low) / 2
      guard middle > low, middle < high else { return high }
      if isAboveAll(middle) { high = middle } else { low = middle }
    }
  }

  /// Which λ exceed every eigenvalue.
  private func areAboveAll(_ λ: SIMD4<Double>) -> SIMDMask<SIMD4<Int64>> {
    diagonal.withUnsafeBufferPointer { diagonal in
      beside.withUnsafeBufferPointer { beside in
        var pivots = diagonal[0] - λ
        var above = pivots .< 0
        for k in 1..<max(1, diagonal.count) {
          pivots = diagonal[k] - λ - beside[k - 1] * beside[k - 1] / pivots
          above .&= pivots .< 0
        }
        return above
      }
    }
  }

  /// Whether λ exceeds every eigenvalue: all pivots of T - λ are negative.
  private func isAboveAll(_ λ: Double) -> Bool {
    var pivot = diagonal[0] - λ
    if pivot >= 0 { return false }
    for k in 1..<max(1, diagonal.count) {
      pivot = diagonal[k] - λ - beside[k - 1] * beside[k - 1] / pivot
      if pivot >= 0 { return false }
    }
    return true
  }

  /// The unit eigenvector of the largest eigenvalue, by inverse iteration.
  func largestEigenvector(_ eigenvalue: Double) -> [Double] {
    let m = diagonal.count
    let scale = max(abs(eigenvalue), diagonal.map(abs).max() ?? 0, .leastNormalMagnitude)
    var x = (0..<m).map { 1 + Double($0 % 7) / 16 }
    for _ in 0..<4 {
      x = solveShifted(eigenvalue + 1e-15 * scale, x)
      let norm = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard norm > 0, norm.isFinite else { return x.map { _ in 1 / Double(m).squareRoot() } }
      for i in x.indices { x[i] /= norm }
    }
    // Back through the reflections, last first.
    for (k, v) in reflections.enumerated().reversed() where !v.isEmpty {
      var dot = 0.0
      for i in v.indices { dot += v[i] * x[k + 1 + i] }
      for i in v.indices { x[k + 1 + i] -= dot * v[i] }
    }
    return x
  }

  /// (λ - T)⁻¹ x for a λ at or above all eigenvalues, where elimination needs no exchange of rows.
  private func solveShifted(_ λ: Double, _ x: [Double]) -> [Double] {
    let m = diagonal.count
    let tiny = 1e-300 + 1e-17 * abs(λ)
    var pivots = [Double](repeating: 0, count: m)
    var y = x
    pivots[0] = max(λ - diagonal[0], tiny)
    for k in 1..<max(1, m) {
      let factor = -beside[k - 1] / pivots[k - 1]
      pivots[k] = max(λ - diagonal[k] + factor * beside[k - 1], tiny)
      y[k] -= factor * y[k - 1]
    }
    y[m - 1] /= pivots[m - 1]
    for k in stride(from: m - 2, through: 0, by: -1) {
      y[k] = (y[k] + beside[k] * y[k + 1]) / pivots[k]
    }
    return y
  }
}
