public import ByzRuntime

/// An attack that tells each neighbor another lie, among peers; a server hears one lie only and
/// takes no such attack.
public protocol TargetedAttack: Attack {
  /// What is sent to one neighbor.
  ///
  /// - Parameter neighbor: its number in the topology.
  func attack(against neighbor: Int) -> any Attack
}

extension TargetedAttack {
  /// Runs the attack against the input `neighbor`, a node's number, on that attack's own inputs.
  ///
  /// - Throws: what that attack throws, or `GraphError` when an input is missing or of another
  ///   type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    try await attack(against: inputs.value("neighbor")).run(inputs, in: context)
  }
}

/// Shows one face to neighbors of even number and another to those of odd number, which drives them
/// apart.
///
/// ```
/// out(neighbor) = even(…) if neighbor is even, else odd(…)        even = 2·mean, odd = -2·mean
/// ```
///
/// - Sees: what either face sees.
///
/// Lies that differ from neighbor to neighbor are what tells learning among peers from learning
/// with a server: El-Mhamdi et al., *Collaborative Learning in the Jungle*, NeurIPS 2021.
public struct TwoFaced: TargetedAttack {
  /// What neighbors of even number are told.
  public let even: any Attack
  /// What neighbors of odd number are told.
  public let odd: any Attack

  /// An attack with two faces; by default a multiple of the honest mean, in two directions.
  public init(even: any Attack = Empire(scale: 2), odd: any Attack = Empire(scale: -2)) {
    self.even = even
    self.odd = odd
  }

  /// The face that the neighbor sees.
  public func attack(against neighbor: Int) -> any Attack {
    neighbor.isMultiple(of: 2) ? even : odd
  }

  /// What the attack reads as a step of a graph: `neighbor`, and what either face reads.
  public var inputNames: [String] {
    ["neighbor"] + even.inputNames + odd.inputNames.filter { !even.inputNames.contains($0) }
  }
}
