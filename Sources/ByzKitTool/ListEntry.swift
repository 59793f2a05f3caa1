import ByzKit

/// One line of a list, whatever it lists.
struct ListEntry: Encodable {
  let name: String
  let summary: String
  var parameters: [ParameterInfo] = []
  /// For which n and f a rule works.
  var bound: String?
  /// What a rule tolerates.
  var tolerates: String?
  /// What an attack sees.
  var sees: String?
  var paper: String?
  var cost: String?

  /// Several lines of text.
  var text: String {
    var lines = [name.padding(to: 22) + summary]
    for parameter in parameters {
      let fallback = parameter.defaultValue.map { ", default \($0)" } ?? ""
      lines.append("    \(parameter.name): \(parameter.range)\(fallback)")
    }
    let facts = [
      bound.map { "works for \($0)" }, tolerates.map { "tolerates \($0)" }, sees, cost, paper,
    ]
    let line = facts.compactMap { $0 }.joined(separator: "; ")
    if !line.isEmpty { lines.append("    \(line)") }
    return lines.joined(separator: "\n")
  }
}

extension ListEntry {
  init(_ entry: CatalogEntry<any Attack>) {
    self.init(
      name: entry.name, summary: entry.summary, parameters: entry.parameters, sees: entry.tolerates,
      paper: entry.paper, cost: entry.cost)
  }

  init(_ entry: CatalogEntry<any Aggregator>) { self.init(rule: entry) }
  init(_ entry: CatalogEntry<any PreAggregator>) { self.init(rule: entry) }

  private init<Product>(rule entry: CatalogEntry<Product>) {
    self.init(
      name: entry.name, summary: entry.summary, parameters: entry.parameters,
      bound: entry.bound.description, tolerates: entry.tolerates, paper: entry.paper,
      cost: entry.cost)
  }

  /// The models, with the number of parameters they have for MNIST.
  static func models() throws -> [ListEntry] {
    let softmax = try SoftmaxRegression(inputs: 784, classes: 10)
    let perceptron = try MultilayerPerceptron(inputs: 784, hidden: [128], classes: 10)
    let network = ConvolutionalNetwork()
    return [
      ListEntry(
        name: "SoftmaxRegression",
        summary: "linear, any number of inputs and classes; d = \(softmax.parameterCount) for MNIST"
      ),
      ListEntry(
        name: "MultilayerPerceptron",
        summary:
          "full layers with ReLU; d = \(perceptron.parameterCount) for MNIST with 128 hidden units"),
      ListEntry(
        name: "ConvolutionalNetwork",
        summary:
          "two 3×3 convolutions and two full layers for 28×28 images; d = \(network.parameterCount)"
      ),
    ]
  }

  /// What subtasks can run on.
  static var backends: [ListEntry] {
    [
      ListEntry(name: "thread", summary: "threads of this process; several: thread*4"),
      ListEntry(name: "process", summary: "child processes of this one; several: process*2"),
      ListEntry(name: "tcp://host:port", summary: "a host that runs 'byzkit worker' or its own"),
      ListEntry(name: "ucx://host:port", summary: "the same over UCX, for trusted fabrics"),
    ]
  }
}

extension String {
  /// The text with spaces up to `width`.
  func padding(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}
