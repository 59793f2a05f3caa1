import ByzKit

/// The rows of the published table and the shapes that have limits of their own.
package enum RowTable {
  /// As `Benchmarks/peers/rows.json` has them, without the rows that train.
  static let published: [Row] = [
    search("MDA 30x2048 f10", .mda(f: 10), 30, 2_048, f: 10) { Reference.mda($0, f: 10) },
    search("MDA 20x2048 f6", .mda(f: 6), 20, 2_048, f: 6) { Reference.mda($0, f: 6) },
    search("SMEA 16x4096 f5", .smea(f: 5), 16, 4_096, f: 5) { Reference.smea($0, f: 5) },
    row("ARC 256x65536 f8", .preAggregator(ARC(f: 8)), 256, 65_536, f: 8, Floors.arc(f: 8)) {
      Reference.arc($0, f: 8)
    },
    row(
      "CwTM 64x65536 f8", .aggregator(.trimmedMean(f: 8)), 64, 65_536, f: 8,
      Floors.trimmedMean(f: 8)
    ) { Reference.trimmedMean($0, f: 8) },
    row("Median 64x65536", .aggregator(.median), 64, 65_536, f: 8, Floors.median) {
      Reference.median($0)
    },
    row(
      "MultiKrum 80x65536 f20 q12", .aggregator(.multiKrum(f: 20, q: 12)), 80, 65_536, f: 20,
      Floors.selection(of: 12)
    ) { Reference.multiKrum($0, f: 20, q: 12) },
    row("Bulyan 64x65536 f8", .aggregator(.bulyan(f: 8)), 64, 65_536, f: 8, Floors.bulyan(f: 8)) {
      Reference.bulyan($0, f: 8)
    },
    row(
      "GeometricMedian 64x65536", .aggregator(.geometricMedian), 64, 65_536, f: 8, Floors.iteration
    ) { Reference.geometricMedian($0) },
    row(
      "CAF 64x65536 f8", .aggregator(.caf(f: 8)), 64, 65_536, f: 8, Floors.iteration
    ) { Reference.caf($0, f: 8) },
    row("MoNNA 64x65536 f8", .aggregator(.moNNA(f: 8)), 64, 65_536, f: 8, Floors.monna(f: 8)) {
      Reference.moNNA($0, f: 8)
    },
    row(
      "CenteredClipping 64x65536 tau.1 iters10", .aggregator(.centeredClipping(tau: 0.1)), 64,
      65_536, f: 8, Floors.iteration
    ) { Reference.centeredClipping($0, tau: 0.1, iterations: 10) },
    row("CGE 64x65536 f8", .aggregator(.cge(f: 8)), 64, 65_536, f: 8, Floors.cge(f: 8)) {
      Reference.cge($0, f: 8)
    },
    row(
      "MeaMed 64x65536 f8", .aggregator(.meanAroundMedian(f: 8)), 64, 65_536, f: 8,
      Floors.meanAroundMedian(f: 8)
    ) { Reference.meanAroundMedian($0, f: 8) },
    row("Empire 64x65536", .attack(Empire()), 64, 65_536, f: 8, Floors.mean) {
      Reference.empire($0)
    },
    row("Little 96x65536 f12", .attack(Little(f: 12)), 96, 65_536, f: 12, Floors.little) {
      Reference.little($0, f: 12)
    },
    Row(
      name: "Gaussian 64x65536", subject: .draw(Gaussian()), n: 64, d: 65_536, f: 8,
      method: Floors.gaussian, check: .standardNormal),
    row(
      "NNM 196x4096 f32", .preAggregator(NearestNeighborMixing(f: 32)), 196, 4_096, f: 32,
      Floors.nearestNeighborMixing(f: 32)
    ) { Reference.nearestNeighborMixing($0, f: 32) },
    row(
      "Bucketing 512x16384 size32", .preAggregator(Bucketing(size: 32, key: RandomKey(1))), 512,
      16_384, f: 64, Floors.bucketing(size: 32)
    ) { Reference.bucketing($0, order: RandomKey(1).permutation(of: 512), size: 32) },
    row(
      "Clipping 256x65536 thr2", .preAggregator(Clipping(threshold: 2)), 256, 65_536, f: 32,
      Floors.clipping
    ) { Reference.clipping($0, threshold: 2) },
  ]

  /// Rules per coordinate beside reading the data once, and distances beside OpenBLAS. Sizes that are no powers of two have
  /// other networks.
  static let shapes: [Row] =
    [8, 10, 16, 25, 32, 50, 64, 100, 128, 256, 512, 1024].flatMap { n -> [Row] in
      let f = max(1, n / 8)
      let limits = n <= 64 ? [2.5, 3, 3.5] : [4.5, 4.5, 4.5]
      return [
        shape("median \(n)x65536", .median, n, f, limits[0], Floors.median) {
          Reference.median($0)
        },
        shape(
          "trimmed mean \(n)x65536 f\(f)", .trimmedMean(f: f), n, f, limits[1],
          Floors.trimmedMean(f: f)
        ) { Reference.trimmedMean($0, f: f) },
        shape(
          "mean around the median \(n)x65536 f\(f)", .meanAroundMedian(f: f), n, f, limits[2],
          Floors.meanAroundMedian(f: f)
        ) { Reference.meanAroundMedian($0, f: f) },
      ]
    } + [
      Row(
        name: "distances 80x65536", subject: .distances, n: 80, d: 65_536, f: 20,
        method: Floors.distances, check: .each(tolerance: 1e-6, Reference.squaredDistances),
        ways: [.fresh], data: [.gaussian, .offset], yardstick: .ssyrk, isPublished: false,
        yardstickLimit: 0.85)
    ]

  /// Of all rows.
  package static var names: [String] { (published + shapes).map(\.name) }

  private static func row(
    _ name: String, _ subject: Subject, _ n: Int, _ d: Int, f: Int,
    _ method: @escaping Floors.Method, _ reference: @escaping Compute
  ) -> Row {
    Row(
      name: name, subject: subject, n: n, d: d, f: f, method: method,
      check: .overall(tolerance: 1e-6, reference))
  }

  private static func search(
    _ name: String, _ rule: any Aggregator, _ n: Int, _ d: Int, f: Int,
    _ reference: @escaping Compute
  ) -> Row {
    var row = row(
      name, .aggregator(rule), n, d, f: f, Floors.selection(of: n - f), reference)
    row.inputs = 10
    row.isSearch = true
    return row
  }

  private static func shape(
    _ name: String, _ rule: any Aggregator, _ n: Int, _ f: Int, _ limit: Double,
    _ method: @escaping Floors.Method, _ reference: @escaping Compute
  ) -> Row {
    Row(
      name: name, subject: .aggregator(rule), n: n, d: 65_536, f: f, method: method,
      check: .overall(tolerance: 1e-6, every: n > 64 ? 61 : 1, reference), ways: [.fresh, .into],
      data: [.gaussian], isPublished: false, yardstickLimit: limit)
  }
}
