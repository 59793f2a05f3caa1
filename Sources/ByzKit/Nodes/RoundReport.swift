/// What happened in one round of training.
public struct RoundReport: Sendable {
  /// The number of the round, from 0.
  public let round: Int
  /// The nodes in their order, honest ones first.
  public let nodes: [Node]
  /// The nodes whose vectors were aggregated, by their place in ``nodes``, ascending.
  public let participants: [Int]
  /// What became of the aggregate.
  public let step: Step

  /// What one node did.
  public struct Node: Sendable {
    /// Its name.
    public let name: String
    /// Whether it lies.
    public let isByzantine: Bool
    /// Its mean loss over its batch, if it computed one.
    public let loss: Float?
    /// Why it sent nothing, or that it was late; nil if it took part. It is asked again in the next
    /// round.
    public let failure: String?
  }

  /// What became of the aggregate.
  public enum Step: Hashable, Sendable {
    /// The optimizer took a step with it.
    case taken
    /// It would have made the parameters NaN or infinite, so no step was taken.
    case notFinite
    /// The rule refused the vectors, so no step was taken.
    case refused(AggregationError)
    /// Fewer vectors arrived than the round's policy asks for, so no step was taken. Without one of an honest node those of liars do
    /// not count: 0 arrived then.
    case tooFew(arrived: Int, quorum: Int)
  }

  /// What is needed to repeat the round.
  public var record: RoundRecord { RoundRecord(round: round, participants: participants) }

  /// The mean of the honest losses; nil if none arrived.
  public var meanLoss: Float? {
    let losses = nodes.compactMap(\.loss)
    return losses.isEmpty ? nil : losses.reduce(0, +) / Float(losses.count)
  }
}
