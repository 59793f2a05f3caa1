import ByzKit
import Foundation

/// Where a run took place: what its figures depend on.
struct Machine: Codable {
  let processor: String
  let processors: Int
  let kernels: String
  let blas: String
  let memory: String
  let system: String
  let load: String

  static var current: Machine {
    let information = lines("/proc/cpuinfo")
    let model = information.first { $0.hasPrefix("model name") }?.split(separator: ":").last
    // Virtual machines often hide the name's last part; family and model say which it is.
    let family = ["cpu family", "model"].compactMap { key in
      let line = information.first { $0.split(separator: "\t").first == Substring(key) }
      return line?.split(separator: " ").last.map { "\(key) \(String($0))" }
    }
    let name = model?.trimmingCharacters(in: .whitespaces) ?? "unknown"
    return Machine(
      processor: ([name] + family).joined(separator: ", "),
      processors: ProcessInfo.processInfo.activeProcessorCount,
      kernels: KernelVariant.selected.rawValue,
      blas: BLAS.coreName.map { "OpenBLAS \($0), \(BLAS.threadCount ?? 0) thread" } ?? "none",
      memory: ([memory] + caches).joined(separator: "; "),
      system: lines("/proc/version").first?.split(separator: " ").prefix(3)
        .joined(separator: " ") ?? "unknown",
      load: lines("/proc/loadavg").first ?? "unknown")
  }

  private static var memory: String {
    String(format: "%.1f GiB", Double(ProcessInfo.processInfo.physicalMemory) / 1_073_741_824)
  }

  /// Of the first processor, from the smallest on.
  private static var caches: [String] {
    (0..<8).compactMap { index in
      let folder = "/sys/devices/system/cpu/cpu0/cache/index\(index)/"
      guard let level = lines(folder + "level").first, let size = lines(folder + "size").first,
        lines(folder + "type").first != "Instruction"
      else { return nil }
      return "L\(level) \(size)"
    }
  }

  private static func lines(_ path: String) -> [String] {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map(String.init)
  }

  /// What makes OpenBLAS slower than it can be on this processor; nil if nothing does.
  var warning: String? {
    guard KernelVariant.avx512.isAvailable, let core = BLAS.coreName,
      !["SkylakeX", "Cooperlake", "SapphireRapids"].contains(core)
    else { return nil }
    return "OpenBLAS runs its \(core) kernels: run with 'env -u OPENBLAS_CORETYPE' for AVX-512."
  }

  var description: String {
    """
    processor  \(processor); \(processors) visible
    kernels    \(kernels)
    BLAS       \(blas)
    memory     \(memory)
    system     \(system)
    load       \(load)
    """
  }
}
