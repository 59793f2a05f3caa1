import ArgumentParser
import ByzKit

struct AttackCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attack",
    abstract: "Make the vector that a Byzantine worker sends.",
    discussion: """
      The input is what the attack sees: the honest vectors, its own (signFlip, scaling), the global model and a target \
      (modelReplacement), or labels (labelFlip). See 'byzkit list attacks'.

        byzkit attack alie --tau 1.5 honest.npy -o sent.npy
        byzkit attack optimalIPM --f 2 --rule krum:f=2 honest.npy -o sent.npy
      """)

  @Argument(help: "The attack, with or without parameters: alie, empire:scale=-2.") var attack:
    String
  @Argument(help: "The .npy files; - for standard input.") var inputs: [String]
  @Option(name: .shortAndLong, help: "The .npy file to write.") var output: String
  @Option(help: "What gaussian and random draw from; 0 unless given.") var seed: UInt64?
  @Option(help: "The number of classes: labelFlip.") var classes: Int?
  @Option(help: "The rule to hurt, such as krum:f=2: optimalALIE, optimalIPM.") var rule: String?
  @OptionGroup(title: "Parameters") var options: AttackOptions

  func run() async throws {
    var given = options.given
    let specification = try RuleSpecification(attack)
    let entry = try Catalog.attack(specification.name)
    let made = try given.make(entry, specification)
    let f = made is any RuleAwareAttack ? given.take("f") : nil
    try given.requireAllUsed(by: entry.name, parameters: entry.parameters)
    for (flag, isGiven, isTaken) in [
      ("seed", seed != nil, made is any BlindAttack),
      ("classes", classes != nil, made is LabelFlip),
      ("rule", rule != nil, made is any RuleAwareAttack),
    ] where isGiven && !isTaken {
      throw Failure("\(entry.name) does not take --\(flag): leave it out.")
    }
    let input = try InputVectors(inputs, output: output)

    if let rule = made as? any Rule {
      try await RuleChain(preAggregators: [], last: rule).run(on: input, writing: output)
      return
    }
    let target = try (made as? any RuleAwareAttack).map {
      try Target($0, named: entry.name, rule: rule, f: f)
    }
    switch TypedVectors(input) {
    case .float32(let vectors): try await craft(made, target, vectors)
    case .float64(let vectors): try await craft(made, target, vectors)
    }
  }

  private func craft<Element>(
    _ attack: any Attack, _ target: Target?, _ vectors: [Tensor<Element>]
  ) async throws {
    guard let first = vectors.first else { throw AggregationError.noVectors }
    let sent: Tensor<Element>
    switch attack {
    case let attack as any BlindAttack:
      sent = try attack.craft(shape: first.shape, key: RandomKey(seed ?? 0))
    case let attack as LabelFlip:
      let labels = vectors.count == 1 ? first : try Tensor(stacking: vectors)
      sent = try attack.poison(labels: labels, classes: classes)
    default:
      guard let target else { throw Failure("\(attack.name) cannot be made from files.") }
      sent = try target.attack.craft(honest: vectors, against: target.rule, f: target.f)
    }
    try await write(sent.shape, to: output) { $0 = [sent] }
  }

  /// What an attack that knows the rule needs beside the vectors.
  private struct Target {
    let attack: any RuleAwareAttack
    let rule: any Aggregator
    let f: Int

    init(
      _ attack: any RuleAwareAttack, named name: String, rule: String?, f: ParameterValue?
    ) throws {
      guard let rule else { throw Failure("\(name) needs --rule, such as --rule krum:f=2.") }
      guard case .integer(let f) = f else {
        throw Failure("\(name) needs --f, the number of attackers, a whole number.")
      }
      var specification = try RuleSpecification(rule)
      let entry = try Catalog.aggregator(specification.name)
      specification.setDefaults(["f": .integer(f)], for: entry)
      self.attack = attack
      self.rule = try entry.make(specification.parameters)
      self.f = f
    }
  }
}
