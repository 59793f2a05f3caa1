/// The largest eigenvalue of a symmetric matrix and its unit vector, by Jacobi's rotations.
func topEigenpair(_ symmetric: [[Double]]) -> (value: Double, vector: [Double]) {
  var a = symmetric
  let n = a.count
  var v = (0..<n).map { i in (0..<n).map { $0 == i ? 1.0 : 0 } }
  for _ in 0..<60 {
    var off = 0.0
    for p in 0..<n {
      for q in p + 1..<max(n, p + 1) where a[p][q] != 0 {
        off += a[p][q] * a[p][q]
        let θ = (a[q][q] - a[p][p]) / (2 * a[p][q])
        let t = (θ < 0 ? -1 : 1) / (abs(θ) + (θ * θ + 1).squareRoot())
        let c = 1 / (t * t + 1).squareRoot()
        let s = t * c
        for k in 0..<n {
          (a[k][p], a[k][q]) = (c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q])
        }
        for k in 0..<n {
          (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k])
        }
        for k in 0..<n {
          (v[k][p], v[k][q]) = (c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q])
        }
      }
    }
    let diagonal = (0..<n).reduce(0) { $0 + a[$1][$1] * a[$1][$1] }
    if off <= 1e-32 * diagonal { break }
  }
  let top = (0..<n).max { a[$0][$0] < a[$1][$1] } ?? 0
  return (a[top][top], v.map { $0[top] })
}
