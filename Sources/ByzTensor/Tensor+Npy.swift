extension Tensor {
  /// Reads a `.npy` file of `<f2`, `<f4` or `<f8`, row-major or column-major, and converts its numbers to `Element`, rounding to
  /// nearest.
  ///
  /// - Throws: ``TensorFileError``.
  public init(npy path: String) throws(TensorFileError) {
    self = try NpyContents(path: path).read()
  }

  /// Writes a row-major `.npy` file of this type. The file appears complete, or what was at the path stays.
  ///
  /// - Throws: ``TensorFileError``.
  public func write(npy path: String) throws(TensorFileError) {
    let header = try NpyHeader(Element.elementType, shape: shape, writing: path)
    do throws(FileError) {
      let file = try OutputFile(path: path, byteCount: header.dataOffset + header.dataByteCount)
      file.mapping.region.copyBytes(from: header.encoded)
      withUnsafeBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: file.mapping.region[header.dataOffset...])
          .copyMemory(from: UnsafeRawBufferPointer($0))
      }
      _ = try file.commit()
    } catch {
      throw .file(error)
    }
  }
}

extension AnyTensor {
  /// Reads a `.npy` file, row-major or column-major; `<f2` becomes single precision, `<f4` and `<f8` stay.
  ///
  /// - Throws: ``TensorFileError``.
  public init(npy path: String) throws(TensorFileError) {
    self = try NpyContents(path: path).read()
  }

  /// Uses a row-major `.npy` file of `<f4` or `<f8` in place: nothing is read before it is touched, so the file may be larger than
  /// memory. It must not be rewritten in the meantime; replacing it is fine.
  ///
  /// - Throws: ``TensorFileError``, ``TensorFileError/notMappable(path:reason:)`` for other types and orders.
  public init(mappingNpy path: String) throws(TensorFileError) {
    self = try NpyContents(path: path).inPlace()
  }

  /// Writes a row-major `.npy` file. The file appears complete, or what was at the path stays.
  ///
  /// - Throws: ``TensorFileError``.
  public func write(npy path: String) throws(TensorFileError) {
    switch self {
    case .float32(let tensor): try tensor.write(npy: path)
    case .float64(let tensor): try tensor.write(npy: path)
    }
  }
}

extension NpyHeader {
  /// The header of a tensor's file, whose dimensions nobody has counted yet.
  init(_ type: ElementType, shape: [Int], writing path: String) throws(TensorFileError) {
    guard shape.count <= Self.maximumRank else {
      throw .npy(path: path, .tooManyDimensions(limit: Self.maximumRank))
    }
    self.init(element: type.npyElement, shape: shape)
  }
}

extension ElementType {
  /// The same type as `.npy` files call it.
  var npyElement: NpyHeader.Element { self == .float32 ? .float32 : .float64 }
}
