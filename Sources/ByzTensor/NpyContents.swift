/// A `.npy` file in memory: its header, its bytes, and what keeps them there.
struct NpyContents {
  let path: String
  let header: NpyHeader
  private let bytes: UnsafeRawBufferPointer
  private let owner: AnyObject

  init(path: String) throws(TensorFileError) {
    do throws(FileError) {
      let mapping = try FileMapping(reading: path)
      (self.path, bytes, owner) = (path, UnsafeRawBufferPointer(mapping.region), mapping)
    } catch {
      throw .file(error)
    }
    do { header = try NpyHeader.parse(bytes) } catch { throw .npy(path: path, error) }
  }

  /// A file whose header was checked; `owner` keeps `bytes`, the whole file, in place.
  init(path: String, header: NpyHeader, bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    (self.path, self.header, self.bytes, self.owner) = (path, header, bytes, owner)
  }

  /// The numbers, copied.
  func read() -> AnyTensor {
    header.element == .float64 ? .float64(read()) : .float32(read())
  }

  /// The numbers, converted.
  func read<Element: TensorElement>() -> Tensor<Element> {
    defer { withExtendedLifetime(owner) {} }
    return Tensor(shape: header.shape) { buffer in
      if header.element == Element.elementType.npyElement && !header.fortranOrder {
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: data)
        return
      }
      switch header.element {
      case .float16: convert(to: buffer) { (x: Float16) in Element(Float(x)) }
      case .float32: convert(to: buffer) { (x: Float) in Element(x) }
      case .float64: convert(to: buffer) { (x: Double) in Element(x) }
      }
    }
  }

  /// The numbers where they lie.
  func inPlace() throws(TensorFileError) -> AnyTensor {
    guard header.element != .float16 else {
      throw .notMappable(path: path, reason: "it holds half precision, '<f2'")
    }
    guard !header.fortranOrder || header.shape.count < 2 else {
      throw .notMappable(path: path, reason: "its order is column-major (Fortran)")
    }
    guard header.dataOffset % header.element.byteCount == 0 else {
      throw .notMappable(
        path: path, reason: "its numbers begin at byte \(header.dataOffset), which is not aligned")
    }
    return header.element == .float64 ? .float64(lend()) : .float32(lend())
  }

  private var data: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[header.dataOffset...])
  }

  private func lend<Element>() -> Tensor<Element> {
    // A file has a header, so there is an address even for no numbers.
    let address = UnsafeMutableRawPointer(mutating: bytes.baseAddress! + header.dataOffset)
    return Tensor(
      shape: header.shape,
      storage: TensorStorage(
        lent: address, byteCount: header.dataByteCount, isWritable: false, owner: owner))
  }

  /// Walks through the buffer in row-major order and through the file in its own.
  private func convert<Source: BitwiseCopyable, Element>(
    to buffer: UnsafeMutableBufferPointer<Element>, _ value: (Source) -> Element
  ) {
    let shape = header.shape
    var strides = [Int](repeating: 1, count: shape.count)
    let fromFastest = header.fortranOrder ? Array(shape.indices) : shape.indices.reversed()
    for (faster, slower) in zip(fromFastest, fromFastest.dropFirst()) {
      strides[slower] = strides[faster] * shape[faster]
    }
    var index = [Int](repeating: 0, count: shape.count)
    var source = 0
    for i in buffer.indices {
      let position = source * MemoryLayout<Source>.stride
      buffer.initializeElement(
        at: i, to: value(data.loadUnaligned(fromByteOffset: position, as: Source.self)))
      for axis in shape.indices.reversed() {
        index[axis] += 1
        source += strides[axis]
        if index[axis] < shape[axis] { break }
        source -= strides[axis] * shape[axis]
        index[axis] = 0
      }
    }
  }
}
