import CByzKernels
import Testing

@Suite("Column kernels", .serialized)
struct ColumnKernelTests {
  /// Below, at and above every size of a network, a run and a merge.
  static let sizes = [1, 2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130]
  /// More runs of 64 than two, and a last one that is not full.
  static let manyRows = [200, 520]

  @Test("median: the middle value, or the mean of the middle two", arguments: sizes + manyRows)
  func median(n: Int) {
    for table in tables(n, .normal, .ties, .nonFinite) {
      table.expect({ byz_median($0, $1, n, $2, $3, false, $4) }, exact: true) {
        middle(sorted($0)).map { ($0.0 + $0.1) / 2 }
      }
      table.expect({ byz_median($0, $1, n, $2, $3, true, $4) }, exact: true) {
        middle(sorted($0)).map(\.0)
      }
    }
  }

  @Test(
    "trimmed mean: the mean without the f smallest and the f largest", arguments: sizes + manyRows)
  func trimmedMean(n: Int) {
    for f in Set([0, n / 8, n / 4, (n - 1) / 2]) {
      for table in tables(n, .normal, .ties, .nonFinite, .offset) {
        table.expect({ byz_trimmed_mean($0, $1, n, f, $2, $3, $4) }) {
          mean(sorted($0)[f..<n - f])
        }
      }
    }
  }

  @Test("MeaMed: the mean of the n - f values nearest to the median", arguments: sizes + manyRows)
  func meanAroundMedian(n: Int) {
    for f in Set([0, n / 8, (n - 1) / 2, 3 * n / 4, n - 1]) {
      for table in tables(n, .normal, .ties, .offset) {
        table.expect({ byz_mean_around_median($0, $1, n, f, $2, $3, $4) }) {
          nearestMean($0, f: f)
        }
      }
    }
  }

  @Test("MeaMed: equally near values go to the lowest row")
  func meanAroundMedianTies() {
    // The median is 0; one of -1 and 1 is left out.
    for (column, expected) in [([1.0, 0, -1], 0.5), ([-1, 0, 1], -0.5), ([0, -1, 1], -0.5)] {
      Table([column], .float).expect({ byz_mean_around_median($0, $1, 3, 1, $2, $3, $4) }) { _ in
        expected
      }
    }
  }

  @Test(
    "MeaMed: f infinite values are left out; one more and the result is not finite",
    arguments: sizes)
  func meanAroundMedianNonFinite(n: Int) {
    let f = (n - 1) / 2
    for table in tables(n, .nonFinite) {
      table.expect({ byz_mean_around_median($0, $1, n, f, $2, $3, $4) }) { column in
        let bad = column.count { !$0.isFinite }
        return bad > f ? .nan : nearestMean(column, f: f)
      }
    }
  }

  @Test("weighted sum: fused, in row order", arguments: sizes)
  func weightedSum(n: Int) {
    let weights = (0..<n).map { 1 / Double($0 + 2) }
    for table in tables(n, .normal, .offset) {
      table.expect(
        { byz_weighted_sum($0, $1, weights, n, $2, $3, $4) }, exact: table.type == .float
      ) {
        guard table.type == .float else { return zip(weights, $0).map(*).reduce(0, +) }
        return Double(
          zip(weights, $0).reduce(Float(0)) { $0.addingProduct(Float($1.0), Float($1.1)) })
      }
    }
  }

  @Test("weighted sum: rows of weight 0 and missing rows may hold anything")
  func weightedSumSkips() {
    for isa in variants {
      #expect(byz_isa_select(isa))
      let weights = [1.0, 0, 5, 2]
      var out: [Float] = [9, 9]
      let rows: [[Float]] = [[1, 2], [.nan, .infinity], [3, 4]]
      rows[0].withUnsafeBytes { first in
        rows[1].withUnsafeBytes { second in
          rows[2].withUnsafeBytes { last in
            let pointers = [first.baseAddress, second.baseAddress, nil, last.baseAddress]
            byz_weighted_sum(BYZ_F32, pointers, weights, 4, 0, 2, &out)
          }
        }
      }
      #expect(out == [7, 10])
    }
  }

  @Test("mean plus deviation: also where squares of floats overflow or vanish", arguments: sizes)
  func meanPlusDeviation(n: Int) {
    for correction in [0, 1] where n > correction {
      for table in tables(n, .normal, .ties, .offset, .huge, .tiny, .nonFinite) {
        table.expect({ byz_mean_plus_deviation($0, $1, n, -1.5, correction, $2, $3, $4) }) {
          let centre = mean($0[...])
          let square = $0.map { ($0 - centre) * ($0 - centre) }.reduce(0, +)
          return centre - 1.5 * (square / Double(n - correction)).squareRoot()
        }
      }
    }
  }

  @Test("median: exact for subnormal numbers and near the largest", arguments: sizes)
  func medianExtremes(n: Int) {
    for table in tables(n, .subnormal, .largest) {
      table.expect({ byz_median($0, $1, n, $2, $3, false, $4) }, exact: true) {
        middle(sorted($0)).map { a, b in
          a + b == a / 2 + b / 2 || (a + b).isFinite ? (a + b) / 2 : a / 2 + b / 2
        }
      }
    }
  }

  @Test("trimmed mean and MeaMed: finite where differences of the values are not", arguments: sizes)
  func meansOfExtremes(n: Int) {
    for table in tables(n, .extreme) {
      for f in Set([0, n / 8, (n - 1) / 2]) {
        table.expect({ byz_trimmed_mean($0, $1, n, f, $2, $3, $4) }) {
          mean(sorted($0)[f..<n - f])
        }
        // Distances of doubles to their median would be infinite.
        guard table.type == .float else { continue }
        table.expect({ byz_mean_around_median($0, $1, n, f, $2, $3, $4) }) {
          nearestMean($0, f: f)
        }
      }
    }
  }

  @Test("MeaMed: finite where equally near values are far apart")
  func meanOfExtremeTies() {
    let column = [-3e38, -3e38, 0, 3e38, 3e38].map { Double(Float($0)) }
    for f in 0..<5 {
      Table([column], .float).expect({ byz_mean_around_median($0, $1, 5, f, $2, $3, $4) }) {
        nearestMean($0, f: f)
      }
    }
  }

  @Test("trimmed mean: equal values are their own mean, infinite ones too", arguments: sizes)
  func fixedPoint(n: Int) {
    for value in [1.0 / 3, 1e-45, -3e38, .infinity, -.infinity] {
      let table = Table([[Double](repeating: Double(Float(value)), count: n)], .float)
      table.expect({ byz_trimmed_mean($0, $1, n, (n - 1) / 2, $2, $3, $4) }, exact: true) { $0[0] }
      table.expect({ byz_trimmed_mean($0, $1, n, 0, $2, $3, $4) }, exact: true) { $0[0] }
    }
  }
}

// MARK: - Naive twins of a column

private func sorted(_ column: [Double]) -> [Double] {
  column.map { $0.isNaN ? .infinity : $0 }.sorted()
}

private func middle(_ sorted: [Double]) -> (Double, Double)? {
  (sorted[(sorted.count - 1) / 2], sorted[sorted.count / 2])
}

private func mean(_ values: ArraySlice<Double>) -> Double {
  let sum = values.reduce(0, +)
  // Of the largest doubles the sum may not be one.
  guard !sum.isFinite else { return sum / Double(values.count) }
  return values.reduce(0) { $0 + $1 / Double(values.count) }
}

private func nearestMean(_ column: [Double], f: Int) -> Double {
  let (a, b) = middle(sorted(column))!
  // To the exact median, which no value is beyond: the mean of the distances to the two middle values.
  let distance = column.map { x in
    x.isFinite ? (abs(x - a) + abs(x - b)) / 2 : .infinity
  }
  let rows = column.indices.sorted { (distance[$0], $0) < (distance[$1], $1) }
  return mean(rows.prefix(column.count - f).map { column[$0] }[...])
}

// MARK: - Tables of columns

private var variants: [byz_isa] { [BYZ_PLAIN, BYZ_AVX2, BYZ_AVX512].filter(byz_isa_available) }

private enum Element {
  case float, double

  func rounded(_ x: Double) -> Double { self == .float ? Double(Float(x)) : x }
}

private enum Kind {
  case normal, ties, nonFinite, offset, huge, tiny, subnormal, largest, extreme
}

/// Ragged widths, from one lane to more than two stretches of the kernels that go along rows, and to more than four tiles of those that
/// sort columns and copy each tile but the first two while another is sorted; for both types.
private func tables(_ n: Int, _ kinds: Kind...) -> [Table] {
  var words = Words(state: UInt64(n))
  return kinds.flatMap { kind in
    [Element.float, .double].map { type in
      let width =
        n == 9
        ? 2 * 1024 + 17
        : n == 33 || n == 64
          ? 4 * 512 + 17 : [1, 15, 17, 33][Int(words.next() % (n > 100 ? 3 : 4))]
      let columns = (0..<width).map { _ in
        (0..<n).map { _ in type.rounded(words.value(kind, type)) }
      }
      return Table(columns, type)
    }
  }
}

private struct Words: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state ^ (state >> 29)) &* 0x9E37_79B9_7F4A_7C15 >> 8
  }

  mutating func value(_ kind: Kind, _ type: Element) -> Double {
    let integer = Int(next() % 2001) - 1000
    let x = (Double(integer) + Double(next() % 1000) / 1000) / 1000
    switch kind {
    case .normal: return x
    case .ties: return integer % 5 == 0 ? -0.0 : Double(integer % 3)
    case .nonFinite: return integer % 9 == 0 ? [.nan, .infinity, -.infinity][abs(integer) % 3] : x
    case .offset: return 1000 + x / 10
    case .huge: return x * (type == .float ? 1e30 : 1e150)
    case .tiny: return x * (type == .float ? 1e-30 : 1e-150)
    case .subnormal:
      return Double(integer)
        * (type == .float ? Double(Float.leastNonzeroMagnitude) : .leastNonzeroMagnitude)
    case .largest, .extreme:
      let largest =
        type == .float ? Double(Float.greatestFiniteMagnitude) : .greatestFiniteMagnitude
      return kind == .extreme ? x / 1.01 * largest : largest - abs(x) * (largest / 8)
    }
  }
}

private typealias Kernel = (
  byz_type, UnsafePointer<UnsafeRawPointer?>, Int, Int, UnsafeMutableRawPointer
) -> Void

/// Where rows lie.
private enum Place { case onLines, offLines, inSameSets }

private struct Table {
  let columns: [[Double]]
  let type: Element

  init(_ columns: [[Double]], _ type: Element) {
    self.columns = columns
    self.type = type
  }

  /// Runs the kernel on rows on cache lines, off them, and in the same sets of the caches, from column 0 and from a later one, in every
  /// variant: all must give the same bits, agree with the twin and write nothing else.
  func expect(_ kernel: Kernel, exact: Bool = false, _ twin: ([Double]) -> Double?) {
    switch type {
    case .float: expect(Float.self, BYZ_F32, 1e-5, kernel, exact, twin)
    case .double: expect(Double.self, BYZ_F64, 1e-11, kernel, exact, twin)
    }
  }

  private func expect<T: BinaryFloatingPoint>(
    _: T.Type, _ code: byz_type, _ tolerance: Double, _ kernel: Kernel, _ exact: Bool,
    _ twin: ([Double]) -> Double?
  ) {
    let width = columns.count
    let expected = columns.map { twin($0)! }
    for (place, begin) in [(Place.onLines, 0), (.offLines, width / 3), (.inSameSets, 0)] {
      let outputs = variants.map { run(T.self, code, $0, kernel, place, begin: begin) }
      for output in outputs.dropFirst() {
        #expect(sameBits(output, outputs[0]), "variants differ")
      }
      let untouched = outputs[0][..<begin] + outputs[0][width...]
      #expect(untouched.allSatisfy { $0 == 12345 }, "wrote outside its columns")
      for j in begin..<width {
        let (got, want) = (Double(outputs[0][j]), expected[j])
        let scale = columns[j].reduce(abs(want)) { $1.isFinite ? max($0, abs($1)) : $0 }
        let right =
          want.isNaN
          ? !got.isFinite
          : exact || want.isInfinite
            ? got == Double(T(want)) : abs(got - want) <= tolerance * scale
        #expect(right, "column \(j) of \(columns[j].count) rows: \(got), not \(want)")
      }
    }
  }

  private func run<T: BinaryFloatingPoint>(
    _: T.Type, _ code: byz_type, _ isa: byz_isa, _ kernel: Kernel, _ place: Place, begin: Int
  ) -> [T] {
    let (n, width, size) = (columns[0].count, columns.count, MemoryLayout<T>.stride)
    let unit =
      switch place {
      case .onLines: 64
      case .offLines: size
      case .inSameSets: 1 << 16
      }
    let pitch = (width * size + unit - 1) / unit * unit
    let memory = UnsafeMutableRawPointer.allocate(byteCount: n * pitch + size, alignment: 64)
    defer { memory.deallocate() }
    let start = memory + (place == .offLines ? size : 0)
    for (j, column) in columns.enumerated() {
      for (i, x) in column.enumerated() {
        start.storeBytes(of: T(x), toByteOffset: i * pitch + j * size, as: T.self)
      }
    }
    let rows = (0..<n).map { UnsafeRawPointer?(start + $0 * pitch) }
    var out = [T](repeating: 12345, count: width + 1)
    #expect(byz_isa_select(isa))
    out.withUnsafeMutableBytes { kernel(code, rows, begin, width, $0.baseAddress!) }
    return out
  }
}

private func sameBits<T>(_ a: [T], _ b: [T]) -> Bool {
  a.withUnsafeBytes { a in b.withUnsafeBytes { a.elementsEqual($0) } }
}
