import ArgumentParser
import ByzKit
import Dispatch
import ExampleData
import Foundation

/// Trains a classifier of handwritten digits on a parameter server while some workers lie to it.
@main
struct PSMnist: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ps-mnist",
    abstract: "Train on handwritten digits while some of the workers lie.",
    discussion: """
      With the defaults a median of five workers learns although one sends ten times the honest mean, turned round. \
      The same flags with --aggregator mean end at chance.

      A rule or attack is a name of 'byzkit list', with parameters if it needs some: \
      --aggregator multiKrum:f=1,q=3 --attack alie:tau=1.5 --pre-aggregator nnm:f=1
      """)

  @Option(help: "Workers that follow the protocol.") var honest = 4
  @Option(help: "Workers that lie.") var byzantine = 1
  @Option(help: "Rounds of training.") var rounds = 200
  @Option(help: "Images in one worker's batch.") var batchSize = 64
  @Option(name: [.customLong("lr")], help: "Learning rate.") var learningRate = 0.05
  @Option(help: "Momentum of the server's optimizer.") var momentum: Float = 0.9
  @Option(help: "Weight decay.") var weightDecay: Float = 0
  @Option(help: "cnn, mlp or softmax.") var model = ModelName.cnn
  @Option(help: "How the server combines the gradients.") var aggregator = "median"
  @Option(name: .customLong("pre-aggregator"), help: "What runs before it; repeat for more.")
  var preAggregators: [String] = []
  @Option(help: "What the liars send.") var attack = "empire"
  @Option(help: "The attack's strength: its scale, tau, gamma or sigma. (default: -10 for empire)")
  var attackScale: Double?
  @Option(help: "The number of liars that the rules tolerate. (default: --byzantine)") var f: Int?
  @Option(help: "The gradients that Multi-Krum averages. (default: n - f)") var q: Int?
  @Option(help: "Where subtasks run: thread.") var backend = BackendName.thread
  @Option(help: "Threads that compute.") var workers = 2
  @Option(help: "What all randomness is drawn from.") var seed: UInt64 = 0
  @Option(help: "Rounds from one test to the next.") var evalInterval = 50
  @Option(help: "How the images are dealt to the workers: iid, shards or dirichlet.")
  var partition = PartitionName.iid
  @Option(help: "A folder with the MNIST files, such as /usr/share/datasets/fashion-mnist.")
  var dataRoot: String?
  @Option(help: "Where to write the final parameters, as .npy.") var save: String?
  @Flag(help: "Print one JSON object at the end; progress goes to standard error.") var json = false

  func validate() throws {
    for (name, value) in [
      ("honest", honest), ("rounds", rounds), ("batch-size", batchSize), ("workers", workers),
      ("eval-interval", evalInterval),
    ] where value < 1 {
      throw ValidationError("--\(name) is \(value), but must be at least 1.")
    }
    guard 0...4096 ~= byzantine else {
      throw ValidationError("--byzantine is \(byzantine), but must be in 0...4096.")
    }
    if let f, f < 0 { throw ValidationError("--f is \(f), but must be at least 0.") }
    guard workers <= 1024 else {
      throw ValidationError("--workers is \(workers), but must be at most 1024.")
    }
  }

  func run() async throws {
    do {
      try await train()
    } catch let error as ExitCode {
      throw error
    } catch {
      FileHandle.standardError.write(Data("ps-mnist: \(error)\n".utf8))
      throw ExitCode.failure
    }
  }

  private func train() async throws {
    let experiment = try Experiment(self)
    let training = Task { try await experiment.run() }
    let interrupts = Interrupts { training.cancel() }
    defer { interrupts.stop() }
    let summary = try await training.value
    if json {
      print(try summary.json())
    } else {
      print(summary.table)
    }
    // Last, so that a folder that is not there costs no result.
    if let save { try summary.parameters.write(npy: save) }
    if summary.wasStopped { throw ExitCode(130) }
  }
}

enum ModelName: String, CaseIterable, ExpressibleByArgument {
  case cnn, mlp, softmax

  func make(for data: Dataset) throws -> any Model {
    let inputs = data.rows * data.columns
    return switch self {
    case .cnn: ConvolutionalNetwork()
    case .mlp: try MultilayerPerceptron(inputs: inputs, hidden: [128], classes: data.classes)
    case .softmax: try SoftmaxRegression(inputs: inputs, classes: data.classes)
    }
  }
}

enum BackendName: String, CaseIterable, ExpressibleByArgument { case thread }

enum PartitionName: String, CaseIterable, ExpressibleByArgument { case iid, shards, dirichlet }
