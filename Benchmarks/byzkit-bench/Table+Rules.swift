import ByzKit

/// The rows that other systems are measured on: every rule at the size of its published figures.
extension Table {
  static let rules = [DataKind.gaussian, .alie].flatMap { data in
    [
      aggregator("MDA 30x2048 f10", .mda(f: 10), 30, 2_048, f: 10) { Reference.mda($0, f: 10) },
      aggregator("MDA 20x2048 f6", .mda(f: 6), 20, 2_048, f: 6) { Reference.mda($0, f: 6) },
      aggregator("SMEA 16x4096 f5", .smea(f: 5), 16, 4_096, f: 5) { Reference.smea($0, f: 5) },
      preAggregator("ARC 256x65536 f8", ARC(f: 8), 256, 65_536, f: 8) { Reference.arc($0, f: 8) },
      aggregator("CwTM 64x65536 f8", .trimmedMean(f: 8), 64, 65_536) {
        Reference.trimmedMean($0, f: 8)
      },
      aggregator("Median 64x65536", .median, 64, 65_536) { Reference.median($0) },
      aggregator("MultiKrum 80x65536 f20 q12", .multiKrum(f: 20, q: 12), 80, 65_536, f: 20) {
        Reference.multiKrum($0, f: 20, q: 12)
      },
      aggregator("Bulyan 64x65536 f8", .bulyan(f: 8), 64, 65_536) { Reference.bulyan($0, f: 8) },
      aggregator("GeometricMedian 64x65536", .geometricMedian, 64, 65_536, tolerance: 2e-4) {
        Reference.geometricMedian($0)
      },
      aggregator("CAF 64x65536 f8", .caf(f: 8), 64, 65_536, tolerance: 1e-4) {
        Reference.caf($0, f: 8)
      },
      aggregator("MoNNA 64x65536 f8", .moNNA(f: 8), 64, 65_536) { Reference.moNNA($0, f: 8) },
      aggregator(
        "CenteredClipping 64x65536 tau.1 iters10", .centeredClipping(tau: 0.1), 64, 65_536,
        tolerance: 5e-5
      ) { Reference.centeredClipping($0, tau: 0.1, iterations: 10) },
      aggregator("CGE 64x65536 f8", .cge(f: 8), 64, 65_536) { Reference.cge($0, f: 8) },
      aggregator("MeaMed 64x65536 f8", .meanAroundMedian(f: 8), 64, 65_536) {
        Reference.meanAroundMedian($0, f: 8)
      },
      attack("Empire 64x65536", Empire(), 64, 65_536) { Reference.empire($0) },
      attack("Little 96x65536 f12", Little(f: 12), 96, 65_536, f: 12) {
        Reference.little($0, f: 12)
      },
      Row(
        group: "rules", name: "Gaussian 64x65536", subject: .draw(Gaussian()), n: 64, d: 65_536,
        f: 8, ways: [.fresh], yardstick: .mean, check: .standardNormal),
      preAggregator("NNM 196x4096 f32", NearestNeighborMixing(f: 32), 196, 4_096, f: 32) {
        Reference.nearestNeighborMixing($0, f: 32)
      },
      preAggregator(
        "Bucketing 512x16384 size32", Bucketing(size: 32, key: RandomKey(1)), 512, 16_384, f: 64
      ) { Reference.bucketing($0, order: RandomKey(1).permutation(of: 512), size: 32) },
      preAggregator("Clipping 256x65536 thr2", Clipping(threshold: 2), 256, 65_536, f: 32) {
        Reference.clipping($0, threshold: 2)
      },
    ].map { (row: Row) in
      var row = row
      row.data = data
      return row
    }
  }

  private static func aggregator(
    _ name: String, _ rule: any Aggregator, _ n: Int, _ d: Int, f: Int = 8,
    tolerance: Double = 1e-6, _ reference: @escaping Compute
  ) -> Row {
    Row(
      group: "rules", name: name, subject: .aggregator(rule), n: n, d: d, f: f,
      ways: [.fresh, .into, .pool], yardstick: .mean,
      check: .overall(tolerance: tolerance, reference))
  }

  private static func preAggregator(
    _ name: String, _ rule: any PreAggregator, _ n: Int, _ d: Int, f: Int,
    _ reference: @escaping Compute
  ) -> Row {
    // Four inputs: with three, each of three contestants would see the same one every time.
    Row(
      group: "rules", name: name, subject: .preAggregator(rule), n: n, d: d, f: f,
      ways: [.fresh, .pool], yardstick: .mean, inputs: 4,
      check: .overall(tolerance: 1e-6, reference))
  }

  private static func attack(
    _ name: String, _ rule: any OmniscientAttack, _ n: Int, _ d: Int, f: Int = 8,
    _ reference: @escaping Compute
  ) -> Row {
    Row(
      group: "rules", name: name, subject: .attack(rule), n: n, d: d, f: f,
      ways: [.fresh, .pool], yardstick: .mean, inputs: 4,
      check: .overall(tolerance: 1e-6, reference))
  }
}
