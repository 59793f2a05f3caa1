import ByzRuntime
import Testing

@Suite("RouterState")
struct RouterStateTests {
  private final class Line {}

  private typealias State = RouterState<Line>

  private func describe(_ way: State.Way, client: Line) -> String {
    switch way {
    case .take(nil): "nowhere"
    case .take(let line?): line === client ? "client" : "direct"
    case .wait: "wait"
    case .ask(_, let lost): "ask after \(lost)"
    }
  }

  private func describe(_ step: State.Step, _ lines: [Line]) -> String {
    func name(_ line: Line) -> Int { lines.firstIndex { $0 === line } ?? -1 }
    return switch step {
    case .done(let areConnected): "\(areConnected)"
    case .wait(let number): "wait for \(number)"
    case .join(let line, let host, let ticket, let meeting):
      "\(name(line)) to \(host) by \(ticket): \(meeting)"
    case .pass(let one, let other, let ticket): "\(name(one)) and \(name(other)) by \(ticket)"
    }
  }

  private func adopt(
    _ router: inout State, _ line: Line, as host: UInt64, at address: String? = nil,
    by ticket: UInt64? = nil
  ) -> Bool {
    router.adopt(line, as: host, at: address, by: ticket)
  }

  private func admit(_ expected: inout ExpectedSiblings<Line>, _ ticket: UInt64) -> Line? {
    expected.admit(ticket)?.session
  }

  // MARK: - The worker

  @Test("a worker asks its client once for all who wait, and takes the connection that came of it")
  func asking() {
    let (client, direct) = (Line(), Line())
    var router = State(host: 1)
    router.upstream = client
    #expect(describe(router.way(to: 2), client: client) == "ask after 0")
    #expect(describe(router.way(to: 2), client: client) == "wait")
    #expect(describe(router.way(to: 3), client: client) == "ask after 0")
    #expect(adopt(&router, direct, as: 2, by: 7))
    router.answered(true, about: 2, over: client)
    #expect(router.wayNow(to: 2) === direct)
    #expect(describe(router.way(to: 2), client: client) == "direct")
    // Lost: the next letter asks for another, and says which one was lost.
    router.ended(direct, as: 2)
    #expect(describe(router.way(to: 2), client: client) == "ask after 7")
  }

  @Test("a worker that cannot be reached gets its mail through the client")
  func outOfReach() {
    let client = Line()
    var router = State(host: 1)
    router.upstream = client
    _ = router.way(to: 2)
    router.answered(false, about: 2, over: client)
    #expect(router.wayNow(to: 2) === client)
    #expect(describe(router.way(to: 2), client: client) == "client")
  }

  @Test(
    "what failed while the client was away is tried again when it has come, however late it fails")
  func clientComesBack() {
    let (lost, client) = (Line(), Line())
    var router = State(host: 1)
    router.upstream = lost
    for host in [2, 3] as [UInt64] { _ = router.way(to: host) }
    router.answered(false, about: 2, over: lost)
    router.comeBack(over: client)
    router.answered(false, about: 3, over: lost)
    #expect(describe(router.way(to: 2), client: client) == "ask after 0")
    #expect(describe(router.way(to: 3), client: client) == "ask after 0")
  }

  @Test("mail to one that the client cannot reach goes through the client, and the next asks again")
  func away() {
    let client = Line()
    var router = State(host: 1)
    router.upstream = client
    _ = router.way(to: 2)
    router.answered(nil, about: 2, over: client)
    #expect(router.wayNow(to: 2) === client)
    #expect(describe(router.way(to: 2), client: client) == "ask after 0")
  }

  @Test("a process without a client knows no way but its connections")
  func withoutClient() {
    let line = Line()
    var router = State(host: 1)
    #expect(describe(router.way(to: 2), client: line) == "nowhere")
    #expect(adopt(&router, line, as: 2))
    #expect(router.connection(to: 2) === line)
  }

  @Test("a second connection to a process is refused, and the end of another one changes nothing")
  func adopting() {
    let (first, second) = (Line(), Line())
    var router = State(host: 1)
    #expect(adopt(&router, first, as: 2))
    #expect(!adopt(&router, second, as: 2))
    #expect(!adopt(&router, second, as: 1))
    router.ended(second, as: 2)
    #expect(router.connection(to: 2) === first)
    let left = router.stop()
    #expect(left.count == 1)
    #expect(!adopt(&router, second, as: 3))
  }

  @Test("a connection that is being opened ends before a new one, too: it may deliver mail already")
  func opening() {
    let (old, new) = (Line(), Line())
    var router = State(host: 1)
    #expect(adopt(&router, old, as: 2))
    router.opening(new, to: 2)
    #expect(router.connections(with: 2).map { $0 === old } == [true, false])
    #expect(router.connection(to: 2) === old)
    router.ended(old, as: 2)
    #expect(router.connection(to: 2) == nil)
    #expect(adopt(&router, new, as: 2, by: 7))
    #expect(router.connections(with: 2).count == 1)
    router.ended(new, as: 2)
    #expect(router.connections(with: 2).isEmpty)
  }

  // MARK: - The client

  private func client(_ addresses: [String?]) -> (State, [Line]) {
    var router = State(host: 100)
    let lines = addresses.map { _ in Line() }
    for (number, address) in addresses.enumerated() {
      #expect(adopt(&router, lines[number], as: UInt64(number), at: address))
    }
    return (router, lines)
  }

  @Test("brings two together once: one waits, the other connects, and who asks meanwhile waits")
  func introducing() {
    var (router, lines) = client(["tcp://0", "tcp://1"])
    func introduce(_ one: UInt64, _ other: UInt64, lost: UInt64 = 0, as number: UInt64) -> String {
      describe(
        router.introduce(one, to: other, after: lost, as: number) { _, _ in false }, lines)
    }
    #expect(introduce(0, 1, as: 5) == "1 to 0 by 5: wait")
    #expect(introduce(1, 0, as: 6) == "wait for 5")
    #expect(
      describe(router.joined(true, 0, 1, in: 5, ticket: 7), lines)
        == "0 to 1 by 5: dial(\"tcp://1\")")
    #expect(describe(router.joined(true, 0, 1, in: 5, ticket: 8), lines) == "true")
    #expect(introduce(1, 0, as: 9) == "true")
    // Who has lost that connection gets another, and the other side the same.
    #expect(introduce(1, 0, lost: 5, as: 10) == "0 to 1 by 10: wait")
    #expect(introduce(0, 1, lost: 5, as: 11) == "wait for 10")
  }

  @Test("tries the other direction, too, and then remembers that there is no way")
  func failing() {
    var (router, lines) = client(["tcp://0", "tcp://1"])
    _ = router.introduce(0, to: 1, after: 0, as: 5) { _, _ in false }
    #expect(describe(router.joined(false, 0, 1, in: 5, ticket: 6), lines) == "0 to 1 by 6: wait")
    #expect(
      describe(router.joined(true, 0, 1, in: 5, ticket: 7), lines)
        == "1 to 0 by 6: dial(\"tcp://0\")")
    #expect(describe(router.joined(false, 0, 1, in: 5, ticket: 8), lines) == "false")
    #expect(
      describe(router.introduce(1, to: 0, after: 0, as: 9) { _, _ in false }, lines) == "false")
  }

  @Test("does not bring together strangers, one with itself, or different transports")
  func refusing() {
    var (router, lines) = client(["tcp://0", "ucx://1", nil])
    for (one, other) in [(0, 1), (0, 2), (0, 0), (0, 9)] as [(UInt64, UInt64)] {
      let step = router.introduce(one, to: other, after: 0, as: 5) { _, _ in false }
      #expect(describe(step, lines) == "false")
    }
  }

  @Test("passes child processes a socket, and does not try again")
  func passing() {
    var (router, lines) = client([nil, nil])
    #expect(
      describe(router.introduce(0, to: 1, after: 0, as: 5) { _, _ in true }, lines)
        == "0 and 1 by 5")
    #expect(describe(router.joined(false, 0, 1, in: 5, ticket: 6), lines) == "false")
  }

  @Test("an introduction ends with the connection to either, and begins anew with the next")
  func lost() {
    var (router, lines) = client(["tcp://0", "tcp://1"])
    _ = router.introduce(0, to: 1, after: 0, as: 5) { _, _ in false }
    router.ended(lines[1], as: 1)
    #expect(describe(router.joined(true, 0, 1, in: 5, ticket: 6), lines) == "false")
    #expect(adopt(&router, lines[1], as: 1, at: "tcp://1"))
    #expect(
      describe(router.introduce(0, to: 1, after: 0, as: 7) { _, _ in false }, lines)
        == "1 to 0 by 7: wait")
  }

  @Test("a ticket admits whom it was given to, once, and only the last one")
  func tickets() throws {
    let (session, other) = (Line(), Line())
    var expected = ExpectedSiblings<Line>()
    try expected.expect(1, from: 7, in: session)
    try expected.expect(2, from: 7, in: session)
    try expected.expect(3, from: 7, in: other)
    #expect(admit(&expected, 1) == nil)
    #expect(admit(&expected, 2) === session)
    #expect(admit(&expected, 2) == nil)
    expected.leave(other)
    #expect(admit(&expected, 3) == nil)
  }

  @Test("one session waits for so many, and keeps no other from waiting")
  func mostTickets() throws {
    let (session, other) = (Line(), Line())
    var expected = ExpectedSiblings<Line>()
    let most = UInt64(ExpectedSiblings<Line>.mostTickets)
    for number in 1...most { try expected.expect(number, from: number, in: session) }
    let error = #expect(throws: RuntimeError.self) {
      try expected.expect(most + 1, from: most + 1, in: session)
    }
    #expect(error?.code == .limitExceeded)
    try expected.expect(most + 2, from: 1, in: other)
    // In place of one that it waited for.
    try expected.expect(most + 3, from: 1, in: session)
    #expect(admit(&expected, 1) == nil)
    #expect(admit(&expected, 2) === session)
    try expected.expect(most + 4, from: most + 4, in: session)
    expected.leave(session)
    #expect(admit(&expected, most + 4) == nil)
    #expect(admit(&expected, most + 2) === other)
  }
}
