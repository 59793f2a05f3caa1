import ArgumentParser
import ByzKit

/// Parameters of rules as options of their own. Each goes to every rule of the command that has a parameter of this name and is
/// given neither it nor one that excludes it in `NAME:key=value`.
struct RuleOptions: ParsableArguments {
  @Option(parsing: .unconditional, help: "The number of Byzantine vectors to tolerate.")
  var f: String?
  @Option(parsing: .unconditional, help: "How many vectors multiKrum averages.")
  var q: String?
  @Option(parsing: .unconditional, help: "The clipping radius of centeredClipping.")
  var tau: String?
  @Option(parsing: .unconditional, help: "The iterations of centeredClipping.")
  var iterations: String?
  @Option(parsing: .unconditional, help: "Where centeredClipping starts: mean, median or zero.")
  var `init`: String?
  @Option(parsing: .unconditional, help: "The index of the vector that monna trusts.")
  var reference: String?
  @Option(
    parsing: .unconditional, help: "The share that trimmedMean drops at either end, instead of f.")
  var ratio: String?
  @Option(parsing: .unconditional, help: "What median takes for even n: midpoint or lower.")
  var middle: String?
  @Option(parsing: .unconditional, help: "How many neighbours krum counts: standard or paper.")
  var neighbors: String?
  @Option(parsing: .unconditional, help: "The weights of weightedMean, as in 1,2,1.")
  var weights: String?
  @Option(parsing: .unconditional, help: "The most search steps of mda and smea.")
  var searchLimit: String?
  @Option(parsing: .unconditional, help: "The length that clipping clips to.")
  var threshold: String?
  @Option(parsing: .unconditional, help: "The vectors in one bucket.")
  var size: String?
  @Option(parsing: .unconditional, help: "The order for bucketing, as in 2,0,1.")
  var permutation: String?
  @Option(parsing: .unconditional, help: "A random order for bucketing.")
  var seed: String?

  var given: GivenParameters {
    GivenParameters([
      "f": f, "q": q, "tau": tau, "iterations": iterations, "init": `init`, "reference": reference,
      "ratio": ratio, "middle": middle, "neighbors": neighbors, "weights": weights,
      "searchLimit": searchLimit, "threshold": threshold, "size": size, "permutation": permutation,
      "seed": seed,
    ])
  }
}

/// Parameters of attacks as options.
struct AttackOptions: ParsableArguments {
  @Option(
    parsing: .unconditional, help: "The number of attackers: little, optimalALIE, optimalIPM.")
  var f: String?
  @Option(
    name: .customLong("N"), parsing: .unconditional, help: "The number of all workers: little.")
  var workers: String?
  @Option(parsing: .unconditional, help: "A factor: empire, signFlip, scaling, random.")
  var scale: String?
  @Option(parsing: .unconditional, help: "The strength of ipm and alie.")
  var tau: String?
  @Option(parsing: .unconditional, help: "The mean of gaussian.")
  var mu: String?
  @Option(parsing: .unconditional, help: "The standard deviation of gaussian.")
  var sigma: String?
  @Option(parsing: .unconditional, help: "The index of the worker that mimic copies.")
  var epsilon: String?
  @Option(parsing: .unconditional, help: "How far modelReplacement overshoots.")
  var gamma: String?
  @Option(parsing: .unconditional, help: "Which label becomes which, as in 3:5,5:3: labelFlip.")
  var mapping: String?
  @Option(parsing: .unconditional, help: "Aggregations that optimalALIE and optimalIPM may make.")
  var evals: String?
  @Option(parsing: .unconditional, help: "The first strength that they try.")
  var start: String?
  @Option(parsing: .unconditional, help: "Their first step.")
  var delta: String?
  @Option(parsing: .unconditional, help: "What their steps shrink by.")
  var ratio: String?

  var given: GivenParameters {
    GivenParameters([
      "f": f, "N": workers, "scale": scale, "tau": tau, "mu": mu, "sigma": sigma,
      "epsilon": epsilon, "gamma": gamma, "mapping": mapping, "evals": evals, "start": start,
      "delta": delta, "ratio": ratio,
    ])
  }
}

/// The parameters that stood on the command line as options.
struct GivenParameters {
  private let values: [String: ParameterValue]
  private var unused: Set<String>

  init(_ texts: [String: String?]) {
    // Options may use the usual signs; `NAME:key=value,…` needs them for itself.
    values = texts.compactMapValues { $0 }.mapValues { text in
      ParameterValue(
        parsing: String(text.map { $0 == "," ? "/" : $0 == ":" ? ">" : $0 }))
    }
    unused = Set(values.keys)
  }

  /// Takes a parameter that is not one of a rule.
  mutating func take(_ name: String) -> ParameterValue? {
    unused.remove(name)
    return values[name]
  }

  /// Makes what `entry` describes from the parameters in `text` and those given as options.
  mutating func make<Product>(
    _ entry: CatalogEntry<Product>, _ specification: RuleSpecification
  ) throws -> Product {
    var specification = specification
    unused.subtract(specification.setDefaults(values, for: entry))
    do {
      return try entry.make(specification.parameters)
    } catch {
      switch error {
      case .missingParameter(let name):
        let range = entry.parameters.first { $0.name == name }?.range ?? "a value"
        throw Failure("\(entry.name) needs the parameter \(name): \(range).")
      case .wrongParameter(let name, let expected):
        throw Failure("\(entry.name): the parameter \(name) must be \(expected).")
      default: throw error
      }
    }
  }

  /// Refuses options that nothing on the command line has taken.
  func requireAllUsed(by name: String, parameters: [ParameterInfo]) throws {
    guard let first = unused.min() else { return }
    guard !parameters.contains(where: { $0.name == first }) else {
      throw Failure(
        "\(Self.flag(first)) would be ignored: what is written with \(name) says it already, or something else in its place."
      )
    }
    throw CatalogError.unknownParameter(first, of: name, known: parameters.map(\.name))
  }

  /// The option for a parameter: `--search-limit` for `searchLimit`, `--N` for `N`.
  private static func flag(_ name: String) -> String {
    name.dropFirst().reduce(into: "--\(name.prefix(1))") { flag, letter in
      flag += letter.isUppercase ? "-\(letter.lowercased())" : "\(letter)"
    }
  }
}
