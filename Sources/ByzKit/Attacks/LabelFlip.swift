/// Trains on wrong labels and sends the honest gradient of that.
///
/// ```
/// y → K - 1 - y,  or y → mapping[y], all at once; labels without a mapping stay
/// ```
///
/// - Parameters: labels in 0..<K, also those that a mapping leads to; `scale` finite.
/// - Sees: its own data and labels.
///
/// Source: Biggio, Nelson, Laskov, *Poisoning Attacks against Support Vector Machines*, ICML 2012.
public struct LabelFlip: DataAttack {
  /// Which label becomes which; nil turns the order of the classes round.
  public let mapping: [Int: Int]?
  /// What the gradient is multiplied by.
  public let scale: Double

  /// Flips labels.
  public init(mapping: [Int: Int]? = nil, scale: Double = 1) {
    self.mapping = mapping
    self.scale = scale
  }

  /// The wrong labels.
  public func poison(labels: [Int], classes: Int) throws(AttackError) -> [Int] {
    guard scale.isFinite else {
      throw .invalidParameter(attack: name, name: "scale", value: "\(scale)", requirement: "finite")
    }
    var poisoned: [Int] = []
    poisoned.reserveCapacity(labels.count)
    for label in labels {
      guard label >= 0 && label < classes else {
        throw .labelOutOfRange(label: label, classes: classes)
      }
      let wrong = mapping.map { $0[label] ?? label } ?? classes - 1 - label
      guard wrong >= 0 && wrong < classes else {
        throw .labelOutOfRange(label: wrong, classes: classes)
      }
      poisoned.append(wrong)
    }
    return poisoned
  }
}
