import ByzKit
import Testing

@Suite("Workspaces")
struct WorkspaceTests {
  @Test("hand out aligned memory that does not overlap, and the same again next time")
  func memory() {
    let workspace = Workspace()
    func use() -> [UnsafeMutableRawPointer] {
      workspace.withScratch { scratch in
        let (a, b, c) = (scratch.floats(5), scratch.bytes(3), scratch.floats(1000))
        let starts = [
          UnsafeMutableRawPointer(a.baseAddress!), .init(b.baseAddress!), .init(c.baseAddress!),
        ]
        let ends = [starts[0] + 20, starts[1] + 3, starts[2] + 4000]
        for i in 0..<3 {
          #expect(UInt(bitPattern: starts[i]) % 64 == 0)
          for j in 0..<3 where i != j { #expect(ends[i] <= starts[j] || ends[j] <= starts[i]) }
        }
        return starts
      }
    }
    _ = use()
    #expect(use() == use())
  }

  @Test("keep the memory of an outer scope while an inner one comes and goes")
  func nesting() {
    let workspace = Workspace()
    for pass in 0..<2 {
      workspace.withScratch { outer in
        let numbers = outer.floats(10)
        numbers.update(repeating: 1)
        let inner = workspace.withScratch { scratch in
          let numbers = scratch.floats(100)
          numbers.update(repeating: 2)
          return numbers.baseAddress!
        }
        let later = outer.floats(100)
        // The second time everything fits into one block, and the inner scope's part of it is free
        // again.
        if pass == 1 { #expect(later.baseAddress! == inner) }
        later.update(repeating: 3)
        #expect(numbers.allSatisfy { $0 == 1 })
      }
    }
  }
}
