import Testing

@Suite("The twin of the models")
struct ReferenceNetworkTests {
  @Test(
    "has the gradient that finite differences give",
    arguments: [
      ReferenceNetwork.perceptron([3, 4, 5, 2]),
      ReferenceNetwork.convolutional(size: 8, channels: (1, 2, 3), hidden: 4, classes: 3),
    ])
  func finiteDifferences(_ network: ReferenceNetwork) {
    var numbers = TestNumbers(seed: 3)
    let inputCount = network.layers.count == 5 ? 3 : 64
    let inputs = (0..<2).map { _ in numbers.vector(inputCount).map(Double.init) }
    let labels = [1, 0]
    let parameters = numbers.vector(network.parameterCount, scale: 0.5).map(Double.init)
    let gradient = network.gradient(parameters, inputs, labels).gradient
    for i in parameters.indices {
      var (above, below) = (parameters, parameters)
      above[i] += 1e-6
      below[i] -= 1e-6
      let slope =
        (network.loss(above, inputs, labels) - network.loss(below, inputs, labels)) / 2e-6
      #expect(abs(slope - gradient[i]) < 1e-8)
    }
  }
}
