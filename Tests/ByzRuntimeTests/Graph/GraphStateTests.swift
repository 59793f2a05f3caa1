import ByzRuntime
import Testing

@Suite("GraphState")
struct GraphStateTests {
  /// 0 → 1 → 3, 0 → 2 → 3.
  private let diamond: [Set<Int>] = [[], [0], [0], [1, 2]]

  @Test("begins a step as soon as its own dependencies are there, not wave by wave")
  func dataflow() {
    // 0 and 1 have no dependencies; 2 needs 1 only.
    var state = GraphState(dependencies: [[], [], [1]], outputs: [0, 2], limit: .max)
    #expect(state.handle(.started) == [.run(0), .run(1)])
    #expect(state.handle(.finished(1)) == [.run(2)])
  }

  @Test("begins a shared step once, and the step that joins when both branches are done")
  func diamondRuns() {
    var state = GraphState(dependencies: diamond, outputs: [3], limit: .max)
    #expect(state.handle(.started) == [.run(0)])
    #expect(state.handle(.finished(0)) == [.run(1), .run(2)])
    #expect(state.handle(.finished(2)) == [])
    #expect(state.handle(.finished(1)) == [.release(0), .run(3)])
    #expect(state.handle(.finished(3)) == [.release(1), .release(2)])
  }

  @Test("keeps the values of outputs, read or not")
  func outputsAreKept() {
    var state = GraphState(dependencies: [[], [0]], outputs: [0, 1], limit: .max)
    _ = state.handle(.started)
    _ = state.handle(.finished(0))
    #expect(state.handle(.finished(1)) == [])
  }

  @Test("begins no more steps than the limit, the lowest first")
  func limit() {
    var state = GraphState(dependencies: [[], [], [], [0]], outputs: [1, 2, 3], limit: 2)
    #expect(state.handle(.started) == [.run(0), .run(1)])
    #expect(state.handle(.finished(0)) == [.run(2)])
    #expect(state.handle(.finished(1)) == [.run(3)])
    #expect(state.handle(.finished(3)) == [.release(0)])
  }

  @Test("with a limit of one goes through the steps in order")
  func sequential() {
    var state = GraphState(dependencies: diamond, outputs: [3], limit: 1)
    var order: [GraphState.Directive] = state.handle(.started)
    for step in 0..<4 {
      #expect(order.last == .run(step))
      order += state.handle(.finished(step)).filter { if case .run = $0 { true } else { false } }
    }
    #expect(order == [.run(0), .run(1), .run(2), .run(3)])
  }

  @Test("lets a step wait for its messages when its dependencies are there, outside of the limit")
  func messages() {
    var state = GraphState(
      dependencies: [[], [], [1]], outputs: [0, 1, 2], limit: 1, receivers: [0, 2])
    #expect(state.handle(.started) == [.receive(0), .run(1)])
    #expect(state.handle(.received(0)) == [], "one may run at a time")
    #expect(state.handle(.finished(1)) == [.receive(2), .run(0)])
    #expect(state.handle(.received(2)) == [])
    #expect(state.handle(.finished(0)) == [.run(2)])
  }
}
