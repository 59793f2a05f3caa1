import ByzRuntime
import ByzTCP
import Testing

@Suite("Connection gate")
struct ConnectionGateTests {
  func gate(total: Int = 100, perParty: Int = 100, perSecond: Int = 100) -> ConnectionGate {
    var options = TCPListenerOptions()
    options.maxConnections = total
    options.maxConnectionsPerAddress = perParty
    options.maxAcceptsPerSecondPerAddress = perSecond
    return ConnectionGate(options: options)
  }

  @Test("admits so many in total, and others for those that go")
  func total() {
    var gate = gate(total: 2)
    #expect(gate.admit([1], second: 0) == nil)
    #expect(gate.admit([2], second: 0) == nil)
    #expect(gate.admit([3], second: 0) == .tooMany)
    gate.release([1])
    #expect(gate.admit([3], second: 0) == nil)
    #expect(gate.count == 2)
  }

  @Test("admits so many of one address, and does not make others pay for it")
  func perAddress() {
    var gate = gate(perParty: 2)
    #expect(gate.admit([1], second: 0) == nil)
    #expect(gate.admit([1], second: 0) == nil)
    #expect(gate.admit([1], second: 0) == .tooManyFromAddress)
    #expect(gate.admit([2], second: 0) == nil)
    gate.release([1])
    #expect(gate.admit([1], second: 0) == nil)
  }

  @Test("admits so many of one address in a second, refused ones counted")
  func rate() {
    var gate = gate(perParty: 1, perSecond: 3)
    #expect(gate.admit([1], second: 5) == nil)
    #expect(gate.admit([1], second: 5) == .tooManyFromAddress)
    #expect(gate.admit([1], second: 5) == .tooManyFromAddress)
    gate.release([1])
    #expect(gate.admit([1], second: 5) == .tooFast)
    #expect(gate.admit([2], second: 5) == nil)
    #expect(gate.admit([1], second: 6) == nil)
  }

  @Test("admits nobody while it closes")
  func closing() {
    var gate = gate()
    gate.close()
    #expect(gate.admit([1], second: 0) == .closing)
  }
}

@Suite("Frame progress")
struct FrameProgressTests {
  var progress = FrameProgress(interval: 100, minimumByteCount: 10)

  @Test("asks nothing between messages")
  mutating func idle() {
    #expect(progress.verdict(at: 0) == .idle)
    progress.received(5, completed: false, isAmidMessage: true, at: 0)
    progress.received(5, completed: true, isAmidMessage: false, at: 50)
    #expect(progress.verdict(at: 100) == .idle)
  }

  @Test("lets a message take for ever that brings enough in each interval")
  mutating func steady() {
    progress.received(1, completed: false, isAmidMessage: true, at: 0)
    for time in stride(from: UInt64(100), through: 10_000, by: 100) {
      progress.received(10, completed: false, isAmidMessage: true, at: time - 50)
      #expect(progress.verdict(at: time) == .wait(until: time + 100))
    }
  }

  @Test("finds a message too slow that brings less in one interval")
  mutating func slow() {
    progress.received(1000, completed: false, isAmidMessage: true, at: 0)
    progress.received(9, completed: false, isAmidMessage: true, at: 99)
    #expect(progress.verdict(at: 99) == .wait(until: 100))
    #expect(progress.verdict(at: 100) == .tooSlow(byteCount: 9))
  }

  @Test("gives a message that has begun just before a check its own time")
  mutating func restart() {
    progress.received(1, completed: false, isAmidMessage: true, at: 0)
    progress.received(1, completed: true, isAmidMessage: false, at: 10)
    progress.received(1, completed: false, isAmidMessage: true, at: 95)
    #expect(progress.verdict(at: 100) == .wait(until: 195))
    progress.received(50, completed: true, isAmidMessage: true, at: 150)
    #expect(progress.verdict(at: 195) == .wait(until: 250))
  }
}
