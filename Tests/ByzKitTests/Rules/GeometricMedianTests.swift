import ByzKit
import ByzTensor
import Foundation
import Testing

@Suite("Geometric median")
struct GeometricMedianTests {
  private func median(_ rows: [[Double]]) throws -> [Double] {
    let double = try GeometricMedian().aggregate(rows.tensors(as: Double.self)).elements
    let float = try GeometricMedian().aggregate(rows.tensors(as: Float.self)).doubles
    #expect(zip(float, double).allSatisfy { abs($0 - $1) < 3e-4 }, "\(float) instead of \(double)")
    return double
  }

  @Test("An even number of points on a line gives the midpoint of the two in the middle")
  func evenLine() throws {
    #expect(try median([[0, 0], [4, 8], [1, 2], [100, 200]]) == [2.5, 5])
    #expect(try median([[3], [1], [2], [10]]) == [2.5])
    #expect(try median([[1, 1], [2, 2]]) == [1.5, 1.5])
    // The two in the middle are one point.
    #expect(try median([[0, 0], [1, 1], [1, 1], [9, 9]]) == [1, 1])
  }

  @Test("An odd number of points on a line gives the one in the middle, exactly")
  func oddLine() throws {
    #expect(try median([[0, 0], [4, 8], [1, 2]]) == [1, 2])
    #expect(try median([[7]]) == [7])
  }

  @Test("A point that the others cannot pull away is returned exactly")
  func optimalPoint() throws {
    // The four corners of a square pull its centre equally.
    #expect(try median([[1, 1], [-1, 1], [0.125, 0.25], [1, -1], [-1, -1]]) != [0, 0])
    #expect(try median([[1, 1], [-1, 1], [0, 0], [1, -1], [-1, -1]]) == [0, 0])
    // A majority at one point.
    #expect(try median([[3, 4], [3, 4], [3, 4], [100, 0], [0, 100]]) == [3, 4])
    // A triangle whose angle at the first corner is 120° and more.
    #expect(try median([[0, 0], [1, 0], [-1, 0.25]]) == [0, 0])
  }

  @Test(
    "A point that the others pull with just its own strength is returned exactly, however they lie")
  func borderlinePoint() throws {
    for k in 0..<20 {
      let (angle, third) = (0.3 * Double(k), 2 * Double.pi / 3)
      let corner = [0.7 * Double(k), -0.2]
      let others = [angle, angle + third].map { [corner[0] + cos($0), corner[1] + sin($0)] }
      #expect(
        try GeometricMedian().aggregate(([corner] + others).tensors(as: Double.self)).elements
          == corner)
    }
  }

  @Test("The corners of a regular triangle meet in its centre")
  func triangle() throws {
    let result = try median([[0, 0], [1, 0], [0.5, 3.0.squareRoot() / 2]])
    #expect(abs(result[0] - 0.5) < 1e-7 && abs(result[1] - 3.0.squareRoot() / 6) < 1e-7)
  }

  @Test("A minimiser very near to a vector is not mistaken for it", arguments: [1e-2, 1e-3, 1e-4])
  func nearVector(_ excess: Double) throws {
    // Three unit pulls on the origin; their sum is 1 + excess, so the minimiser is a little beside it.
    let (a, b) = ((1 + excess) / 2, 0.1)
    let side = (1 - a * a).squareRoot()
    let rows = [[0, 0], [a, side], [a, -side], [b, 3], [-b, 3], [b, -3], [-b, -3]]
    let want = Twin.geometricMedian(rows)
    let got = try median(rows)
    #expect(
      abs(got[0] - want[0]) < 1e-7 && abs(got[1] - want[1]) < 1e-7, "\(got) instead of \(want)")
  }

  @Test("A far row pulls with the strength of one, in its direction")
  func farPull() throws {
    // Two rows at the origin hold against the pull √2 of the others, but not when the far row adds 1 in the same direction.
    let rows = [[0, 0], [0, 0], [1, 1], [1, -1], [1e30, 0]]
    let want = Twin.geometricMedian(rows)
    #expect(want[0] > 0.1)
    #expect(try zip(median(rows), want).allSatisfy { abs($0 - $1) < 1e-7 })
    #expect(try median([[0, 0], [1, 0], [-1e30, 0.25e30]]) == [0, 0])
  }

  @Test(
    "One far row beside an even number of others leaves the minimiser among them",
    arguments: [4, 6, 16])
  func farRow(_ n: Int) throws {
    var source = TestRows(seed: n)
    var rows = source.rows(.normal, n: n, d: 5, f: 0)
    rows[1] = rows[1].map { $0 * 1e30 }
    let want = Twin.geometricMedian(rows)
    #expect(try zip(median(rows), want).allSatisfy { abs($0 - $1) < 1e-6 })
  }
}
