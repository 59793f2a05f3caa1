import Foundation

/// One rule on one shape.
package struct GrowthPoint: Sendable {
  package var rule: String
  package var n: Int
  package var d: Int
  package var isDouble: Bool
  package var seconds: Double
  package var floor: Floor

  package init(rule: String, n: Int, d: Int, isDouble: Bool, seconds: Double, floor: Floor) {
    self.rule = rule
    self.n = n
    self.d = d
    self.isDouble = isDouble
    self.seconds = seconds
    self.floor = floor
  }

  package var ratio: Double { seconds / floor.seconds }

  var cells: [String] {
    [
      rule, isDouble ? "Double" : "Float", "\(n)", "\(d)", digits(seconds), digits(floor.seconds),
      String(format: "%.2f", ratio), floor.bound.rawValue,
    ]
  }
}

extension [GrowthPoint] {
  var grid: Grid {
    Grid(
      ["rule", "numbers", "n", "d", "ms", "floor", "x", "bound by"], words: [0, 1, 7],
      lines: map(\.cells))
  }
}

/// A rule with n vectors of one precision, as d grows.
package struct GrowthCurve: Sendable {
  package var name: String
  package var points: [GrowthPoint]

  package static func all(of points: [GrowthPoint]) -> [GrowthCurve] {
    let named = points.map { ("\($0.rule) n=\($0.n) \($0.isDouble ? "Double" : "Float")", $0) }
    let names = named.reduce(into: [String]()) { if !$0.contains($1.0) { $0.append($1.0) } }
    return names.map { name in
      GrowthCurve(name: name, points: named.filter { $0.0 == name }.map(\.1))
    }
  }

  /// The largest ratio to the floor over the smallest; nil with fewer than two lengths.
  package var spread: Double? {
    guard points.count > 1, let low = points.map(\.ratio).min(),
      let high = points.map(\.ratio).max()
    else { return nil }
    return high / low
  }

  package static func verdict(on curves: [GrowthCurve]) -> Verdict {
    Verdict(
      "the ratio to the floor stays within 1.5x as d grows",
      each: curves.compactMap { curve in
        curve.spread.map { (curve.name, "\(ratio($0))x", $0 <= 1.5) }
      })
  }

  package static func chart(of curves: [GrowthCurve]) -> Curves {
    Curves(
      title: "Time over the floor as vectors grow", horizontal: "d", vertical: "time / floor",
      curves: curves.map { curve in
        .init(curve.name, points: curve.points.map { (Double($0.d), $0.ratio) })
      })
  }
}
