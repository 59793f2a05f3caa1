import CByzKernels
import Testing

@Suite("Geometry kernels", .serialized)
struct GeometryKernelTests {
  /// Around the 4 rows of a panel; 16 rows and more are copied where they cross cache lines.
  static let counts = [1, 2, 3, 4, 5, 7, 8, 9, 17, 33]
  /// Around a vector and around a block.
  static let widths = [1, 3, 15, 16, 17, 100, 2047, 2048, 2049, 4097]

  @Test("norms, distances and centred products are those of a Double twin", arguments: counts)
  func shapes(n: Int) {
    for d in [1, 2, 5].contains(n) ? Self.widths : n < 33 ? [17, 2049] : [17, 100] {
      Sample<Float>(n, d).expectTwins(within: 3e-7)
      Sample<Double>(n, d).expectTwins(within: 1e-13)
    }
  }

  @Test("rows far from 0 lose no digits of their distances", arguments: [2, 5])
  func offset(n: Int) {
    for d in [100, 2048, 4097] {
      Sample<Float>(n, d) { x, _, _ in x + 1e4 }.expectTwins(within: 1e-6)
    }
  }

  @Test(
    "floats that are huge, tiny, subnormal or all of these keep seven digits",
    arguments: [1e30, 1e-18, 1e-30, 1e-40, 0])
  func range(scale: Double) {
    let mixed = [1e30, 1e-40, 1, 1e-18, 1e19]
    for d in [3, 2049] {
      Sample<Float>(5, d) { x, i, _ in x * Float(scale == 0 ? mixed[i] : scale) }.expectTwins(
        within: 3e-7)
    }
  }

  @Test("one huge row leaves the others' products alone; blocks may be of different size")
  func unevenRows() {
    Sample<Float>(5, 100) { x, i, _ in i == 2 ? x * 1e30 : x }.expectTwins(within: 3e-7)
    Sample<Float>(5, 4097) { x, _, j in j < 2048 ? x * 1e-30 : x }.expectTwins(within: 3e-7)
    Sample<Float>(5, 4097) { x, i, j in j < 2048 ? 0 : i == 1 ? 0 : x }.expectTwins(within: 3e-7)
  }

  @Test("a row of doubles beyond 1e154 is infinitely far from all rows and itself")
  func doubleOverflow() {
    let sample = Sample<Double>(4, 100) { x, i, _ in i < 2 ? x * 1e160 : x }
    let distances = sample.distances()
    #expect((0..<8).allSatisfy { distances[$0] == .infinity })
    #expect(distances[10] == 0 && distances[11].isFinite && distances[15] == 0)
    // Squares end, but not the rows' own.
    let apart = Sample<Double>(2, 1) { _, i, _ in i == 0 ? 1e154 : -1e154 }.distances()
    #expect(apart == [0, .infinity, .infinity, 0])
  }

  @Test("a row with NaN or Inf is infinitely far from all rows and itself, and has no finite norm")
  func badRows() {
    for (n, bad) in [
      (1, [0]), (2, [1]), (7, [1, 2, 6]), (17, [0, 16]), (2, [0, 1]), (3, [0, 1, 2]),
    ] {
      for place in [0, 2048, 2060] {
        expectBad(
          Sample<Float>(n, 2061) { bad.contains($1) && $2 == place ? Self.hostile($1) : $0 }, bad)
        expectBad(
          Sample<Double>(n, 2061) { bad.contains($1) && $2 == place ? Self.hostile($1) : $0 }, bad)
      }
    }
  }

  @Test("the last row is found to be bad in a later block than all others")
  func lastBadRow() {
    for last in 0..<5 {
      expectBad(
        Sample<Float>(5, 4097) { x, i, j in j == (i == last ? 4096 : 0) ? Self.hostile(i) : x },
        Array(0..<5))
    }
  }

  static func hostile<T: BinaryFloatingPoint>(_ i: Int) -> T {
    [.nan, .infinity, -.infinity][i % 3]
  }

  private func expectBad<T: Element>(_ sample: Sample<T>, _ bad: [Int]) {
    let n = sample.n
    let (norms, distances, gram) = (sample.norms(), sample.distances(), sample.gram())
    for i in 0..<n {
      #expect(norms[i].isFinite == !bad.contains(i))
      for k in 0..<n {
        let isBad = bad.contains(i) || bad.contains(k)
        #expect(isBad ? distances[i * n + k] == .infinity : distances[i * n + k].isFinite)
        #expect((distances[i * n + k] == 0) == (i == k && !isBad))
        #expect(gram[i * (n + 2) + k].isFinite == !isBad)
      }
    }
  }

  @Test("equal rows are at distance 0 and have the same products, at any scale")
  func equalRows() {
    for scale in [1, 1e30, 1e-30, 1e-40, 0] {
      let n = 9
      let source = Sample<Float>(n, 2100)
      // Rows 1, 3, 5, 7 equal row 0; the others differ.
      let sample = Sample<Float>(n, 2100) { x, i, j in
        (i % 2 == 1 ? source.rows[0][j] : x) * Float(scale)
      }
      let (distances, gram, m) = (sample.distances(), sample.gram(), n + 2)
      for i in stride(from: 1, to: n, by: 2) {
        for k in stride(from: 1, to: n, by: 2) {
          #expect(distances[i * n + k] == 0)
          #expect(gram[i * m + k].bitPattern == gram[m + 1].bitPattern)
        }
        #expect((distances[i * n + 2] == 0) == (scale == 0))
      }
    }
  }

  @Test("parts, added in order, have the bits of the whole", arguments: [1, 2, 3, 4])
  func parts(blocks: Int) {
    let (d, part) = (8200, blocks * 2048)
    let sample = Sample<Float>(5, d) { x, i, j in j < 2048 ? x : j < 4096 ? x * 1e-20 : x * 1e-3 }
    var sum = (sample.norms(0..<0), sample.distances(0..<0), sample.gram(0..<0))
    for range in stride(from: 0, to: d, by: part).map({ $0..<min($0 + part, d) }) {
      sum.0 = zip(sum.0, sample.norms(range, inPartsOf: part)).map(+)
      sum.1 = zip(sum.1, sample.distances(range, inPartsOf: part)).map(+)
      sum.2 = zip(sum.2, sample.gram(range, inPartsOf: part)).map(+)
    }
    #expect(sum.0 == sample.norms(inPartsOf: part))
    #expect(sum.1 == sample.distances(inPartsOf: part))
    #expect(sum.2 == sample.gram(inPartsOf: part))
    expectPartsApart(sample, part)
  }

  /// What is kept apart in one call is what calls for each part give.
  private func expectPartsApart(_ sample: Sample<Float>, _ part: Int) {
    let (n, d) = (sample.n, sample.d)
    let ranges = stride(from: 0, to: d, by: part).map { $0..<min($0 + part, d) }
    let norms: [Double] = sample.inEveryVariant(of: ranges.count * n) {
      byz_squared_norms($0, $1, n, part, true, $2.lowerBound, $2.upperBound, $3)
    }
    #expect(norms == ranges.flatMap { sample.norms($0, inPartsOf: part) })
    let toFirst: [Double] = sample.inEveryVariant(of: ranges.count * n) {
      byz_squared_distances_to($0, $1, n, 0, part, true, $2.lowerBound, $2.upperBound, $3)
    }
    let distances: [Double] = sample.inEveryVariant(of: ranges.count * n * n) {
      byz_squared_distances($0, $1, n, part, true, $2.lowerBound, $2.upperBound, $3)
    }
    #expect(distances == ranges.flatMap { sample.distances($0, inPartsOf: part) })
    #expect(
      toFirst == stride(from: 0, to: distances.count, by: n * n).flatMap { distances[$0..<$0 + n] })
    let m = n + 2
    let gram: [Double] = sample.inEveryVariant(of: ranges.count * m * m) {
      byz_centred_gram(
        $0, $1 + [nil, $1[0]], n, m, part, true, $2.lowerBound, $2.upperBound, $3)
    }
    #expect(gram == ranges.flatMap { sample.gram($0, inPartsOf: part) })
  }

  @Test(
    "a set's mean is its rows' mean, with the same bits whether or not sets overlap",
    arguments: counts)
  func subsetMeans(n: Int) {
    for (m, d) in [(1, 3), (2, 64), (7, 65), (20, 1030)] where n * m * d < 100_000 {
      Sample<Float>(n, d).expectSubsetMeans(m, within: 1e-6)
      Sample<Double>(n, d).expectSubsetMeans(m, within: 1e-15)
    }
  }

  @Test("rows outside a set may hold anything; an empty set gives NaN")
  func subsetsSkip() {
    let sample = Sample<Float>(6, 100) { x, i, _ in i == 1 ? .nan : i == 4 ? .infinity : x }
    sample.expectSubsetMeans([[0, 2], [0, 1], [3, 5], [4], []], within: 1e-6)
  }

  @Test(
    "scaling rounds once, gives zeros for 0 and a copy for 1, past the caches too",
    arguments: [false, true])
  func scale(_ isStreaming: Bool) {
    let sample = Sample<Float>(1, 137) { x, _, j in j == 3 ? .nan : x * 1e38 }
    for factor in [0, 1, -0.3, 1e-39, 1e-45] {
      let scaled: [Float] = sample.inEveryVariant(of: 137) { type, rows, _, out in
        byz_scale(type, rows[0]!, factor, 2, 137, isStreaming, out)
      }
      let want = sample.rows[0].map { factor == 0 ? 0 : Float(Double($0) * factor) }
      #expect(scaled[..<2] == [12345, 12345])
      #expect(zip(scaled, want).dropFirst(2).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
    }
  }
}

// MARK: - Samples

private protocol Element: BinaryFloatingPoint, Sendable {
  static var code: byz_type { get }
}

extension Float: Element {
  fileprivate static var code: byz_type { BYZ_F32 }
}

extension Double: Element {
  fileprivate static var code: byz_type { BYZ_F64 }
}

/// n rows, each one element further off the cache lines, and what the kernels make of them.
private struct Sample<T: Element> {
  let rows: [[T]]
  var n: Int { rows.count }
  var d: Int { rows[0].count }

  /// Rows of numbers in -1 ..< 1, changed by `edit` (value, row, column).
  init(_ n: Int, _ d: Int, _ edit: (T, Int, Int) -> T = { value, _, _ in value }) {
    var state = UInt64(n * 5003 + d)
    rows = (0..<n).map { i in
      (0..<d).map { j in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return edit(T(state >> 40) / T(1 << 23) - 1, i, j)
      }
    }
  }

  func norms(_ range: Range<Int>? = nil, inPartsOf part: Int = Int(BYZ_BLOCK)) -> [Double] {
    inEveryVariant(of: n, range) {
      byz_squared_norms($0, $1, n, part, false, $2.lowerBound, $2.upperBound, $3)
    }
  }

  func distances(_ range: Range<Int>? = nil, inPartsOf part: Int = Int(BYZ_BLOCK)) -> [Double] {
    inEveryVariant(of: n * n, range) {
      byz_squared_distances($0, $1, n, part, false, $2.lowerBound, $2.upperBound, $3)
    }
  }

  /// Over the n rows, a row of zeros and row 0 again.
  func gram(_ range: Range<Int>? = nil, inPartsOf part: Int = Int(BYZ_BLOCK)) -> [Double] {
    inEveryVariant(of: (n + 2) * (n + 2), range) {
      byz_centred_gram(
        $0, $1 + [nil, $1[0]], n, n + 2, part, false, $2.lowerBound, $2.upperBound, $3)
    }
  }

  /// Fills `count` outputs in every variant, and in the fastest from rows off the cache lines: all
  /// must have the same bits.
  func inEveryVariant<Out: BinaryFloatingPoint>(
    of count: Int, _ range: Range<Int>? = nil,
    _ kernel: (byz_type, [UnsafeRawPointer?], Range<Int>, UnsafeMutablePointer<Out>) -> Void
  ) -> [Out] {
    var results: [[Out]] = []
    for shift in [0, 1] {
      let pitch = (d * MemoryLayout<T>.stride + 127) / 64 * 64 + shift * MemoryLayout<T>.stride
      let memory = UnsafeMutableRawPointer.allocate(byteCount: n * pitch, alignment: 64)
      defer { memory.deallocate() }
      for (i, row) in rows.enumerated() {
        row.withUnsafeBytes {
          (memory + i * pitch).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
        }
      }
      let pointers = (0..<n).map { UnsafeRawPointer?(memory + $0 * pitch) }
      let variants = [BYZ_PLAIN, BYZ_AVX2, BYZ_AVX512].filter(byz_isa_available)
      for isa in shift == 0 ? variants : variants.suffix(1) {
        #expect(byz_isa_select(isa))
        var out = [Out](repeating: 12345, count: count)
        out.withUnsafeMutableBufferPointer {
          kernel(T.code, pointers, range ?? 0..<d, $0.baseAddress!)
        }
        results.append(out)
      }
    }
    // The sign of a NaN is free.
    func same(_ a: Out, _ b: Out) -> Bool { a == b && a.sign == b.sign || a.isNaN && b.isNaN }
    for other in results.dropFirst() {
      #expect(zip(other, results[0]).allSatisfy(same), "variants or alignments differ")
    }
    return results[0]
  }

  // MARK: Twins

  /// Relative to the value, or to the lengths of both rows for a product.
  func expectTwins(within tolerance: Double) {
    let wide = rows.map { $0.map(Double.init) }
    let zeros = [Double](repeating: 0, count: d)
    let (norms, distances, gram, m) = (norms(), distances(), gram(), n + 2)
    let centred = (wide + [zeros, wide[0]]).map { zip($0, centre()).map { $0 - $1 } }
    let lengths = centred.map { product($0, $0).squareRoot() }
    for i in 0..<n {
      let norm = product(wide[i], wide[i])
      #expect(abs(norms[i] - norm) <= tolerance * norm)
      for k in 0..<n {
        let difference = zip(wide[i], wide[k]).map { $0 - $1 }
        let distance = product(difference, difference)
        #expect(abs(distances[i * n + k] - distance) <= tolerance * distance)
      }
    }
    for i in 0..<m {
      for k in i..<m {
        let error = abs(gram[i * m + k] - product(centred[i], centred[k]))
        #expect(error <= tolerance * lengths[i] * lengths[k])
        #expect(gram[i * m + k] == gram[k * m + i])
      }
    }
  }

  private func product(_ x: [Double], _ y: [Double]) -> Double {
    var sum = 0.0
    for (x, y) in zip(x, y) { sum += x * y }
    return sum
  }

  /// Column medians, rounded as the rows' type does.
  private func centre() -> [Double] {
    (0..<d).map { j in
      let column = rows.map { $0[j] }.sorted()
      return Double((column[(n - 1) / 2] + column[n / 2]) / 2)
    }
  }

  /// m sets of about two thirds of the rows.
  func expectSubsetMeans(_ m: Int, within tolerance: Double) {
    let sets = (0..<m).map { k in (0..<n).filter { ($0 * 7 + k * 5 + $0 * k) % 3 > 0 } }
    expectSubsetMeans(sets, within: tolerance)
  }

  func expectSubsetMeans(_ sets: [[Int]], within tolerance: Double) {
    let members = sets.flatMap { set in
      stride(from: 0, to: n, by: 64).map { first in
        (first..<min(first + 64, n)).reduce(UInt64(0)) {
          $0 | (set.contains($1) ? 1 << UInt64($1 - first) : 0)
        }
      }
    }
    var results: [[T]] = []
    for overlapping in [false, true] {
      let means: [T] = inEveryVariant(of: sets.count * d) { type, pointers, range, out in
        let outs = sets.indices.map { UnsafeMutableRawPointer?(out + $0 * d) }
        byz_subset_means(
          type, pointers, n, members, sets.count, overlapping, range.lowerBound, range.upperBound,
          outs)
      }
      results.append(means)
    }
    #expect(zip(results[0], results[1]).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
    for (k, set) in sets.enumerated() {
      for j in 0..<d {
        let column = set.map { Double(rows[$0][j]) }
        let want = column.reduce(0, +) / Double(set.count)
        let got = Double(results[0][k * d + j])
        let size = column.reduce(0) { max($0, abs($1)) }
        #expect(want.isFinite ? abs(got - want) <= tolerance * size : !got.isFinite)
      }
    }
  }
}
