package import ByzRuntime
package import ByzTensor

extension Rule {
  /// One pass of the rule, which has been validated, into memory of the caller's choice, such as a mapped file.
  ///
  /// - Parameter outputs: one tensor for an aggregator or attack, ``PreAggregator/outputCount(n:)`` for a pre-aggregator; each must
  ///   be the only one to see its memory and have the shape of the vectors.
  /// - Throws: as an aggregation on a pool; the outputs may be written in part then.
  package func apply<Element>(
    to vectors: [Tensor<Element>], into outputs: inout [Tensor<Element>],
    in context: OperatorContext
  ) async throws {
    let run = try RuleRun(self, on: Rows(checking: vectors))
    if context.isCallersOwn, context.chunkSize == nil, treatsVectorsAlone(in: run) {
      try Task.checkCancellation()
      let out = OutputRows(&outputs)
      for (range, part) in run.parts {
        part.apply(try part.decide(), into: out.selecting(range))
      }
      return
    }
    let combination = try await run.decide(in: context)
    precondition(combination.outputCount == outputs.count)
    try await run.apply(combination, into: OutputRows(&outputs), in: context)
  }
}
