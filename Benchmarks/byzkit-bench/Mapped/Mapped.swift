import ArgumentParser
import ByzKit
import ByzRuntime
import Foundation

/// Times rules on files that are mapped, with mapped outputs, beside the same rules on memory.
struct Mapped: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Time rules on mapped files: in the page cache, from the disk, and larger than memory.",
    discussion: """
      64 vectors in one file. 'cached' compares mapped input and output with memory; 'cold' has the file's pages dropped before each \
      call, and compares with read(), in turns. With --beyond-memory the file has 1.25 times the machine's memory, so \
      that every pass of a rule comes from the disk; that takes as much room in --folder, and long.
      """)

  @Option(help: "The file's size in MiB.") var mib = 512
  @Flag(help: "Make the file larger than memory.") var beyondMemory = false
  @Option(help: "Where to write the files: on a disk.") var folder = NSTemporaryDirectory()
  @Option(help: "Only rules whose name contains this.") var filter: String?
  @Flag(help: "Fail if a promise is not kept.") var check = false

  private static let n = 64

  func run() async throws {
    print(Machine.current.description, terminator: "\n\n")
    let scratch = try Scratch(in: folder)
    defer { scratch.remove() }
    let bytes = beyondMemory ? Int(ProcessInfo.processInfo.physicalMemory) / 4 * 5 : mib << 20
    let rules = MappedRule.all.filter { filter.map($0.name.lowercased().contains) ?? true }
    let short = try MappedFile(in: scratch.url, n: Self.n, d: 1 << 16)
    let file = try MappedFile(in: scratch.url, n: Self.n, d: bytes / 4 / Self.n)
    var results: [MappedResult] = []
    for rule in rules {
      var result = MappedResult(rule: rule.name, passes: rule.passes)
      if !beyondMemory {
        (result.heap, result.cached) = try await file.timesInMemory(rule, scratch: scratch.url)
      }
      // In turns: a disk that others use, or that is rationed, is twice as fast in one second as in the next.
      for _ in 0..<(beyondMemory ? 1 : 5) {
        let reading = try file.readTime()
        let cold = try await file.timeFromDisk(rule, scratch: scratch.url)
        // A file that fits is read from the disk once.
        result.fromDisk.append((cold.seconds, (beyondMemory ? Double(rule.passes) : 1) * reading))
        result.rssAnonLong = max(result.rssAnonLong, cold.rssAnon)
      }
      result.rssAnonShort = try await short.timeFromDisk(rule, scratch: scratch.url).rssAnon
      results.append(result)
      print(result.line)
    }
    let verdicts = results.verdicts
    print("\n\(results.grid.text)\n\n\(verdicts.grid.text)")
    if check, verdicts.contains(where: { $0.isKept == false }) { throw ExitCode.failure }
  }
}

/// A rule, and how often it reads its input.
struct MappedRule: Sendable {
  let name: String
  let rule: any Rule
  let passes: Int
  /// How many vectors come out of n.
  var outputs: @Sendable (Int) -> Int = { _ in 1 }

  static let all = [
    MappedRule(name: "mean", rule: Mean(), passes: 1),
    MappedRule(name: "median", rule: Median(), passes: 1),
    MappedRule(name: "trimmedMean", rule: TrimmedMean(f: 8), passes: 1),
    MappedRule(name: "multiKrum", rule: MultiKrum(f: 8, q: 40), passes: 2),
    MappedRule(name: "geometricMedian", rule: GeometricMedian(), passes: 2),
    MappedRule(name: "cge", rule: CGE(f: 8), passes: 2),
    MappedRule(name: "clipping", rule: Clipping(threshold: 2), passes: 2, outputs: { $0 }),
  ]
}
