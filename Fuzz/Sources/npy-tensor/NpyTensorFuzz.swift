import ByzKit
import FuzzSupport

private let file = InputFile()
/// The most numbers that are added to a header, in bytes.
private let limit = 4 << 10

/// Reads the input as a `.npy` file and as the dictionary in one, followed by as many numbers as it
/// asks for.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNpyTensor(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  examine(input)
  completed(input)?.withUnsafeBytes(examine)
  npyFile(dictionary: input).withUnsafeBytes { completed($0) }?.withUnsafeBytes(examine)
  return 0
}

/// The same header with the right number of bytes behind it, if they were too few or too many.
private func completed(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
  switch npyHeader(bytes) {
  case .success: return Array(bytes)
  case .failure(.wrongLength(_, let expected, _)) where expected <= bytes.count + limit:
    return (0..<expected).map {
      $0 < bytes.count ? bytes[$0] : UInt8(truncatingIfNeeded: $0 &* 0x9E37_79B1 >> 13)
    }
  case .failure: return nil
  }
}

private func examine(_ bytes: UnsafeRawBufferPointer) {
  file.hold(bytes)
  let header = npyHeader(bytes)
  let count = (try? header.get()).map { $0.dataByteCount / $0.element.byteCount } ?? 0
  let isWide = if case .success(let header) = header { header.element == .float64 } else { false }

  let singles = bounded(implied: 4 * count, "Tensor<Float>(npy:)") {
    Result { () throws(TensorFileError) in try Tensor<Float>(npy: file.path) }
  }
  let doubles = bounded(implied: 8 * count, "Tensor<Double>(npy:)") {
    Result { () throws(TensorFileError) in try Tensor<Double>(npy: file.path) }
  }
  let copied = bounded(implied: (isWide ? 8 : 4) * count, "AnyTensor(npy:)") {
    Result { () throws(TensorFileError) in try AnyTensor(npy: file.path) }
  }
  let mapped = bounded("AnyTensor(mappingNpy:)") {
    Result { () throws(TensorFileError) in try AnyTensor(mappingNpy: file.path) }
  }
  switch header {
  case .success(let header):
    guard let singles = try? singles.get(), let doubles = try? doubles.get(),
      let copied = try? copied.get()
    else { fatalError("A file with the right header is refused: \(header)") }
    let numbers = header.numbers(in: bytes)
    check(areSame(doubles.elements, numbers), "the numbers are those of the file")
    check(
      areSame(singles.elements.map(Double.init), numbers.map { Double(Float($0)) }),
      "the numbers are those of the file, rounded")
    check(doubles.shape == header.shape && singles.shape == header.shape, "so is the shape")
    checkSame(copied, numbers, header)
    check(!isMappable(header) || (try? mapped.get()) != nil, "what lies as needed can be mapped")
    if let mapped = try? mapped.get() {
      check(isMappable(header), "what lies otherwise cannot be mapped")
      checkSame(mapped, numbers, header)
    }
    if case .success(let tensor) = stream(implied: (isWide ? 8 : 4) * count) {
      checkSame(tensor, numbers, header)
    } else {
      fatalError("The same bytes are refused when they come from a pipe: \(header)")
    }
  case .failure(let error):
    let expected = TensorFileError.npy(path: file.path, error)
    for failure in [singles.failure, doubles.failure, copied.failure, mapped.failure] {
      check(failure == expected, "every reader refuses the file as the parser does")
    }
    checkRefusedStream(error)
  }
}

private func checkRefusedStream(_ error: NpyError) {
  // Room for all of the numbers is claimed on the disk: not here.
  if case .wrongLength(_, let expected, _) = error, expected > 1 << 20 { return }
  check(
    stream(implied: 0).failure == .npy(path: "input", error),
    "a stream is refused as the parser refuses it: \(error)")
}

private func stream(implied: Int) -> Result<AnyTensor, TensorFileError> {
  file.rewind()
  return bounded(implied: implied, "AnyTensor(npyFrom:)") {
    Result { () throws(TensorFileError) in
      try AnyTensor(
        npyFrom: file.descriptor, name: "input", spooledBeside: "\(InputFile.folder)/byzkit-fuzz")
    }
  }
}

private func isMappable(_ header: NpyHeader) -> Bool {
  header.element != .float16 && (!header.fortranOrder || header.shape.count < 2)
    && header.dataOffset.isMultiple(of: header.element.byteCount)
}

private func checkSame(_ tensor: AnyTensor, _ numbers: [Double], _ header: NpyHeader) {
  check(tensor.elementType == (header.element == .float64 ? .float64 : .float32), "the type stays")
  check(tensor.shape == header.shape, "the shape stays")
  check(areSame(tensor.numbers, numbers), "the numbers stay")
}

extension Result {
  fileprivate var failure: Failure? {
    if case .failure(let failure) = self { failure } else { nil }
  }
}
