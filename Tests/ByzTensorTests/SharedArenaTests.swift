import ByzTensor
import CByzSystem
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Shared memory")
struct SharedArenaTests {
  @Test("another mapping sees what a tensor in the arena holds")
  func otherMapping() throws {
    let arena = try SharedArena(byteCount: 8 << 20)
    let tensor = Tensor<Float>((0..<1000).map(Float.init))
    let copy = try arena.copy(of: tensor.segment)
    let offset = try #require(arena.place(of: copy))
    let mapping = try MappedArena(fileDescriptor: arena.fileDescriptor)
    let seen = UnsafeRawBufferPointer(start: mapping.address + Int(offset), count: 4000)
    tensor.withUnsafeBufferPointer {
      #expect(seen.elementsEqual(UnsafeRawBufferPointer($0)))
    }
    #expect(arena.place(of: tensor.segment) == nil)
  }

  @Test("a shared copy is in the arena of the process, once, and separates on the first write")
  func sharedCopy() throws {
    let arena = try SharedArena.process()
    let copy = try Tensor<Float>([1, 2, 3]).sharedCopy()
    let again = try copy.sharedCopy()
    #expect(arena.place(of: copy.segment) != nil)
    #expect(arena.place(of: copy.segment) == arena.place(of: again.segment))
    var changed = again
    changed[0] = 9
    #expect(copy == [1, 2, 3])
    #expect(changed == [9, 2, 3])
  }

  @Test("a block goes back with the last tensor, and more than the bound goes back to the system")
  func giveBack() throws {
    let arena = try SharedArena(byteCount: 16 << 20, warmLimit: 1 << 20)
    var storage: TensorStorage? = try arena.storage(byteCount: 8 << 20)
    let address = try #require(storage).address
    address.initializeMemory(as: UInt8.self, repeating: 1, count: 8 << 20)
    #expect(residentByteCount(arena) >= 8 << 20)
    #expect(arena.usedByteCount == 8 << 20)
    storage = nil
    #expect(arena.usedByteCount == 0)
    #expect(residentByteCount(arena) <= 1 << 20)
  }

  @Test("what does not fit is refused with both numbers")
  func full() throws {
    let arena = try SharedArena(byteCount: 1 << 20)
    #expect(throws: SharedMemoryError.full(byteCount: 2 << 20, capacity: 1 << 20)) {
      _ = try arena.storage(byteCount: 2 << 20)
    }
  }

  @Test("a range counts as inside only if all of it is")
  func bounds() throws {
    let arena = try SharedArena(byteCount: 1 << 20)
    let mapping = try MappedArena(fileDescriptor: arena.fileDescriptor)
    #expect(mapping.contains(offset: 0, byteCount: 1 << 20))
    #expect(mapping.contains(offset: 1 << 20, byteCount: 0))
    #expect(!mapping.contains(offset: 1, byteCount: 1 << 20))
    #expect(!mapping.contains(offset: .max, byteCount: 64))
    #expect(!mapping.contains(offset: 64, byteCount: .max))
    #expect(!mapping.contains(offset: 64, byteCount: -1))
  }

  @Test("no one can change the size of shared memory")
  func sealed() throws {
    let arena = try SharedArena(byteCount: 1 << 20)
    #expect(ftruncate(arena.fileDescriptor, 4096) == -1)
  }

  @Test("a descriptor of something else is refused")
  func noMemory() {
    #expect(throws: SharedMemoryError.self) { _ = try MappedArena(fileDescriptor: -1) }
  }

  private func residentByteCount(_ arena: SharedArena) -> Int {
    var status = stat()
    fstat(arena.fileDescriptor, &status)
    return Int(status.st_blocks) * 512
  }
}
