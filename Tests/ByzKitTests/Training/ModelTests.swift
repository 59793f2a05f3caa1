import ByzKit
import ByzTensor
import Testing

/// Every model with its twin.
private struct Subject: Sendable, CustomTestStringConvertible {
  let model: any Model
  let twin: @Sendable () -> ReferenceNetwork
  var testDescription: String { "\(type(of: model)), d = \(model.parameterCount)" }

  static func all() throws -> [Subject] {
    [
      Subject(model: try SoftmaxRegression(inputs: 5, classes: 3)) { .perceptron([5, 3]) },
      Subject(model: try MultilayerPerceptron(inputs: 6, hidden: [7, 5], classes: 4)) {
        .perceptron([6, 7, 5, 4])
      },
      Subject(model: ConvolutionalNetwork()) {
        .convolutional(size: 28, channels: (1, 32, 64), hidden: 128, classes: 10)
      },
    ]
  }

  init(model: any Model, twin: @escaping @Sendable () -> ReferenceNetwork) {
    self.model = model
    self.twin = twin
  }
}

@Suite("Models", .enabled(if: BLAS.isAvailable, "OpenBLAS is not installed"))
struct ModelTests {
  @Test(
    "have the loss, logits and gradient of a naive twin in double precision",
    arguments: try Subject.all())
  private func twin(_ subject: Subject) throws {
    let (model, twin) = (subject.model, subject.twin())
    #expect(model.parameterCount == twin.parameterCount)
    let parameters = model.initialParameters(key: RandomKey(5))
    let batch = try randomBatch(2, of: model)
    let theta = parameters.elements.map(Double.init)
    let (loss, gradient) = try model.gradient(at: parameters, on: batch)
    let expected = twin.gradient(theta, batch.rows, batch.labels)
    #expect(abs(Double(loss) - expected.loss) < 1e-5)
    #expect(relativeError(gradient.elements, expected.gradient) < 1e-5)
    let logits = try model.logits(at: parameters, for: batch.inputs, workspace: Workspace())
    #expect(logits.shape == [2, model.classCount])
    let row = twin.logits(theta, batch.rows[1])
    #expect(relativeError(logits.rows[1].elements, row) < 1e-5)
  }

  @Test(
    "give the same bits again: with a used workspace, on another thread, in every kernel variant",
    arguments: try Subject.all())
  private func sameBits(_ subject: Subject) async throws {
    let model = subject.model
    let parameters = model.initialParameters(key: RandomKey(5))
    let batch = try randomBatch(2, of: model)
    let first = try model.gradient(at: parameters, on: batch).gradient
    let workspace = Workspace()
    _ = try model.gradient(
      at: parameters, on: try randomBatch(3, of: model, seed: 8), workspace: workspace)
    let again = try model.gradient(at: parameters, on: batch, workspace: workspace)
    #expect(again.gradient.hasSameBits(as: first))
    let elsewhere = try await Task.detached {
      try model.gradient(at: parameters, on: batch).gradient
    }.value
    #expect(elsewhere.hasSameBits(as: first))
    let selected = KernelVariant.selected
    defer { selected.select() }
    for variant in [KernelVariant.avx2, .avx512] where variant.select() {
      #expect(try model.gradient(at: parameters, on: batch).gradient.hasSameBits(as: first))
    }
  }

  @Test("start from numbers within 1/√fan-in that depend on the key", arguments: try Subject.all())
  private func initialParameters(_ subject: Subject) {
    let model = subject.model
    let parameters = model.initialParameters(key: RandomKey(1))
    #expect(parameters.shape == [model.parameterCount])
    #expect(parameters.hasSameBits(as: model.initialParameters(key: RandomKey(1))))
    #expect(parameters != model.initialParameters(key: RandomKey(2)))
    var start = 0
    for layer in subject.twin().layers where layer.parameterCount > 0 {
      let fanIn =
        switch layer {
        case .convolution(_, _, let channels, _): 9 * channels
        case .dense(let inputs, _): inputs
        case .pool, .relu: 0
        }
      let bound = 1 / Double(fanIn).squareRoot()
      let values = parameters.elements[start..<start + layer.parameterCount].map(Double.init)
      #expect(values.allSatisfy { abs($0) <= bound })
      // Uniform: the largest of many is near the bound, the mean near 0.
      #expect(values.map(abs).max()! > 0.7 * bound)
      #expect(
        abs(values.reduce(0, +)) / Double(values.count) < 3 * bound
          / Double(values.count).squareRoot())
      start += layer.parameterCount
    }
  }

  @Test("show a poisoned parameter vector in the loss", arguments: try Subject.all())
  private func poisoned(_ subject: Subject) throws {
    let model = subject.model
    var parameters = model.initialParameters(key: RandomKey(5))
    parameters[0] = .nan
    let batch = try randomBatch(2, of: model)
    #expect(try model.gradient(at: parameters, on: batch).loss.isNaN)
    #expect(try model.predictions(at: parameters, for: batch.inputs) == [-1, -1])
  }

  @Test("refuse vectors, inputs and labels that do not fit", arguments: try Subject.all())
  private func refusals(_ subject: Subject) throws {
    let model = subject.model
    let (d, size, classes) = (model.parameterCount, model.inputCount, model.classCount)
    let parameters = Tensor<Float>(repeating: 0, shape: [d])
    let batch = try randomBatch(2, of: model)
    func gradient(_ parameters: Tensor<Float>, _ batch: Batch) throws -> Float {
      try model.gradient(at: parameters, on: batch).loss
    }
    #expect(throws: ModelError.wrongParameterCount(expected: d, actual: 3)) {
      try gradient([1, 2, 3], batch)
    }
    #expect(throws: ModelError.wrongParameterCount(expected: d, actual: 2)) {
      var short: Tensor<Float> = [1, 2]
      _ = try model.gradient(at: parameters, on: batch, into: &short, workspace: Workspace())
    }
    #expect(throws: ModelError.wrongInputCount(expected: size, actual: size + 1)) {
      let inputs = Tensor<Float>(repeating: 0, shape: [1, size + 1])
      _ = try gradient(parameters, Batch(inputs: inputs, labels: [0]))
    }
    #expect(throws: ModelError.emptyBatch) { try gradient(parameters, batch[0..<0]) }
    for label in [-1, classes] {
      #expect(throws: ModelError.invalidLabel(label, index: 1, classes: classes)) {
        try gradient(parameters, Batch(inputs: batch.inputs, labels: [0, label]))
      }
    }
    #expect(throws: ModelError.wrongInputCount(expected: size, actual: 0)) {
      try model.logits(at: parameters, for: Tensor(repeating: 1, shape: []), workspace: Workspace())
    }
  }

  @Test(
    "predict the most likely class, the first of equals, and count the right ones over many inputs")
  func accuracy() throws {
    let model = try SoftmaxRegression(inputs: 2, classes: 3)
    // W = [[1, 0, 0], [0, 1, 0]], b = 0: the larger of the first two inputs; both negative, the
    // third class.
    let parameters: Tensor<Float> = [1, 0, 0, 0, 1, 0, 0, 0, 0]
    let inputs = try Tensor<Float>([3, 1, 1, 3, -1, -1, 2, 2], shape: [4, 2])
    #expect(try model.predictions(at: parameters, for: inputs) == [0, 1, 2, 0])
    let many = Tensor<Float>(shape: [600, 2]) { numbers in
      for i in numbers.indices { numbers[i] = i % 2 == 0 ? 1 : 0 }
    }
    let labels = (0..<600).map { $0 < 150 ? 0 : 1 }
    #expect(try model.accuracy(at: parameters, on: Batch(inputs: many, labels: labels)) == 0.25)
    #expect(try model.predictions(at: parameters, for: Tensor(repeating: 0, shape: [0, 2])) == [])
  }

  @Test("learn what can be learnt: SGD brings the loss of two clusters near zero")
  func learns() throws {
    let model = try MultilayerPerceptron(inputs: 2, hidden: [8], classes: 2)
    var numbers = TestNumbers(seed: 11)
    let labels = (0..<40).map { $0 % 2 }
    let points = labels.flatMap { [Float($0) * 4 - 2 + numbers.next(), numbers.next()] }
    let batch = try Batch(inputs: Tensor(points, shape: [40, 2]), labels: labels)
    var parameters = model.initialParameters(key: RandomKey(1))
    let sgd = SGD(learningRate: 0.2, momentum: 0.9)
    var state = SGD.State()
    var gradient = parameters
    for _ in 0..<60 {
      _ = try model.gradient(at: parameters, on: batch, into: &gradient, workspace: Workspace())
      try sgd.update(&parameters, with: gradient, state: &state)
    }
    #expect(try model.gradient(at: parameters, on: batch).loss < 0.01)
    #expect(try model.accuracy(at: parameters, on: batch) == 1)
  }

  @Test("have a finite loss and the right gradient for logits far apart")
  func stableLoss() throws {
    let model = try SoftmaxRegression(inputs: 1, classes: 2)
    let batch = try Batch(inputs: Tensor([1], shape: [1, 1]), labels: [1])
    let (loss, gradient) = try model.gradient(at: [3e4, 0, 0, -3e4], on: batch)
    #expect(loss == 6e4)
    #expect(gradient == [1, -1, 1, -1])
  }

  @Test("refuse layers without units and more parameters than BLAS can count")
  func widths() {
    #expect(throws: ModelError.invalidWidths([3, 0, 2])) {
      try MultilayerPerceptron(inputs: 3, hidden: [0], classes: 2)
    }
    #expect(throws: ModelError.invalidWidths([1 << 20, 1 << 12, 2])) {
      try MultilayerPerceptron(inputs: 1 << 20, hidden: [1 << 12], classes: 2)
    }
    #expect(throws: ModelError.invalidWidths([-1, 2])) {
      try SoftmaxRegression(inputs: -1, classes: 2)
    }
  }
}
