import CByzBLAS

/// Matrix products by OpenBLAS, which is loaded when first needed.
///
/// A product is computed on the calling thread, so its bits depend only on the matrices, on
/// OpenBLAS's version and on ``coreName``: machines that train together compare both. On processors with AVX-512 ByzKit chooses
/// the kernels called "SkylakeX"; the environment variables `OPENBLAS_CORETYPE` and
/// `OPENBLAS_NUM_THREADS` overrule that and the single thread.
public enum BLAS {
  /// Loads OpenBLAS, once per process; cheap when it is loaded already.
  ///
  /// - Throws: ``BLASError/unavailable(reason:)`` when the library is not installed or lacks a
  ///   function.
  public static func load() throws(BLASError) {
    guard byz_blas_load() else {
      throw .unavailable(reason: byz_blas_error().map { String(cString: $0) } ?? "unknown error")
    }
  }

  /// Whether matrix products work in this process. Loads OpenBLAS.
  public static var isAvailable: Bool { byz_blas_load() }

  /// The processor whose kernels run, in OpenBLAS's words, such as `SkylakeX`; nil without
  /// OpenBLAS.
  public static var coreName: String? {
    isAvailable ? String(cString: byz_blas_core_name()) : nil
  }

  /// OpenBLAS's version and build options; nil without OpenBLAS.
  public static var configuration: String? {
    isAvailable ? String(cString: byz_blas_config()) : nil
  }

  /// What its bits depend on: the version and ``coreName``, such as `OpenBLAS 0.3.21 SkylakeX`; nil without OpenBLAS.
  package static var identity: String? {
    guard let configuration, let coreName else { return nil }
    return (configuration.split(separator: " ").prefix(2) + [Substring(coreName)])
      .joined(separator: " ")
  }

  /// How many threads one product uses: 1 unless `OPENBLAS_NUM_THREADS` says otherwise; nil without
  /// OpenBLAS.
  public static var threadCount: Int? {
    isAvailable ? Int(byz_blas_threads()) : nil
  }
}

/// A matrix in memory that someone else owns: row-major, without gaps, perhaps to be read
/// transposed.
package struct MatrixView<Element> {
  let elements: UnsafePointer<Element>
  let rows: Int
  let columns: Int
  let isTransposed: Bool

  /// The matrix whose `rows` × `columns` elements lie at `elements`, row after row.
  package init(_ elements: UnsafePointer<Element>, rows: Int, columns: Int) {
    self.init(elements: elements, rows: rows, columns: columns, isTransposed: false)
  }

  private init(elements: UnsafePointer<Element>, rows: Int, columns: Int, isTransposed: Bool) {
    self.elements = elements
    self.rows = rows
    self.columns = columns
    self.isTransposed = isTransposed
  }

  /// The same memory, read with rows and columns exchanged.
  package var transposed: Self {
    Self(elements: elements, rows: columns, columns: rows, isTransposed: !isTransposed)
  }

  /// The distance between two stored rows.
  fileprivate var stride: Int32 { Int32(isTransposed ? rows : columns) }
}

extension BLAS {
  /// `product = a·b + addend·product`, with `a` (m, k), `b` (k, n) and `product` (m, n) row-major
  /// without gaps.
  ///
  /// With an `addend` of 0, the default, `product` is only written. Requires that ``load()``
  /// succeeded and that `product` overlaps neither factor.
  ///
  /// - Complexity: O(mnk).
  package static func multiply(
    _ a: MatrixView<Float>, _ b: MatrixView<Float>, addend: Float = 0,
    into product: UnsafeMutablePointer<Float>
  ) {
    precondition(a.columns == b.rows)
    byz_sgemm(
      a.isTransposed, b.isTransposed, Int32(a.rows), Int32(b.columns), Int32(a.columns), 1,
      a.elements, a.stride, b.elements, b.stride, addend, product, Int32(b.columns))
  }

  /// As ``multiply(_:_:addend:into:)`` for `Float`, in double precision.
  package static func multiply(
    _ a: MatrixView<Double>, _ b: MatrixView<Double>, addend: Double = 0,
    into product: UnsafeMutablePointer<Double>
  ) {
    precondition(a.columns == b.rows)
    byz_dgemm(
      a.isTransposed, b.isTransposed, Int32(a.rows), Int32(b.columns), Int32(a.columns), 1,
      a.elements, a.stride, b.elements, b.stride, addend, product, Int32(b.columns))
  }
}

/// Why matrix products are not possible.
public enum BLASError: Error, Hashable, Sendable, CustomStringConvertible {
  /// OpenBLAS could not be loaded; `reason` is the dynamic loader's.
  case unavailable(reason: String)

  public var description: String {
    switch self {
    case .unavailable(let reason):
      """
      OpenBLAS could not be loaded (\(reason)). \
      On Debian and Ubuntu: apt-get install libopenblas-dev
      """
    }
  }
}
