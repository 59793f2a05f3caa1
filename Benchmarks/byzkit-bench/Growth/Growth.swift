import ArgumentParser
import ByzKit
import Foundation

/// Times rules from short vectors to long ones and from few to many, beside the floor at the same footprint.
struct Growth: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time rules as n and d grow, beside the floor at the same size.",
    discussion: """
      n = 8 to 1,024 vectors of 10^4 to 10^8 numbers in single and double precision, as far as --memory goes: an input takes so \
      much, and what the floor is measured on is the input itself. A promise is kept by a rule, n and precision if the ratio to the \
      floor stays within 1.5 of its smallest from the shortest to the longest vectors.
      """)

  @Option(help: "The largest input in MiB; the promise is about 8192.") var memory = 2048
  @Option(help: "Only rules whose name contains this.") var filter: String?
  @Option(help: "Where to write a chart.") var svg: String?
  @Option(help: "Where to write the tables for a document.") var markdown: String?
  @Flag(help: "Fail if a promise is not kept.") var check = false

  func run() async throws {
    print(Machine.current.description, terminator: "\n\n")
    let rules = GrowthRule.all.filter {
      filter.map($0.name.lowercased().contains) ?? true
    }
    var points: [GrowthPoint] = []
    let measurement = RateMeasurement()
    let arithmetic = [4: measurement.arithmetic(size: 4), 8: measurement.arithmetic(size: 8)]
    for n in [8, 32, 128, 1024] {
      for power in 4...8 {
        let d = Int(pow(10, Double(power)))
        guard n * d * 4 <= memory << 20 else { continue }
        points += try measure(rules, Float.self, n, d, arithmetic[4]!)
        guard n * d * 8 <= memory << 20 else { continue }
        points += try measure(rules, Double.self, n, d, arithmetic[8]!)
      }
    }
    let curves = GrowthCurve.all(of: points)
    let verdicts = [GrowthCurve.verdict(on: curves)]
    print("\n\(verdicts.grid.text)")
    if let svg {
      try GrowthCurve.chart(of: curves).svg.write(toFile: svg, atomically: true, encoding: .utf8)
    }
    if let markdown {
      let text =
        "# \(Machine.current.processor)\n\n```text\n\(Machine.current.description)\n```\n\n"
        + "\(points.grid.markdown)\n\n\(verdicts.grid.markdown)\n"
      try text.write(toFile: markdown, atomically: true, encoding: .utf8)
    }
    if check, verdicts.contains(where: { $0.isKept == false }) { throw ExitCode.failure }
  }

  private func measure<Element: TensorElement>(
    _ rules: [GrowthRule], _ type: Element.Type, _ n: Int, _ d: Int, _ arithmetic: Rates
  ) throws -> [GrowthPoint] {
    let shape = Shape(n: n, d: d, size: MemoryLayout<Element>.stride)
    // What is larger than any cache needs no turns.
    let inputs = (0..<(shape.byteCount > 256 << 20 ? 1 : 3)).map {
      Tensor<Element>.normal(shape: [n, d], key: RandomKey(UInt64($0)))
    }
    let rates = arithmetic.withMemory(
      reading: inputs.map { $0.withUnsafeBufferPointer { UnsafeRawBufferPointer($0) } },
      writing: d * shape.size)
    return try rules.map { rule in
      let point = GrowthPoint(
        rule: rule.name, n: n, d: d, isDouble: shape.size == 8,
        seconds: try time(rule.rule(n), on: inputs), floor: rates.floor(of: rule.method(n)(shape)))
      print(point.cells.joined(separator: "  "))
      return point
    }
  }

  /// The median of at least three calls into memory that is used again, and for half a second.
  private func time<Element: TensorElement>(
    _ rule: any Aggregator, on inputs: [Tensor<Element>]
  ) throws -> Double {
    let rows = inputs.map(\.rows)
    var out = Tensor<Element>(repeating: 0, shape: rows[0][0].shape)
    try rule.aggregate(rows[0], into: &out)
    var times: [Double] = []
    let clock = ContinuousClock()
    while times.count < 3 || (times.reduce(0, +) < 0.5 && times.count < 1000) {
      let start = clock.now
      try rule.aggregate(rows[times.count % rows.count], into: &out)
      times.append((clock.now - start) / .seconds(1))
    }
    return Times.median(times)
  }
}

/// A rule of each kind: bound by memory, by minima and maxima, by differences, by products.
struct GrowthRule: Sendable {
  let name: String
  let rule: @Sendable (Int) -> any Aggregator
  let method: @Sendable (Int) -> Floors.Method

  static let all = [
    GrowthRule(name: "mean", rule: { _ in Mean() }, method: { _ in Floors.mean }),
    GrowthRule(name: "median", rule: { _ in Median() }, method: { _ in Floors.median }),
    GrowthRule(
      name: "multiKrum", rule: { MultiKrum(f: $0 / 4, q: $0 / 2) },
      method: { Floors.selection(of: $0 / 2) }),
    GrowthRule(
      name: "geometricMedian", rule: { _ in GeometricMedian() }, method: { _ in Floors.iteration }),
  ]
}
