import ByzRuntime
import Testing

@Suite("The state of a connection")
struct PeerStateTests {
  private static func hello(_ host: UInt64, types: [String: Int] = [:]) -> Hello {
    Hello(
      host: host, name: "host \(host)", types: types, kernels: "avx2", blas: "",
      requiresSameBits: false)
  }

  private func made(
    _ hello: Hello = hello(1), authenticator: (any LinkAuthenticator)? = nil,
    mostCalls: Int = 100, callBytes: Int = .max
  ) -> PeerState {
    var limits = WireLimits()
    (limits.calls, limits.callBytes) = (mostCalls, callBytes)
    return PeerState(
      hello: hello, epoch: 7, authenticator: authenticator,
      liveness: Liveness(interval: .seconds(1), timeout: .seconds(5)), limits: limits,
      encode: Hello.encode, decode: Hello.init(parsing:))
  }

  /// A state whose other side has said hello, with epoch 9.
  private func opened(mostCalls: Int = 100, callBytes: Int = .max) -> PeerState {
    var state = made(mostCalls: mostCalls, callBytes: callBytes)
    _ = state.handle(.started, at: .zero)
    let hello = Message(.hello, epoch: 9, body: Hello.encode(Self.hello(2)))
    let directives = state.handle(.received(hello), at: .zero)
    #expect(directives.contains { if case .opened = $0 { true } else { false } })
    return state
  }

  private func closing(_ directives: [PeerState.Directive]) -> RuntimeError? {
    for directive in directives {
      switch directive {
      case .close(let reason), .closeWhenSent(let reason): return reason
      default: break
      }
    }
    return nil
  }

  private func failure(of call: UInt64, in directives: [PeerState.Directive]) -> RuntimeError? {
    for case .complete(call, .failure(let error)) in directives { return error }
    return nil
  }

  private func served(_ directives: [PeerState.Directive]) -> [UInt64] {
    directives.compactMap { if case .serve(let call) = $0 { call.call } else { nil } }
  }

  @Test("calls above the limit are answered with a failure, and count no more when one has ended")
  func tooManyCalls() {
    var state = opened(mostCalls: 2)
    let receive = { (state: inout PeerState, call: UInt64) in
      state.handle(.received(Message(.call, epoch: 7, call: call)), at: .zero)
    }
    #expect(served(receive(&state, 1)) == [1])
    #expect(served(receive(&state, 2)) == [2])
    let directives = receive(&state, 3)
    guard directives.count == 1, case .sendAtOnce(let answer) = directives[0] else {
      Issue.record("\(directives)")
      return
    }
    #expect(answer.kind == .failure && answer.call == 3 && answer.epoch == 9)
    let error = #expect(throws: RuntimeError.self) {
      try answer.result(registry: Registry(), limits: WireLimits())
    }
    #expect(error?.code == .limitExceeded && error?.message.contains("WireLimits.calls") == true)
    _ = state.handle(.served(Message(.reply, call: 1)), at: .zero)
    #expect(served(receive(&state, 4)) == [4])
  }

  @Test("calls that bring more than the limit are answered with a failure, but for one alone")
  func tooManyCallBytes() {
    let big = Message(.call, epoch: 7, call: 1, body: Array(repeating: 0, count: 1000))
    let rest = Message(.call, epoch: 7, call: 2, body: Array(repeating: 0, count: 100))
    var state = opened(callBytes: big.byteCount + rest.byteCount - 1)
    func receive(_ message: Message, as call: UInt64) -> [PeerState.Directive] {
      var message = message
      message.call = call
      return state.handle(.received(message), at: .zero)
    }
    #expect(served(receive(big, as: 1)) == [1])
    guard case .sendAtOnce(let answer)? = receive(rest, as: 2).first else {
      Issue.record("It is not refused.")
      return
    }
    let error = #expect(throws: RuntimeError.self) {
      try answer.result(registry: Registry(), limits: WireLimits())
    }
    #expect(error?.code == .limitExceeded && error?.message.contains("callBytes") == true)
    _ = state.handle(.served(Message(.reply, call: 1)), at: .zero)
    #expect(served(receive(rest, as: 3)) == [3])
    _ = state.handle(.served(Message(.reply, call: 3)), at: .zero)
    var strict = opened(callBytes: 1)
    #expect(served(strict.handle(.received(big), at: .zero)) == [1])
  }

  @Test("answers that wait for no room end the connection when a full link has had too many")
  func unread() {
    var state = opened(mostCalls: 0)
    func answer(_ message: Message, isFull: Bool) -> RuntimeError? {
      guard case .sendAtOnce(let answer)? = state.handle(.received(message), at: .zero).first else {
        Issue.record("\(message.kind) is not answered")
        return nil
      }
      return closing(
        state.handle(.sentAtOnce(byteCount: answer.byteCount, isFull: isFull), at: .zero))
    }
    let ping = Message(.ping, epoch: 7, body: [UInt8](repeating: 0, count: 8))
    let most = PeerState.mostUnread / Message(.pong).byteCount
    // Read now and then, any number.
    for number in 1...3 * most {
      #expect(answer(ping, isFull: number % most != 0) == nil)
    }
    for _ in 0..<most { #expect(answer(ping, isFull: true) == nil) }
    let reason = answer(Message(.call, epoch: 7, call: 1), isFull: true)
    #expect(reason?.code == .limitExceeded)
    #expect(state.hasEnded)
  }

  @Test("nothing but a hello is listened to first")
  func helloFirst() {
    for kind in Message.Kind.allCases where kind != .hello {
      var state = made()
      _ = state.handle(.started, at: .zero)
      #expect(closing(state.handle(.received(Message(kind, epoch: 7)), at: .zero)) != nil)
      #expect(state.hasEnded)
    }
  }

  @Test("a hello that is none, comes twice or never ends the connection")
  func badHellos() {
    var state = made()
    _ = state.handle(.started, at: .zero)
    #expect(
      closing(state.handle(.received(Message(.hello, epoch: 9, body: [1, 2])), at: .zero))?.code
        == .malformedMessage)
    state = opened()
    #expect(closing(state.handle(.received(Message(.hello, epoch: 7)), at: .zero)) != nil)
    state = made()
    _ = state.handle(.started, at: .zero)
    #expect(closing(state.handle(.ticked, at: .seconds(31)))?.code == .workerLost)
  }

  @Test("two versions of a type are refused, with both numbers")
  func versions() {
    var state = made(Self.hello(1, types: ["A": 1, "B": 3]))
    _ = state.handle(.started, at: .zero)
    let other = Hello.encode(Self.hello(2, types: ["B": 4, "C": 1]))
    let hello = Message(.hello, epoch: 9, body: other)
    let directives = state.handle(.received(hello), at: .seconds(1))
    let reason = closing(directives)
    #expect(reason?.code == .incompatiblePeer)
    #expect(reason?.message.contains("B has version 3 here and 4") == true)
    // This side's own hello goes first; where it cannot, nobody waits for long.
    #expect(directives.contains { if case .closeWhenSent = $0 { true } else { false } })
    #expect(state.handle(.received(hello), at: .seconds(1)).isEmpty && !state.hasEnded)
    #expect(state.nextTick == .seconds(1) + PeerState.refusalLimit)
    var closed = state
    for directives in [
      state.handle(.ticked, at: .seconds(4)),
      closed.handle(.linkClosed(RuntimeError(.workerLost, "It is gone.")), at: .seconds(1)),
    ] {
      let ended = directives.compactMap { if case .ended(let reason) = $0 { reason } else { nil } }
      #expect(ended.map(\.code) == [.incompatiblePeer])
    }
    #expect(state.hasEnded && closed.hasEnded)
  }

  @Test("silence ends the connection and every call, within the time allowed")
  func silence() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .seconds(1))
    _ = state.handle(.sent(1), at: .seconds(1))
    for time in [1, 2, 3, 4, 4.9] {
      #expect(closing(state.handle(.ticked, at: .seconds(time))) == nil)
    }
    let directives = state.handle(.ticked, at: .seconds(5))
    #expect(closing(directives)?.code == .workerLost)
    #expect(failure(of: 1, in: directives)?.code == .workerLost)
  }

  @Test("an answer to a ping keeps the connection, however long a call takes")
  func heartbeat() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    for second in 1...100 {
      let directives = state.handle(.ticked, at: .seconds(second))
      #expect(closing(directives) == nil)
      _ = state.handle(.received(Message(.pong, epoch: 7)), at: .seconds(second))
    }
    #expect(state.pendingCount == 1)
  }

  @Test("a message of another life of the connection is dropped")
  func epochs() {
    var state = opened()
    #expect(served(state.handle(.received(Message(.call, epoch: 6, call: 1)), at: .zero)).isEmpty)
    #expect(served(state.handle(.received(Message(.call, epoch: 7, call: 1)), at: .zero)) == [1])
  }

  @Test("a call that arrives twice is carried out once, in whatever order calls come")
  func atMostOnce() {
    var state = opened()
    for number: UInt64 in [2, 1, 2, 1, 4, 3, 4] {
      _ = state.handle(.received(Message(.call, epoch: 7, call: number)), at: .zero)
    }
    #expect(state.pendingCount == 4)
    _ = state.handle(.served(Message(.reply, call: 2)), at: .zero)
    #expect(served(state.handle(.received(Message(.call, epoch: 7, call: 2)), at: .zero)).isEmpty)
  }

  @Test("an answer completes its call once; one that nobody waits for is ignored")
  func answers() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    let reply = Message(.reply, epoch: 7, call: 1)
    let one = state.handle(.received(reply), at: .zero)
    #expect(one.count == 1)
    let none = state.handle(.received(reply), at: .zero)
    #expect(none.isEmpty)
    let noneMore = state.handle(.received(Message(.reply, epoch: 7, call: 99)), at: .zero)
    #expect(noneMore.isEmpty)
  }

  @Test("a call ends with its deadline although no answer comes, and the other side is told")
  func deadlines() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: .seconds(2)), at: .zero)
    _ = state.handle(.sent(1), at: .zero)
    _ = state.handle(.received(Message(.pong, epoch: 7)), at: .seconds(2))
    let directives = state.handle(.ticked, at: .seconds(2) + PeerState.grace)
    #expect(failure(of: 1, in: directives)?.code == .deadlineExceeded)
    #expect(directives.contains { if case .send(let m) = $0 { m.kind == .cancel } else { false } })
  }

  @Test("what is served is cancelled at its deadline and when the connection ends")
  func servingEnds() {
    var state = opened()
    _ = state.handle(
      .received(Message(.call, epoch: 7, call: 1, timeLeft: .seconds(1))), at: .zero)
    _ = state.handle(.received(Message(.call, epoch: 7, call: 2)), at: .zero)
    func cancelled(_ directives: [PeerState.Directive]) -> [UInt64] {
      directives.compactMap { if case .cancelServing(let id) = $0 { id } else { nil } }
    }
    #expect(cancelled(state.handle(.ticked, at: .seconds(1))) == [1])
    #expect(
      cancelled(state.handle(.linkClosed(RuntimeError(.workerLost, "gone")), at: .seconds(1)))
        == [1, 2])
  }

  @Test("a cancellation is sent after its call, never before, and once")
  func cancellations() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    let none = state.handle(.cancelled(1), at: .zero)
    #expect(none.isEmpty)
    let one = state.handle(.sent(1), at: .zero)
    #expect(one.count == 1)
    let noneMore = state.handle(.cancelled(1), at: .zero)
    #expect(noneMore.isEmpty)
  }

  @Test("a message lost on the way ends the connection at the next ping")
  func lostMessages() {
    var state = opened()
    var ping = Message(.ping, epoch: 7, body: [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(closing(state.handle(.received(ping), at: .zero))?.code == .workerLost)
    state = opened()
    _ = state.handle(.received(Message(.call, epoch: 7, call: 1)), at: .zero)
    #expect(closing(state.handle(.received(ping), at: .zero)) == nil)
    ping.body = []
    #expect(closing(state.handle(.received(ping), at: .zero)) != nil)
  }

  @Test("a message that arrives twice does not hide that another was lost")
  func lostAndRepeated() {
    let ping = Message(.ping, epoch: 7, body: [2, 0, 0, 0, 0, 0, 0, 0])
    var state = opened()
    for _ in 0..<2 {
      _ = state.handle(.received(Message(.call, epoch: 7, call: 1)), at: .zero)
    }
    #expect(closing(state.handle(.received(ping), at: .zero))?.code == .workerLost)
    state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    for _ in 0..<2 {
      _ = state.handle(.received(Message(.reply, epoch: 7, call: 1)), at: .zero)
    }
    #expect(closing(state.handle(.received(ping), at: .zero))?.code == .workerLost)
  }

  @Test("an answer that comes after its call's time is over was not lost")
  func lateAnswer() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: .seconds(1)), at: .zero)
    _ = state.handle(.sent(1), at: .zero)
    let late = Duration.seconds(1) + PeerState.grace
    #expect(failure(of: 1, in: state.handle(.ticked, at: late))?.code == .deadlineExceeded)
    _ = state.handle(.received(Message(.reply, epoch: 7, call: 1)), at: late)
    let ping = Message(.ping, epoch: 7, body: [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(closing(state.handle(.received(ping), at: late)) == nil)
  }

  @Test("messages of another life are no sign of life")
  func otherLife() {
    var state = opened()
    for second in 1..<5 {
      _ = state.handle(.received(Message(.pong, epoch: 8)), at: .seconds(second))
      #expect(closing(state.handle(.ticked, at: .seconds(second))) == nil)
    }
    #expect(closing(state.handle(.ticked, at: .seconds(5)))?.code == .workerLost)
  }

  @Test("a side that stood still reads what came meanwhile before it gives the other up")
  func ownPause() {
    var state = opened()
    for second in 1..<4 { _ = state.handle(.ticked, at: .seconds(second)) }
    // Stopped for a minute; the other side has answered all along, and nobody has read it.
    #expect(closing(state.handle(.ticked, at: .seconds(64))) == nil)
    _ = state.handle(.received(Message(.pong, epoch: 7)), at: .seconds(64))
    for second in 65..<69 {
      #expect(closing(state.handle(.ticked, at: .seconds(second))) == nil)
    }
    #expect(closing(state.handle(.ticked, at: .seconds(69)))?.code == .workerLost)
    // One that has gone meanwhile is given up no later than it would have been without the pause.
    state = opened()
    for second in 1..<4 { _ = state.handle(.ticked, at: .seconds(second)) }
    #expect(closing(state.handle(.ticked, at: .seconds(64))) == nil)
    #expect(closing(state.handle(.ticked, at: .seconds(65)))?.code == .workerLost)
  }

  @Test("a call to a side that takes no more is lost with it, and may be made elsewhere")
  func otherSideDrains() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    _ = state.handle(.received(Message(.goodbye, epoch: 7)), at: .zero)
    let refused = state.handle(.call(2, timeLeft: nil), at: .zero)
    #expect(failure(of: 2, in: refused)?.code == .workerLost)
  }

  @Test("draining refuses new calls, and closes when the last one has ended")
  func draining() {
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    _ = state.handle(.received(Message(.call, epoch: 7, call: 1)), at: .zero)
    #expect(closing(state.handle(.drained, at: .zero)) == nil)
    #expect(failure(of: 2, in: state.handle(.call(2, timeLeft: nil), at: .zero))?.code == .stopped)
    #expect(closing(state.handle(.received(Message(.reply, epoch: 7, call: 1)), at: .zero)) == nil)
    #expect(closing(state.handle(.sentGoodbye, at: .zero)) == nil)
    _ = state.handle(.served(Message(.reply, call: 1)), at: .zero)
    #expect(closing(state.handle(.sentAnswer, at: .zero)) != nil)
  }

  @Test(
    "says goodbye only when no call is still to be handed to the link, which the other side would drop"
  )
  func unsentCall() {
    func goodbyes(_ directives: [PeerState.Directive]) -> Int {
      directives.count {
        if case .send(let message) = $0 { message.kind == .goodbye } else { false }
      }
    }
    var state = opened()
    _ = state.handle(.call(1, timeLeft: nil), at: .zero)
    _ = state.handle(.call(2, timeLeft: nil), at: .zero)
    #expect(goodbyes(state.handle(.sent(1), at: .zero)) == 0)
    #expect(goodbyes(state.handle(.drained, at: .zero)) == 0)
    #expect(goodbyes(state.handle(.sent(2), at: .zero)) == 1)
    #expect(goodbyes(state.handle(.received(Message(.reply, epoch: 7, call: 1)), at: .zero)) == 0)
    #expect(closing(state.handle(.received(Message(.reply, epoch: 7, call: 2)), at: .zero)) == nil)
    // A thread that is to send it may be slow: the end must not overtake it.
    #expect(closing(state.handle(.sentGoodbye, at: .zero)) != nil)
    // One whose time is over will not be waited for.
    state = opened()
    _ = state.handle(.call(1, timeLeft: .seconds(1)), at: .zero)
    #expect(goodbyes(state.handle(.drained, at: .zero)) == 0)
    let ended = state.handle(.ticked, at: .seconds(1) + PeerState.grace)
    #expect(goodbyes(ended) == 1 && closing(ended) == nil)
    #expect(closing(state.handle(.sentGoodbye, at: .zero)) != nil)
  }

  @Test("an answer that has not been handed to the link yet keeps the connection, however it ends")
  func unsentAnswer() {
    let goodbye = PeerState.Event.received(Message(.goodbye, epoch: 7))
    for ending in [goodbye, .drained] {
      var state = opened(mostCalls: 1)
      for call: UInt64 in [1, 2] {
        _ = state.handle(.received(Message(.call, epoch: 7, call: call)), at: .zero)
      }
      _ = state.handle(.served(Message(.reply, call: 1)), at: .zero)
      #expect(closing(state.handle(ending, at: .zero)) == nil)
      #expect(closing(state.handle(.sentGoodbye, at: .zero)) == nil)
      // The second was refused, which is an answer, too.
      #expect(closing(state.handle(.sentAnswer, at: .zero)) == nil)
      #expect(closing(state.handle(.sentAnswer, at: .zero)) != nil)
    }
  }

  @Test("a message that takes long to arrive is a sign of life")
  func slowMessage() {
    for isHeard in [true, false] {
      var state = opened()
      for second in 1...8 {
        if isHeard { _ = state.handle(.heard, at: .seconds(second)) }
        _ = state.handle(.ticked, at: .seconds(second))
      }
      #expect(state.hasEnded == !isHeard)
    }
  }

  @Test("what was under way when the connection ends is lost, whatever ended it")
  func lostCalls() throws {
    for code in [RuntimeError.Code.stopped, .workerLost, .malformedMessage, .limitExceeded] {
      var state = opened()
      _ = state.handle(.call(7, timeLeft: nil), at: .zero)
      let directives = state.handle(.linkClosed(RuntimeError(code, "It ended.")), at: .zero)
      var errors: [RuntimeError] = []
      for case .complete(7, .failure(let error)) in directives { errors.append(error) }
      #expect(errors.map(\.code) == [.workerLost])
      #expect("\(try #require(errors.first))".contains("It ended."))
    }
  }

  @Test("a number is new once, and the memory of numbers is bounded")
  func seenNumbers() {
    var seen = SeenNumbers()
    let isNew = [2, 1, 1, 2].map { seen.insert($0) }
    #expect(isNew == [true, true, false, false])
    for number in stride(from: UInt64(10), to: 100_000, by: 2) { _ = seen.insert(number) }
    let isNewAgain = [99_998, 5].map { seen.insert($0) }
    #expect(isNewAgain == [false, false])
    // One that is late is new, however many have come before it.
    var late = SeenNumbers()
    for number in UInt64(2)...100_000 { _ = late.insert(number) }
    let isLateNew = [1, 1, 100_001, 50_000].map { late.insert($0) }
    #expect(isLateNew == [true, false, true, false])
    // In any order.
    var shuffled = SeenNumbers()
    var generator = SystemRandomNumberGenerator()
    for number in (UInt64(1)...3000).shuffled(using: &generator) {
      let isNew = shuffled.insert(number)
      let isNewAgain = shuffled.insert(number)
      #expect(isNew && !isNewAgain)
    }
    // Up to the last number there is.
    for back in (UInt64(0)...4095).reversed() + [4097, 4096] { _ = seen.insert(.max - back) }
    let isLastNew = seen.insert(.max)
    #expect(!isLastNew)
  }
}
