import ByzKit
import Foundation

/// What this machine has and what ByzKit uses of it.
struct Diagnosis: Encodable {
  struct Kernels: Encodable {
    /// The variant in use.
    let selected: KernelVariant
    let available: [KernelVariant]
    /// The processor's features that decide it, in the kernel's words.
    let features: [String]
  }

  struct LinearAlgebra: Encodable {
    /// The processor whose kernels OpenBLAS runs; nil without OpenBLAS.
    let core: String?
    let configuration: String?
    let threadsPerProduct: Int?
  }

  struct Missing: Encodable {
    let what: String
    let why: String
    let remedy: String
  }

  let version: String
  let processor: String
  let kernels: Kernels
  let blas: LinearAlgebra
  /// Processors that this process may use: the threads of a pool.
  let threads: Int
  let numa: LibraryProbe
  /// For information: nothing here uses it, so that it is never missing.
  let cuda: LibraryProbe
  let ucx: LibraryProbe
  /// A round trip over each backend.
  let backends: [BackendProbe]
  let missing: [Missing]

  init(backends: [BackendProbe]) {
    self.backends = backends
    let information = ProcessorInformation()
    version = toolVersion
    processor = information.name
    kernels = Kernels(
      selected: .selected, available: KernelVariant.allCases.filter(\.isAvailable),
      features: information.features)
    blas = LinearAlgebra(
      core: BLAS.coreName, configuration: BLAS.configuration, threadsPerProduct: BLAS.threadCount)
    threads = ProcessInfo.processInfo.activeProcessorCount
    (numa, cuda, ucx) = (.numa(), .cuda(), .ucx())
    missing = Self.missing(numa: numa, ucx: ucx)
  }

  private static func missing(numa: LibraryProbe, ucx: LibraryProbe) -> [Missing] {
    var missing: [Missing] = []
    do {
      try BLAS.load()
    } catch {
      missing.append(
        Missing(
          what: "OpenBLAS", why: "\(error)",
          remedy: "apt-get install libopenblas0-pthread: models cannot be trained without it"))
    }
    let optional = [
      (
        "NUMA", numa,
        "apt-get install libnuma1: to place workers on machines with several memory nodes"
      ),
      ("UCX", ucx, "apt-get install libucx0: only workers behind InfiniBand or RoCE need it"),
    ]
    for (what, probe, remedy) in optional {
      if let problem = probe.problem {
        missing.append(Missing(what: what, why: problem, remedy: remedy))
      }
    }
    return missing
  }

  /// The report for people.
  var text: String {
    var lines = [
      ("byzkit", version),
      ("processor", processor),
      ("features", kernels.features.isEmpty ? "unknown" : kernels.features.joined(separator: " ")),
      (
        "kernels",
        "\(kernels.selected.rawValue), of \(kernels.available.map(\.rawValue).joined(separator: ", "))"
      ),
      (
        "BLAS",
        BLAS.identity.map { "\($0), \(blas.threadsPerProduct ?? 1) thread(s) per product" }
          ?? "none"
      ),
      ("threads", "\(threads)"),
      ("NUMA", numa.text), ("CUDA", cuda.text), ("UCX", ucx.text),
    ].map { $0.padding(to: 12) + $1 }
    lines.append("Backends:")
    for backend in backends {
      lines += ["  \(backend.name.padding(to: 10))\(backend.text)", "    needs \(backend.needs)"]
    }
    lines.append(missing.isEmpty ? "Nothing is missing." : "Missing:")
    for item in missing {
      lines += ["  \(item.what): \(item.why)", "    \(item.remedy)"]
    }
    return lines.joined(separator: "\n")
  }
}

/// What the system says about the processor.
struct ProcessorInformation {
  private(set) var name = "unknown"
  private(set) var features: [String] = []

  /// Those that kernels here or in OpenBLAS are chosen by.
  private static let relevant = [
    "avx", "fma", "f16c", "avx2", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "sve",
  ]

  init() {
    guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else { return }
    for line in text.split(separator: "\n") {
      let sides = line.split(separator: ":", maxSplits: 1).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      guard sides.count == 2 else { continue }
      switch sides[0] {
      case "model name": name = sides[1]
      case "flags", "Features":
        let words = Set(sides[1].split(separator: " ").map(String.init))
        features = Self.relevant.filter(words.contains)
        return
      default: continue
      }
    }
  }
}
