import Foundation

/// The three files of a directory of cases.
struct ConformanceDirectory {
  let path: String
  let golden: [GoldenCase]
  let invalid: [InvalidCase]
  let statistical: [StatisticalCase]

  /// Reads `cases.json`, and `invalid.json` and `statistical.json` if they are there.
  init(path: String) throws(ConformanceError) {
    self.path = path
    golden = try Self.read("cases.json", in: path)
    invalid = try Self.readIfPresent("invalid.json", in: path)
    statistical = try Self.readIfPresent("statistical.json", in: path)
    for entry in golden {
      guard entry.rtol >= 0, entry.atol >= 0 else {
        throw .malformed(
          path: Self.join(path, "cases.json"), reason: "\(entry.id): a tolerance is negative")
      }
    }
    for entry in invalid where entry.contents == nil {
      // As many numbers as a test could want; a file must not make this process ask for all memory.
      guard let n = entry.n, let d = entry.d, (0...100_000).contains(n), (0...100_000).contains(d)
      else {
        throw .malformed(
          path: Self.join(path, "invalid.json"),
          reason: "\(entry.id): needs contents, or n and d from 0 to 100000")
      }
    }
    for entry in statistical where !(1...100_000_000).contains(entry.d) {
      throw .malformed(
        path: Self.join(path, "statistical.json"),
        reason: "d = \(entry.d), which must be from 1 to 100000000")
    }
  }

  /// The path of a file that a case names.
  func file(_ name: String) -> String { Self.join(path, name) }

  private static func join(_ directory: String, _ name: String) -> String {
    URL(filePath: directory, directoryHint: .isDirectory).appending(path: name).path
  }

  private static func readIfPresent<Entry: Decodable>(
    _ name: String, in directory: String
  ) throws(ConformanceError) -> [Entry] {
    FileManager.default.fileExists(atPath: join(directory, name))
      ? try read(name, in: directory) : []
  }

  private static func read<Entry: Decodable>(
    _ name: String, in directory: String
  ) throws(ConformanceError) -> [Entry] {
    let path = join(directory, name)
    guard FileManager.default.fileExists(atPath: path) else {
      throw .unreadable(path: path, reason: "there is no such file")
    }
    let data: Data
    do {
      data = try Data(contentsOf: URL(filePath: path))
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    do {
      return try JSONDecoder().decode([Entry].self, from: data)
    } catch let error as DecodingError {
      throw .malformed(path: path, reason: error.oneLine)
    } catch {
      throw .malformed(path: path, reason: "\(error)")
    }
  }
}

extension DecodingError {
  /// Where and what, such as `entry 3, rtol: Expected to decode Double but found a string instead.`
  fileprivate var oneLine: String {
    let (context, key): (Context, String?) =
      switch self {
      case .keyNotFound(let key, let context): (context, key.stringValue)
      case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .dataCorrupted(let context):
        (context, nil)
      @unknown default: (Context(codingPath: [], debugDescription: "\(self)"), nil)
      }
    let place = context.codingPath.map { $0.intValue.map { "entry \($0)" } ?? $0.stringValue }
    let what = key.map { "'\($0)' is missing" } ?? context.debugDescription
    return (place + [what]).joined(separator: ", ")
  }
}
