#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension AnyTensor {
  /// Reads one `.npy` file from a pipe, to its end, without holding it in memory: what arrives goes into a nameless file that is
  /// mapped.
  ///
  /// - Parameters:
  ///   - descriptor: what to read from, such as standard input.
  ///   - name: what to call it in errors.
  ///   - path: beside which to make the nameless file. Its size is what the header announces, and that much room is claimed
  ///     before any number is read.
  /// - Throws: ``TensorFileError``.
  public init(npyFrom descriptor: Int32, name: String, spooledBeside path: String)
    throws(TensorFileError)
  {
    let head = UnsafeMutableRawBufferPointer.allocate(
      byteCount: NpyHeader.maximumLength + 12, alignment: 8)
    defer { head.deallocate() }
    let headCount: Int
    do { headCount = try head.fill(from: descriptor, name: name) } catch { throw .file(error) }
    let header: NpyHeader
    do {
      header = try .parse(streamBeginningWith: UnsafeRawBufferPointer(rebasing: head[..<headCount]))
    } catch {
      throw .npy(path: name, error)
    }

    let total = header.dataOffset + header.dataByteCount
    let begun = min(headCount, total)
    let spool: OutputFile
    var received = headCount
    do throws(FileError) {
      spool = try OutputFile(scratchBeside: path, byteCount: total)
      spool.mapping.region.copyMemory(from: UnsafeRawBufferPointer(rebasing: head[..<begun]))
      let rest = UnsafeMutableRawBufferPointer(rebasing: spool.mapping.region[begun...])
      received += try rest.fill(from: descriptor, name: name)
      let beyond = UnsafeMutableRawBufferPointer(rebasing: head[..<1])
      received += try beyond.fill(from: descriptor, name: name)
    } catch {
      throw .file(error)
    }
    guard received == total else {
      throw .npy(path: name, .wrongLength(shape: header.shape, expected: total, actual: received))
    }
    let contents = NpyContents(
      path: name, header: header, bytes: UnsafeRawBufferPointer(spool.mapping.region), owner: spool)
    // What cannot be used in place is converted; the nameless file is gone with `contents`.
    do { self = try contents.inPlace() } catch { self = contents.read() }
  }
}

extension NpyHeader {
  /// Reads the header of a file whose length will be known only when it has been read.
  fileprivate static func parse(
    streamBeginningWith bytes: UnsafeRawBufferPointer
  ) throws(NpyError) -> NpyHeader {
    do throws(NpyError) {
      return try parse(bytes)
    } catch {
      guard case .wrongLength(_, let expected, _) = error else { throw error }
      return try parse(bytes, fileByteCount: expected)
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Reads until the buffer is full or the input ends; returns how many bytes came.
  fileprivate func fill(from descriptor: Int32, name: String) throws(FileError) -> Int {
    var filled = 0
    while filled < count {
      let received = read(descriptor, baseAddress! + filled, count - filled)
      if received == 0 { break }
      if received > 0 {
        filled += received
      } else if errno != EINTR {
        throw FileError(path: name, operation: "read")
      }
    }
    return filled
  }
}
