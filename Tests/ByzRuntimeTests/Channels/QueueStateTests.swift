import ByzRuntime
import Testing

@Suite("QueueState")
struct QueueStateTests {
  private func describe(_ directives: [QueueState<String>.Directive]) -> [String] {
    directives.map {
      switch $0 {
      case .give(let element, let id): "\(element) to \(id)"
      case .accept(let id): "accept \(id)"
      case .refuse(let id): "refuse \(id)"
      }
    }
  }

  @Test("a full queue makes senders wait, and takes them in their order")
  func full() {
    var queue = QueueState<String>(capacity: 1)
    #expect(describe(queue.put("a", by: 1)) == ["accept 1"])
    #expect(describe(queue.put("b", by: 2)) == [])
    #expect(describe(queue.put("c", by: 3)) == [])
    #expect(queue.count == 1)
    #expect(queue.waitingCount == 2)
    #expect(describe(queue.take(by: 4)) == ["a to 4", "accept 2"])
    #expect(describe(queue.take(by: 4)) == ["b to 4", "accept 3"])
    #expect(describe(queue.take(by: 4)) == ["c to 4"])
    #expect(queue.waitingCount == 0)
  }

  @Test("an element goes to the receiver that has waited longest, and to no other")
  func waiting() {
    var queue = QueueState<String>(capacity: 1)
    #expect(describe(queue.take(by: 1)) == [])
    #expect(describe(queue.take(by: 2)) == [])
    #expect(describe(queue.put("a", by: 3)) == ["a to 1", "accept 3"])
    #expect(queue.count == 0)
  }

  @Test("a sender that is cancelled leaves nothing, and a receiver takes nothing")
  func cancellation() {
    var queue = QueueState<String>(capacity: 1)
    #expect(describe(queue.take(by: 1)) == [])
    let hasWaited = queue.cancel(1)
    #expect(hasWaited)
    #expect(describe(queue.put("a", by: 2)) == ["accept 2"])
    #expect(describe(queue.put("b", by: 3)) == [])
    let sender = queue.cancel(3)
    #expect(sender)
    // What is in stays in.
    let late = queue.cancel(2)
    #expect(!late)
    #expect(describe(queue.take(by: 4)) == ["a to 4"])
    #expect(queue.count == 0)
  }

  @Test("a closed queue tells all who wait, takes nothing in, and gives what is left")
  func closing() {
    var queue = QueueState<String>(capacity: 1)
    #expect(describe(queue.put("a", by: 1)) == ["accept 1"])
    #expect(describe(queue.put("b", by: 2)) == [])
    #expect(describe(queue.close()) == ["refuse 2"])
    #expect(describe(queue.put("c", by: 3)) == ["refuse 3"])
    let (isAccepted, _) = queue.offer("c")
    #expect(!isAccepted)
    #expect(describe(queue.take(by: 4)) == ["a to 4"])
    #expect(describe(queue.take(by: 4)) == ["refuse 4"])
  }
}
