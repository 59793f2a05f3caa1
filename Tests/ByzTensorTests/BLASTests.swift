import ByzTensor
import Testing

@Suite("BLAS", .enabled(if: BLAS.isAvailable, "OpenBLAS is not installed"))
struct BLASTests {
  @Test(
    "multiplies matrices of both types, as stored or transposed", arguments: [false, true],
    [false, true])
  func products(_ transposesA: Bool, _ transposesB: Bool) throws {
    try BLAS.load()
    let (m, n, k) = (3, 5, 4)
    // Small integers: every product and sum is exact.
    func a(_ i: Int, _ j: Int) -> Int { 7 * i - 3 * j + 1 }
    func b(_ i: Int, _ j: Int) -> Int { 2 * i + 5 * j - 4 }
    let storedA = (0..<m * k).map { transposesA ? a($0 % m, $0 / m) : a($0 / k, $0 % k) }
    let storedB = (0..<k * n).map { transposesB ? b($0 % k, $0 / k) : b($0 / n, $0 % n) }
    let expected = (0..<m * n).map { at in
      100 + (0..<k).reduce(0) { $0 + a(at / n, $1) * b($1, at % n) }
    }

    var single = [Float](repeating: 50, count: m * n)
    let (a1, b1) = (
      Stored<Float>(storedA, m, k, transposesA), Stored<Float>(storedB, k, n, transposesB)
    )
    BLAS.multiply(a1.matrix, b1.matrix, addend: 2, into: &single)
    withExtendedLifetime((a1, b1)) {}
    #expect(single == expected.map(Float.init))

    var double = [Double](repeating: 50, count: m * n)
    let (a2, b2) = (
      Stored<Double>(storedA, m, k, transposesA), Stored<Double>(storedB, k, n, transposesB)
    )
    BLAS.multiply(a2.matrix, b2.matrix, addend: 2, into: &double)
    withExtendedLifetime((a2, b2)) {}
    #expect(double == expected.map(Double.init))
  }

  @Test("without an addend overwrites whatever the product held")
  func overwrites() throws {
    try BLAS.load()
    var product: [Float] = [.nan]
    let three = Stored<Float>([3], 1, 1, false)
    BLAS.multiply(three.matrix, three.matrix, into: &product)
    withExtendedLifetime(three) {}
    #expect(product == [9])
  }

  @Test("gives the same bits wherever the matrices lie in memory")
  func alignment() throws {
    try BLAS.load()
    let (m, n, k) = (64, 128, 200)
    let numbers = (0..<m * k + k * n + 16).map { Float(($0 * 7919) % 1009) / 1009 - 0.5 }
    func product(from offset: Int) -> [Float] {
      var result = [Float](repeating: 0, count: m * n)
      let moved = [Float](repeating: 0, count: offset) + numbers
      moved.withUnsafeBufferPointer {
        let a = $0.baseAddress! + offset
        BLAS.multiply(
          MatrixView(a, rows: m, columns: k), MatrixView(a + m * k, rows: k, columns: n),
          into: &result)
      }
      return result
    }
    for offset in 1..<8 { #expect(product(from: offset) == product(from: 0)) }
  }

  @Test("names its kernels and its version")
  func names() throws {
    #expect(try #require(BLAS.coreName).isEmpty == false)
    #expect(try #require(BLAS.configuration).hasPrefix("OpenBLAS"))
    #expect(try #require(BLAS.threadCount) >= 1)
    let identity = try #require(BLAS.identity).split(separator: " ")
    #expect(identity.count == 3 && identity[0] == "OpenBLAS")
    #expect(identity[1].allSatisfy { $0.isNumber || $0 == "." || $0.isLetter })
    #expect(identity[2] == BLAS.coreName ?? "")
  }
}

@Suite("BLASError")
struct BLASErrorTests {
  @Test("says what to install")
  func description() {
    let error = BLASError.unavailable(reason: "libopenblas.so.0: cannot open shared object file")
    #expect("\(error)".contains("apt-get install libopenblas-dev"))
    #expect("\(error)".contains("libopenblas.so.0"))
  }
}

/// A matrix of integers and its memory, which lives as long as this object.
private final class Stored<Element: BinaryFloatingPoint> {
  private let elements: UnsafeMutablePointer<Element>
  let matrix: MatrixView<Element>

  init(_ stored: [Int], _ rows: Int, _ columns: Int, _ isTransposed: Bool) {
    elements = .allocate(capacity: stored.count)
    for (i, value) in stored.enumerated() { (elements + i).initialize(to: Element(value)) }
    matrix =
      isTransposed
      ? MatrixView(elements, rows: columns, columns: rows).transposed
      : MatrixView(elements, rows: rows, columns: columns)
  }

  deinit { elements.deallocate() }
}
