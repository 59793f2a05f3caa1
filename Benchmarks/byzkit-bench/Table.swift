import ByzKit

/// All rows: what `byzkit-bench` knows.
enum Table {
  static let rows = columns + distances + searches + iterations + networks + rules

  /// Rules per coordinate beside the mean. Sizes that are no powers of two have other networks.
  private static let columns = [8, 10, 16, 25, 32, 50, 64].flatMap { n -> [Row] in
    let f = max(1, n / 8)
    let size = "\(n)x65536"
    func row(
      _ name: String, _ rule: any Aggregator, limit: Double,
      _ reference: @escaping Compute
    ) -> Row {
      Row(
        group: "columns", name: name, subject: .aggregator(rule), n: n, d: 65_536, f: f,
        yardstick: .mean, limit: .ratio(limit), check: .overall(tolerance: 1e-6, reference))
    }
    return [
      row("median \(size)", .median, limit: 3) { Reference.median($0) },
      row("trimmed mean \(size) f\(f)", .trimmedMean(f: f), limit: 3.5) {
        Reference.trimmedMean($0, f: f)
      },
      row("MeaMed \(size) f\(f)", .meanAroundMedian(f: f), limit: 4) {
        Reference.meanAroundMedian($0, f: f)
      },
    ]
  }

  private static let distances = [DataKind.gaussian, .offset].map { data in
    Row(
      group: "distances", name: "distances 80x65536", subject: .distances, n: 80, d: 65_536,
      data: data, ways: [.fresh], yardstick: .ssyrk, limit: .ratio(1),
      check: .each(tolerance: 1e-6, Reference.squaredDistances))
  }

  private static let searches = [
    Row(
      group: "searches", name: "MDA 30x2048 f10", subject: .aggregator(.mda(f: 10)), n: 30,
      d: 2_048, f: 10, limit: .milliseconds(2), inputs: 10,
      check: .overall(tolerance: 1e-6) { Reference.mda($0, f: 10) }),
    Row(
      group: "searches", name: "SMEA 16x4096 f5", subject: .aggregator(.smea(f: 5)), n: 16,
      d: 4_096, f: 5, limit: .milliseconds(2), inputs: 10,
      check: .overall(tolerance: 1e-6) { Reference.smea($0, f: 5) }),
  ]

  /// Rules that iterate, beside one pass of distances: iterations should cost next to nothing.
  private static let iterations = [DataKind.gaussian, .alie].flatMap { data in
    iterative.map { name, rule, check in
      Row(
        group: "iterations", name: name, subject: .aggregator(rule), n: 64, d: 65_536, f: 8,
        data: data, yardstick: .distances, limit: .ratio(2), check: check)
    }
  }

  private static let iterative: [(String, any Aggregator, Check)] = [
    (
      "geometric median 64x65536", .geometricMedian,
      .overall(tolerance: 2e-4, Reference.geometricMedian)
    ),
    (
      "centered clipping 64x65536 tau0.1 10 times", .centeredClipping(tau: 0.1, iterations: 10),
      .overall(tolerance: 5e-5) { Reference.centeredClipping($0, tau: 0.1, iterations: 10) }
    ),
    (
      "CAF 64x65536 f8", .caf(f: 8),
      .overall(tolerance: 1e-4) { Reference.caf($0, f: 8) }
    ),
  ]

  private static let networks = [
    Row(
      group: "networks", name: "cnn gradient 64 images",
      subject: .gradient(ConvolutionalNetwork()), n: 64, d: 28 * 28,
      check: .gradient(tolerance: 1e-4))
  ]
}
