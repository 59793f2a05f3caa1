#if os(Linux)
  import ByzTensor

  /// The distributed methods that calls can reach in this program, whoever wrote them, from the file that the linker wrote: ELF of 64
  /// bits, the least byte first. What lies outside of the file is an error.
  package struct DistributedRecords {
    private struct Unreadable: Error {}
    private let bytes: UnsafeRawBufferPointer

    /// Their mangled names. One section has five numbers of 32 bits for each, the first of which says how far from itself the name is.
    package static func names() throws -> [String] {
      try FileMapping(reading: "/proc/self/exe").withUnsafeBytes { bytes throws -> [String] in
        try DistributedRecords(bytes: bytes).names()
      }
    }

    private func names() throws -> [String] {
      guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else { throw Unreadable() }
      let sections = try table(at: 0x28, entrySizeAt: 0x3A, countAt: 0x3C)
      let index = try number(UInt16.self, at: 0x3E)
      guard sections.indices.contains(index) else { throw Unreadable() }
      let titles = try number(UInt64.self, at: sections[index] &+ 0x18)
      let found = try sections.first { section in
        try text(at: titles &+ number(UInt32.self, at: section)) == "swift5_accessible_functions"
      }
      guard let found else { throw Unreadable() }
      let address = try number(UInt64.self, at: found &+ 0x10)
      let offset = try number(UInt64.self, at: found &+ 0x18)
      let size = try number(UInt64.self, at: found &+ 0x20)
      return try stride(from: 0, to: size, by: 20).map { record in
        let distance = try number(Int32.self, at: offset &+ record)
        return try text(at: place(ofAddress: address &+ record &+ distance))
      }
    }

    /// Where the entries of a table are, whose begin, length and number the header has at these places.
    private func table(at start: Int, entrySizeAt size: Int, countAt count: Int) throws -> [Int] {
      let (first, size) = (try number(UInt64.self, at: start), try number(UInt16.self, at: size))
      let count = try number(UInt16.self, at: count)
      return (0..<count).map { first &+ $0 &* size }
    }

    /// Where in the file stands what is at an address in memory: in a segment of kind 1, which is loaded.
    private func place(ofAddress address: Int) throws -> Int {
      for segment in try table(at: 0x20, entrySizeAt: 0x36, countAt: 0x38) {
        let start = try number(UInt64.self, at: segment &+ 0x10)
        let size = try number(UInt64.self, at: segment &+ 0x20)
        let isLoaded = try number(UInt32.self, at: segment) == 1
        guard isLoaded, address >= start, address &- start < size else { continue }
        return try number(UInt64.self, at: segment &+ 8) &+ address &- start
      }
      throw Unreadable()
    }

    private func number<N: FixedWidthInteger & BitwiseCopyable>(
      _ type: N.Type, at offset: Int
    ) throws -> Int {
      guard offset >= 0, offset <= bytes.count - MemoryLayout<N>.size else { throw Unreadable() }
      let stored = bytes.loadUnaligned(fromByteOffset: offset, as: N.self)
      return Int(truncatingIfNeeded: N(littleEndian: stored))
    }

    /// A text that ends with a zero.
    private func text(at offset: Int) throws -> String {
      guard bytes.indices.contains(offset), let end = bytes[offset...].firstIndex(of: 0) else {
        throw Unreadable()
      }
      return String(decoding: bytes[offset..<end], as: UTF8.self)
    }
  }
#endif
