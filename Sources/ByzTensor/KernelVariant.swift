import CByzKernels

/// The instruction set the kernels run with. All give the same bits; they differ in speed.
public enum KernelVariant: String, CaseIterable, Codable, Sendable {
  /// Plain C, the specification: runs everywhere, slowly.
  case plain
  /// AVX2 with fused multiply-add.
  case avx2
  /// AVX-512 (F, DQ, BW and VL).
  case avx512

  private var isa: byz_isa {
    switch self {
    case .plain: BYZ_PLAIN
    case .avx2: BYZ_AVX2
    case .avx512: BYZ_AVX512
    }
  }

  /// Whether this processor can run it.
  public var isAvailable: Bool { byz_isa_available(isa) }

  /// The variant in use: what the environment variable `BYZKIT_KERNELS` names if it is available, else the fastest.
  public static var selected: KernelVariant {
    switch byz_isa_selected() {
    case BYZ_AVX512: .avx512
    case BYZ_AVX2: .avx2
    default: .plain
    }
  }

  /// Uses this variant from now on, in the whole process.
  ///
  /// - Returns: false, and nothing changes, if it is not available.
  @discardableResult
  public func select() -> Bool { byz_isa_select(isa) }
}
