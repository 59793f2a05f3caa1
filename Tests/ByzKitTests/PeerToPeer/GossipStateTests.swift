import ByzKit
import Testing

/// A state under test, and what it said so far.
private struct Node {
  var state: GossipState
  var records: [GossipRecord] = []
  var sums: [[Float]] = []
  var dropped: [DroppedVector.Reason] = []

  init(_ mode: GossipMode, neighbors: [Int] = [1, 2, 3], isByzantine: Bool = false) {
    state = GossipState(
      node: 0, neighbors: neighbors, shape: [2], mode: mode, isByzantine: isByzantine)
  }

  mutating func handle(_ event: GossipState.Event) {
    for directive in state.handle(event) {
      switch directive {
      case .drop(let vector): dropped.append(vector.reason)
      case .proceed(let record, let vectors):
        records.append(record)
        sums.append(vectors.map { $0[0] })
      }
    }
  }

  /// A vector (value, 0) of a round.
  mutating func receive(_ value: Float, from sender: Int, round: Int) {
    handle(.received(GossipMessage(round: round, vector: [value, 0]), from: sender))
  }

  var used: [[Int]] { records.map { $0.used.map(\.sender) } }
}

@Suite("What a node has heard, in step")
struct SynchronousGossipTests {
  @Test("ends its round when every neighbor was heard, in the order of the nodes")
  func allHeard() {
    var node = Node(.synchronous)
    node.handle(.began)
    node.receive(30, from: 3, round: 0)
    node.receive(10, from: 1, round: 0)
    #expect(node.records.isEmpty)
    node.receive(20, from: 2, round: 0)
    #expect(node.used == [[1, 2, 3]])
    #expect(node.sums == [[10, 20, 30]])
    #expect(node.state.round == 1)
  }

  @Test("keeps what comes early for its round, so nothing leaks (ByzPy's messages carry no round)")
  func early() {
    var node = Node(.synchronous, neighbors: [1, 2])
    node.receive(11, from: 1, round: 1)
    node.receive(10, from: 1, round: 0)
    node.handle(.began)
    node.receive(20, from: 2, round: 0)
    node.handle(.began)
    node.receive(21, from: 2, round: 1)
    #expect(node.sums == [[10, 20], [11, 21]])
    #expect(node.dropped.isEmpty)
  }

  @Test("takes each sender's vector of a round once, and only of its round")
  func exactlyOnce() {
    var node = Node(.synchronous, neighbors: [1, 2])
    node.handle(.began)
    node.receive(10, from: 1, round: 0)
    node.receive(99, from: 1, round: 0)
    node.receive(20, from: 2, round: 0)
    node.receive(99, from: 2, round: 0)
    #expect(node.sums == [[10, 20]])
    #expect(node.dropped == [.duplicate, .late])
  }

  @Test("keeps a bounded number of vectors, and does not wait for those it could not keep")
  func bounded() {
    var node = Node(.synchronous, neighbors: [1, 2])
    for round in 0...200 { node.receive(Float(round), from: 1, round: round) }
    let kept = GossipState.lookahead + 1
    #expect(node.dropped == Array(repeating: .tooFarAhead, count: 201 - kept))
    #expect(node.state.vectorCount == kept)
    for round in 0..<kept + 2 {
      node.handle(.began)
      node.receive(0, from: 2, round: round)
    }
    #expect(node.used == Array(repeating: [1, 2], count: kept) + [[2], [2]])
  }

  @Test("drops what is not of the model's shape, not finite or not a neighbor's, and goes on")
  func unusable() {
    var node = Node(.synchronous)
    node.handle(.began)
    node.handle(.received(GossipMessage(round: 0, vector: [1, 2, 3]), from: 1))
    node.handle(.received(GossipMessage(round: 0, vector: [.nan, 0]), from: 2))
    node.receive(5, from: 7, round: 0)
    node.receive(5, from: 3, round: -1)
    node.receive(30, from: 3, round: 0)
    #expect(node.dropped == [.wrongShape([3]), .notFinite, .notANeighbor, .tooFarAhead])
    #expect(node.sums == [[30]])
  }

  @Test("says when there is no room for more of a neighbor, and takes it in once there is")
  func room() {
    var node = Node(.synchronous, neighbors: [1, 2])
    let rounds = 20
    var next = 0
    for round in 0..<rounds {
      node.handle(.began)
      while next < rounds, node.state.hasRoom(for: 1) {
        node.receive(Float(next), from: 1, round: next)
        next += 1
      }
      #expect(next == min(rounds, round + GossipState.lookahead + 1))
      #expect(node.state.hasRoom(for: 2))
      node.receive(0, from: 2, round: round)
    }
    let expected: [[Float]] = (0..<rounds).map { [Float($0), 0] }
    #expect(node.sums == expected)
    #expect(node.dropped.isEmpty)
  }

  @Test("does not wait for a vector of a neighbor that has sent one of a later round")
  func gap() {
    var node = Node(.synchronous, neighbors: [1, 2])
    node.handle(.began)
    node.receive(19, from: 1, round: 9)
    node.receive(1, from: 1, round: .max)
    for round in 0..<10 {
      node.receive(20, from: 2, round: round)
      node.handle(.began)
    }
    let expected: [[Float]] = Array(repeating: [20], count: 9) + [[19, 20]]
    #expect(node.sums == expected)
    #expect(node.dropped.isEmpty)
  }

  @Test("does not wait for a neighbor that has left, and takes in what it sent before")
  func left() {
    var node = Node(.synchronous)
    node.handle(.began)
    node.receive(10, from: 1, round: 0)
    node.handle(.left(1))
    node.handle(.left(2))
    #expect(node.records.isEmpty)
    node.receive(30, from: 3, round: 0)
    #expect(node.sums == [[10, 30]])
  }

  @Test("at the deadline a round goes on with a quorum, and without one uses nothing")
  func deadline() {
    var node = Node(.synchronous(quorum: 2))
    node.handle(.began)
    node.receive(10, from: 1, round: 0)
    node.receive(30, from: 3, round: 0)
    node.handle(.deadline)
    node.handle(.began)
    node.receive(11, from: 1, round: 1)
    node.handle(.deadline)
    node.receive(20, from: 2, round: 0)
    #expect(node.sums == [[10, 30], []])
    #expect(node.records.map(\.hasQuorum) == [true, false])
    #expect(node.dropped == [.late])
  }

  @Test(
    "without a quorum of its own, a third of the neighbors may be missing at the deadline",
    arguments: 0...7)
  func defaultDeadline(count: Int) {
    let least = [0, 1, 2, 2, 3, 4, 4, 5][count]
    for heard in 0...count {
      var node = Node(.synchronous, neighbors: Array(1..<count + 1))
      node.handle(.deadline)  // Between two rounds it means nothing.
      node.handle(.began)
      for sender in 1..<heard + 1 { node.receive(Float(sender), from: sender, round: 0) }
      node.handle(.deadline)
      let used =
        heard < least ? [] : (1..<heard + 1).map { GossipRecord.Contribution(sender: $0, round: 0) }
      #expect(
        node.records == [GossipRecord(node: 0, round: 0, used: used, hasQuorum: heard >= least)])
    }
  }
}

@Suite("What a node has heard, at its own pace")
struct AsynchronousGossipTests {
  @Test("goes on as soon as the quorum was heard")
  func quorum() {
    var node = Node(.asynchronous(quorum: 2, staleness: 0))
    node.handle(.began)
    node.receive(30, from: 3, round: 0)
    #expect(node.records.isEmpty)
    node.receive(10, from: 1, round: 0)
    #expect(node.sums == [[10, 30]])
  }

  @Test("uses a vector until it is older than the staleness limit")
  func staleness() {
    var node = Node(.asynchronous(quorum: 1, staleness: 2), neighbors: [1])
    node.receive(10, from: 1, round: 0)
    for _ in 0..<3 { node.handle(.began) }
    #expect(node.sums == [[10], [10], [10]])
    node.handle(.began)
    #expect(node.state.isCollecting)
    node.receive(11, from: 1, round: 1)
    #expect(node.sums.last == [11])
    #expect(node.records.last?.used == [.init(sender: 1, round: 1)])
  }

  @Test("keeps the latest vector of each neighbor, ahead or behind, and drops the others")
  func latest() {
    var node = Node(.asynchronous(quorum: 2, staleness: 1), neighbors: [1, 2])
    node.receive(17, from: 1, round: 7)
    node.receive(16, from: 1, round: 6)
    node.receive(99, from: 1, round: 7)
    node.handle(.began)
    node.receive(20, from: 2, round: 0)
    #expect(node.sums == [[17, 20]])
    #expect(node.dropped == [.late, .duplicate])
    for round in 0..<1000 { node.receive(0, from: 2, round: 8 + round) }
    node.handle(.began)
    #expect(node.records.last?.used.last == .init(sender: 2, round: 1007))
  }

  @Test("does not wait for a quorum that can no longer come")
  func hopeless() {
    var node = Node(.asynchronous(quorum: 3, staleness: 0))
    node.handle(.began)
    node.receive(10, from: 1, round: 0)
    node.receive(20, from: 2, round: 0)
    #expect(node.records.isEmpty)
    node.handle(.left(3))
    #expect(node.records == [GossipRecord(node: 0, round: 0, used: [], hasQuorum: false)])
  }

  @Test("a liar takes what it has heard when its time is over, in step and at its own pace")
  func liars() {
    for mode in [.synchronous, .synchronous(quorum: 3), .asynchronous(quorum: 3, staleness: 1)]
      as [GossipMode]
    {
      for isByzantine in [true, false] {
        var node = Node(mode, isByzantine: isByzantine)
        node.handle(.began)
        node.receive(10, from: 1, round: 0)
        node.handle(.deadline)
        #expect(node.used == [isByzantine ? [1] : []], "\(mode)")
        #expect(node.records.map(\.hasQuorum) == [isByzantine])
      }
    }
  }
}
