import CByzKernels

/// The numbers a tensor can hold: `Float` or `Double`.
///
/// Only these two conform; the kernels exist for no other type.
public protocol TensorElement: BinaryFloatingPoint, SIMDScalar, Codable, Sendable {
  /// The run-time name of this type.
  static var elementType: ElementType { get }
}

extension Float: TensorElement {
  /// `.float32`.
  public static var elementType: ElementType { .float32 }
}

extension Double: TensorElement {
  /// `.float64`.
  public static var elementType: ElementType { .float64 }
}

/// The element type of a tensor, as a value.
public enum ElementType: String, Codable, Sendable, CaseIterable {
  /// IEEE single precision, `Float`.
  case float32
  /// IEEE double precision, `Double`.
  case float64

  /// Bytes in one element: 4 or 8.
  public var byteCount: Int { self == .float32 ? 4 : 8 }

  /// The same type as the kernels call it.
  package var kernelType: byz_type { self == .float32 ? BYZ_F32 : BYZ_F64 }
}
