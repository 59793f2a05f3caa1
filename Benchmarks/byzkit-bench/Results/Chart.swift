import Foundation

/// A chart with a logarithmic scale from left to right, as SVG.
package struct Chart: Sendable {
  /// Marks on one line: where, and of which kind.
  package struct Line: Sendable {
    package var name: String
    package var marks: [(kind: String, value: Double)]

    package init(_ name: String, marks: [(kind: String, value: Double)]) {
      self.name = name
      self.marks = marks
    }
  }

  package var title: String
  package var unit: String
  package var lines: [Line]

  package init(title: String, unit: String, lines: [Line]) {
    self.title = title
    self.unit = unit
    self.lines = lines
  }

  private static let colours = [
    "#d62728", "#7f7f7f", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2",
  ]

  package var svg: String {
    let kinds = lines.reduce(into: [String]()) { kinds, line in
      kinds += line.marks.map(\.kind).filter { !kinds.contains($0) }
    }
    let values = lines.flatMap { $0.marks.map(\.value) }.filter { $0 > 0 && $0.isFinite }
    let low = floor(log10(values.min() ?? 1))
    let high = max(low + 1, ceil(log10(values.max() ?? 10)))
    let (left, right, top, height) = (290.0, 860.0, 64.0, 22.0)
    let bottom = top + height * Double(lines.count)
    let x = { (value: Double) in left + (right - left) * (log10(value) - low) / (high - low) }
    var body: [String] = []
    for power in Int(low)...Int(high) {
      let at = x(pow(10, Double(power)))
      body.append(
        "<line x1=\"\(at)\" y1=\"\(top)\" x2=\"\(at)\" y2=\"\(bottom)\" stroke=\"#dddddd\"/>")
      body.append(
        text("\(pow(10, Double(power)).formatted()) \(unit)", at, bottom + 16, anchor: "middle"))
    }
    for (k, line) in lines.enumerated() {
      let y = top + height * (Double(k) + 0.5)
      body.append(text(line.name, left - 8, y + 4, anchor: "end"))
      for mark in line.marks where mark.value > 0 && mark.value.isFinite {
        let colour = Self.colour(kinds.firstIndex(of: mark.kind))
        body.append("<circle cx=\"\(x(mark.value))\" cy=\"\(y)\" r=\"4\" fill=\"\(colour)\"/>")
      }
    }
    for (k, kind) in kinds.enumerated() {
      let at = left + Double(k) * 95
      body.append("<circle cx=\"\(at)\" cy=\"44\" r=\"4\" fill=\"\(Self.colour(k))\"/>")
      body.append(text(kind, at + 8, 48))
    }
    body.append(text(title, 12, 22, size: 15))
    return document(width: right + 40, height: bottom + 30, body)
  }

  static func colour(_ index: Int?) -> String { colours[(index ?? 0) % colours.count] }
}

/// Curves over a logarithmic scale, as SVG.
package struct Curves: Sendable {
  package struct Curve: Sendable {
    package var name: String
    package var points: [(x: Double, y: Double)]

    package init(_ name: String, points: [(x: Double, y: Double)]) {
      self.name = name
      self.points = points
    }
  }

  package var title: String
  package var horizontal: String
  package var vertical: String
  package var curves: [Curve]

  package init(title: String, horizontal: String, vertical: String, curves: [Curve]) {
    self.title = title
    self.horizontal = horizontal
    self.vertical = vertical
    self.curves = curves
  }

  package var svg: String {
    let points = curves.flatMap(\.points)
    let low = floor(log10(points.map(\.x).min() ?? 1))
    let high = max(low + 1, ceil(log10(points.map(\.x).max() ?? 10)))
    let most = ceil(max(1, points.map(\.y).max() ?? 1))
    let (left, right, top, bottom) = (60.0, 640.0, 50.0, 420.0)
    let x = { (value: Double) in left + (right - left) * (log10(value) - low) / (high - low) }
    let y = { (value: Double) in bottom - (bottom - top) * value / most }
    var body: [String] = []
    for power in Int(low)...Int(high) {
      let at = x(pow(10, Double(power)))
      body.append(
        "<line x1=\"\(at)\" y1=\"\(top)\" x2=\"\(at)\" y2=\"\(bottom)\" stroke=\"#dddddd\"/>")
      body.append(text("1e\(power)", at, bottom + 18, anchor: "middle"))
    }
    for step in stride(from: 0, through: most, by: max(1, (most / 8).rounded(.up))) {
      body.append(
        "<line x1=\"\(left)\" y1=\"\(y(step))\" x2=\"\(right)\" y2=\"\(y(step))\" stroke=\"#eeeeee\"/>"
      )
      body.append(text(step.formatted(), left - 8, y(step) + 4, anchor: "end"))
    }
    for (k, curve) in curves.enumerated() {
      let path = curve.points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
      let colour = Chart.colour(k)
      let dashes = k < 8 ? "" : " stroke-dasharray=\"5 3\""
      body.append(
        "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.5\"\(dashes)/>"
      )
      body.append(
        "<line x1=\"\(right + 15)\" y1=\"\(top + 16 * Double(k))\" x2=\"\(right + 35)\" y2=\"\(top + 16 * Double(k))\" stroke=\"\(colour)\" stroke-width=\"2\"\(dashes)/>"
      )
      body.append(text(curve.name, right + 40, top + 4 + 16 * Double(k)))
    }
    body.append(text(title, 12, 22, size: 15))
    body.append(text(vertical, 12, 42))
    body.append(text(horizontal, (left + right) / 2, bottom + 38, anchor: "middle"))
    return document(
      width: right + 240, height: max(bottom + 50, top + 16 * Double(curves.count) + 20), body)
  }
}

private func document(width: Double, height: Double, _ body: [String]) -> String {
  """
  <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" font-family="sans-serif">
  <rect width="100%" height="100%" fill="white"/>
  \(body.joined(separator: "\n"))
  </svg>

  """
}

private func text(
  _ content: String, _ x: Double, _ y: Double, anchor: String = "start", size: Int = 11
) -> String {
  let escaped = content.replacingOccurrences(of: "&", with: "&amp;")
    .replacingOccurrences(of: "<", with: "&lt;").replacingOccurrences(of: ">", with: "&gt;")
  return
    "<text x=\"\(x)\" y=\"\(y)\" font-size=\"\(size)\" text-anchor=\"\(anchor)\">\(escaped)</text>"
}

extension RowReport {
  /// The rows on Gaussian data: floor, ByzKit and the others.
  package var chart: Chart {
    let rows = results.filter { $0.isPublished && $0.data == .gaussian }
    return Chart(
      title: "One core: milliseconds for each row", unit: "ms",
      lines: rows.map { row in
        Chart.Line(
          row.row,
          marks: [("ByzKit", 1e3 * row.own.median), ("floor", 1e3 * row.floor.seconds)]
            + peers.filter { !$0.contains(":") }.compactMap { name in
              row.peers[name].map { (name, 1e3 * $0.median) }
            })
      })
  }
}
