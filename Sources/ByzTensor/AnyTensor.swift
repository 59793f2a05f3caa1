/// A tensor of either element type, for places that learn the type at run time: files, graphs, workers.
public enum AnyTensor: Sendable, Equatable {
  /// Single precision.
  case float32(Tensor<Float>)
  /// Double precision.
  case float64(Tensor<Double>)

  /// Wraps a tensor.
  public init<Element: TensorElement>(_ tensor: Tensor<Element>) {
    switch tensor {
    case let tensor as Tensor<Float>: self = .float32(tensor)
    case let tensor as Tensor<Double>: self = .float64(tensor)
    default: preconditionFailure("Only Float and Double are tensor elements.")
    }
  }

  /// The element type.
  public var elementType: ElementType {
    switch self {
    case .float32: .float32
    case .float64: .float64
    }
  }

  /// The extent of each dimension.
  public var shape: [Int] {
    switch self {
    case .float32(let tensor): tensor.shape
    case .float64(let tensor): tensor.shape
    }
  }

  /// The tensors along the first dimension, sharing memory.
  public var rows: [AnyTensor] {
    switch self {
    case .float32(let tensor): tensor.rows.map(AnyTensor.float32)
    case .float64(let tensor): tensor.rows.map(AnyTensor.float64)
    }
  }

  /// The tensor if it holds `Element`, else nil.
  public func typed<Element: TensorElement>(as _: Element.Type = Element.self) -> Tensor<Element>? {
    switch self {
    case .float32(let tensor): tensor as? Tensor<Element>
    case .float64(let tensor): tensor as? Tensor<Element>
    }
  }
}
