import ByzConformance
import ByzKit
import Foundation
import Testing

@Suite("Golden cases")
struct ConformanceTests {
  /// The cases that come with the project.
  static let bundled = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Conformance")

  private func run(_ directory: URL) async throws -> ConformanceReport {
    let conformance = try Conformance(directory: directory.path)
    return try await withActorPool(.threads(3)) { try await conformance.run(on: $0) }
  }

  /// A directory with one of the bundled cases, with `number` put into its expectation, and nothing else.
  private func withCase(
    _ id: String, putting number: Double? = nil, at position: Int = 0, invalid: String = "[]",
    _ body: (URL) async throws -> Void
  ) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "case-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: folder.appending(path: "vectors"), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let cases = try String(
      contentsOf: Self.bundled.appending(path: "cases.json"), encoding: .utf8)
    let line = try #require(cases.split(separator: "\n").first { $0.contains("\"\(id)\"") })
    let entry = line.hasSuffix(",") ? line.dropLast() : line
    try "[\(entry)]".write(
      to: folder.appending(path: "cases.json"), atomically: true, encoding: .utf8)
    try invalid.write(
      to: folder.appending(path: "invalid.json"), atomically: true, encoding: .utf8)
    let names = entry.split(separator: "\"").filter { $0.hasPrefix("vectors/") }.map(String.init)
    try FileManager.default.copyItem(
      at: Self.bundled.appending(path: names[0]), to: folder.appending(path: names[0]))
    let expected = try Tensor<Double>(npy: Self.bundled.appending(path: names[1]).path)
    var numbers = expected.elements
    if let number { numbers[position] = number }
    try Tensor(numbers, shape: expected.shape).write(npy: folder.appending(path: names[1]).path)
    try await body(folder)
  }

  @Test("every bundled case passes by the direct call and on a pool")
  func bundledCases() async throws {
    let report = try await run(Self.bundled)
    #expect(report.failures == [])
    #expect(report.passed == 396 + 117 + 3)
  }

  @Test("one number beyond the tolerance fails its case, and the report says which")
  func wrongNumber() async throws {
    try await withCase("median-04") { folder in
      let report = try await run(folder)
      #expect(report.passed == 1)
    }
    try await withCase("median-04", putting: 1e6, at: 2) { folder in
      let report = try await run(folder)
      #expect(report.passed == 0)
      #expect(report.failures.map(\.id) == ["median-04"])
      #expect(report.failures.first?.reason.hasPrefix("element 2 is ") == true)
    }
  }

  @Test("infinity is met by the same infinity only, NaN by anything that is not finite")
  func nonFinite() async throws {
    for (want, passes) in [
      (Double.infinity, true), (-.infinity, false), (.nan, true), (1e300, false),
    ] {
      try await withCase("inf-01", putting: want) { folder in
        let report = try await run(folder)
        #expect(report.failures.isEmpty == passes)
      }
    }
  }

  @Test("a case whose input is missing fails, and the others still run")
  func missingInput() async throws {
    try await withCase("mean-04", invalid: Self.acceptable) { folder in
      for file in try FileManager.default.contentsOfDirectory(
        at: folder.appending(path: "vectors"), includingPropertiesForKeys: nil)
      { try FileManager.default.removeItem(at: file) }
      let report = try await run(folder)
      #expect(report.failures.map(\.id) == ["mean-04", "invalid-2"])
      #expect(report.passed == 1)
    }
  }

  /// One call that is refused, and one that is not.
  private static let acceptable = """
    [{"id": "invalid-1", "operator": "krum", "parameters": {"f": 9}, "expect": "reject", "n": 4, "d": 2},
     {"id": "invalid-2", "operator": "krum", "parameters": {"f": 1}, "expect": "reject", "n": 4, "d": 2}]
    """

  @Test("an operator that is not there is a failure, not a refusal")
  func unknownOperator() async throws {
    let entry = """
      [{"id": "x", "operator": "crumb", "parameters": {}, "expect": "reject", "n": 4, "d": 2}]
      """
    try await withCase("mean-04", invalid: entry) { folder in
      let report = try await run(folder)
      #expect(report.failures.map(\.id) == ["x"])
      #expect(report.failures.first?.reason.contains("Did you mean") == true)
    }
  }

  @Test("a directory without cases, or with malformed ones, is refused with the place")
  func malformed() async throws {
    #expect(throws: ConformanceError.self) { try Conformance(directory: "/nonexistent") }
    try await withCase("mean-04", invalid: "[{\"id\": 3}]") { folder in
      #expect(
        throws: ConformanceError.malformed(
          path: folder.appending(path: "invalid.json").path,
          reason: "entry 0, id, Expected to decode String but found number instead.")
      ) { try Conformance(directory: folder.path) }
    }
    try await withCase("mean-04", invalid: "[") { folder in
      #expect(throws: ConformanceError.self) { try Conformance(directory: folder.path) }
    }
  }
}
