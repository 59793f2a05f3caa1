extension ParameterServer {
  /// The state between two rounds, to go on from later.
  public var checkpoint: Checkpoint { Checkpoint(checked: roundsDone, parameters, optimizerState) }

  /// Takes the place of the server that the checkpoint was taken of; from here on both compute the
  /// same bits, if they were made with the same nodes, rule, optimizer and policy.
  ///
  /// - Throws: ``ModelError/wrongParameterCount(expected:actual:)`` when it is of another model; the
  ///   server is unchanged then.
  public mutating func resume(from checkpoint: Checkpoint) throws(ModelError) {
    guard checkpoint.parameters.count == parameters.count else {
      throw .wrongParameterCount(expected: parameters.count, actual: checkpoint.parameters.count)
    }
    parameters = checkpoint.parameters
    optimizerState = checkpoint.optimizerState
    roundsDone = checkpoint.roundsDone
  }
}
