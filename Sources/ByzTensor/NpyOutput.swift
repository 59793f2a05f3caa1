#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A `.npy` file being written whose numbers are a tensor, so that a result larger than memory goes straight to the file.
///
/// ```swift
/// let output = try NpyOutput<Float>(path: "aggregate.npy", shape: [d])
/// try rule.aggregate(vectors, into: &output.tensor)
/// try output.commit()
/// ```
///
/// The file appears at its path with ``commit()``, complete; without it nothing is left behind.
public final class NpyOutput<Element: TensorElement> {
  /// The numbers, zero at first.
  public var tensor: Tensor<Element>
  private let file: OutputFile
  private let data: UnsafeMutableRawPointer

  /// Makes room for the file beside its path.
  ///
  /// - Throws: ``TensorFileError``, also when there is not enough room or a file cannot have so many dimensions.
  /// - Precondition: no extent of the shape is negative and its product fits in memory.
  public init(path: String, shape: [Int]) throws(TensorFileError) {
    let header = try NpyHeader(Element.elementType, shape: shape, writing: path)
    do throws(FileError) {
      file = try OutputFile(path: path, byteCount: header.dataOffset + header.dataByteCount)
    } catch {
      throw .file(error)
    }
    file.mapping.region.copyBytes(from: header.encoded)
    data = file.mapping.region.baseAddress! + header.dataOffset
    tensor = Tensor(
      shape: shape,
      storage: TensorStorage(
        lent: data, byteCount: header.dataByteCount, isWritable: true, owner: file))
  }

  /// Where the file is until it is committed.
  package var temporaryPath: String { file.temporaryPath }

  /// Puts the file at its path. What is written to the tensor from then on stays in memory.
  ///
  /// - Throws: ``TensorFileError``.
  /// - Precondition: the tensor has as many numbers as at first; nothing was committed before.
  public func commit() throws(TensorFileError) {
    tensor.withUnsafeBufferPointer { numbers in
      let bytes = UnsafeRawBufferPointer(numbers)
      precondition(
        bytes.count == file.mapping.region.count - (data - file.mapping.region.baseAddress!))
      // Someone else held the tensor when it was written, or it was replaced: its memory is no longer the file's.
      if let source = bytes.baseAddress, source != data {
        data.copyMemory(from: source, byteCount: bytes.count)
      }
    }
    do { _ = try file.commit() } catch { throw .file(error) }
    // Others may map the file by now, and it is complete: the tensor shares it as one that is only read.
    tensor = Tensor(
      shape: tensor.shape,
      storage: TensorStorage(
        lent: data, byteCount: tensor.count * MemoryLayout<Element>.stride, isWritable: false,
        owner: file))
  }
}

extension OutputFile {
  /// Room for intermediate results: a file that has lost its name already and is gone with the last reference to this object.
  package convenience init(scratchBeside path: String, byteCount: Int) throws(FileError) {
    try self.init(path: path, byteCount: byteCount, keepsName: false)
  }
}

extension Tensor {
  /// `count` tensors to be written, in a nameless file beside `path`: they cost no memory but room on the disk.
  package static func scratch(
    count: Int, shape: [Int], beside path: String
  ) throws(TensorFileError) -> [Tensor] {
    let byteCount = shape.reduce(MemoryLayout<Element>.stride, *)
    let file: OutputFile
    do { file = try OutputFile(scratchBeside: path, byteCount: count * byteCount) } catch {
      throw .file(error)
    }
    // A storage for each: only what has a single reference may be written in place.
    return (0..<count).map { row in
      Tensor(
        shape: shape,
        storage: TensorStorage(
          lent: file.mapping.region.baseAddress! + row * byteCount, byteCount: byteCount,
          isWritable: true,
          owner: file))
    }
  }
}
