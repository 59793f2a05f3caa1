import Foundation

/// What this process has used so far.
struct Usage {
  /// Anonymous memory that is resident, in MiB.
  let rssAnon: Double
  /// Page faults that needed no reading.
  let pageFaults: Int

  static var current: Usage {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
    let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first
    return Usage(
      rssAnon: (kibibytes.flatMap { Double($0) } ?? .nan) / 1024, pageFaults: usage.ru_minflt)
  }
}
