import ByzKit
import ByzTensor
import Testing

@Suite("Sharing samples out among nodes")
struct PartitionTests {
  /// 600 labels in 0…9, 60 of each.
  let labels = (0..<600).map { $0 * 7 % 10 }

  @Test(
    "every sample goes to exactly one node, in ascending order, and no node is empty",
    arguments: [
      Partition.iid, .shards(perNode: 1), .shards(perNode: 2), .shards(perNode: 7),
      .dirichlet(alpha: 1e-300), .dirichlet(alpha: 0.01), .dirichlet(alpha: 0.5),
      .dirichlet(alpha: 100),
    ], [1, 2, 7, 80])
  func everySampleOnce(partition: Partition, n: Int) throws {
    let shares = try partition.indices(of: labels, nodes: n, key: RandomKey(4))
    #expect(shares.count == n)
    #expect(shares.joined().sorted() == Array(0..<600))
    #expect(shares.allSatisfy { !$0.isEmpty && $0 == $0.sorted() })
  }

  @Test(
    "as many samples as nodes is enough",
    arguments: [Partition.iid, .shards(perNode: 1), .dirichlet(alpha: 0.1)])
  func oneEach(partition: Partition) throws {
    let shares = try partition.indices(of: Array(labels[..<20]), nodes: 20, key: RandomKey(4))
    #expect(shares.allSatisfy { $0.count == 1 })
  }

  @Test("equal keys give equal shares, other keys others")
  func keys() throws {
    for partition in [Partition.iid, .shards(perNode: 2), .dirichlet(alpha: 0.5)] {
      let first = try partition.indices(of: labels, nodes: 5, key: RandomKey(1))
      #expect(try partition.indices(of: labels, nodes: 5, key: RandomKey(1)) == first)
      #expect(try partition.indices(of: labels, nodes: 5, key: RandomKey(2)) != first)
    }
  }

  @Test("shares are pinned")
  func pinned() throws {
    let labels = [0, 1, 0, 1, 0, 1, 0, 1]
    let key = RandomKey(1)
    let iid = try Partition.iid.indices(of: labels, nodes: 3, key: key)
    #expect(iid == [[0, 1, 6], [2, 3, 5], [4, 7]])
    let shards = try Partition.shards(perNode: 1).indices(of: labels, nodes: 3, key: key)
    #expect(shards == [[0, 2, 4], [1, 3, 6], [5, 7]])
    let dirichlet = try Partition.dirichlet(alpha: 1).indices(of: labels, nodes: 3, key: key)
    #expect(dirichlet == [[0, 2, 5], [6], [1, 3, 4, 7]])
  }

  @Test("IID shares differ in size by at most one and in classes by chance alone")
  func iid() throws {
    let shares = try Partition.iid.indices(of: labels, nodes: 7, key: RandomKey(4))
    #expect(Set(shares.map(\.count)) == [85, 86])
    for share in shares {
      // 8.6 expected of each class, standard deviation 2.6.
      for label in 0..<10 { #expect((1...22).contains(share.count { labels[$0] == label })) }
    }
  }

  @Test(
    "with two shards per node, a node sees two classes or fewer where classes fill whole shards")
  func shards() throws {
    let shares = try Partition.shards(perNode: 2).indices(of: labels, nodes: 10, key: RandomKey(4))
    #expect(shares.allSatisfy { $0.count == 60 })
    #expect(shares.allSatisfy { Set($0.map { labels[$0] }).count <= 2 })
    let extreme = try Partition.shards(perNode: 1).indices(of: labels, nodes: 10, key: RandomKey(4))
    #expect(Set(extreme.map { Set($0.map { labels[$0] }) }).count == 10)
  }

  @Test("a small alpha gives each class to few nodes, a large one to all alike")
  func dirichlet() throws {
    func largestPart(_ alpha: Double) throws -> Double {
      let shares = try Partition.dirichlet(alpha: alpha).indices(
        of: labels, nodes: 5, key: RandomKey(4))
      let parts = (0..<10).map { label in
        shares.map { share in share.count { labels[$0] == label } }.max() ?? 0
      }
      return Double(parts.reduce(0, +)) / 600
    }
    #expect(try largestPart(0.01) > 0.9)
    #expect(try (0.4...0.9).contains(largestPart(0.5)))
    #expect(try largestPart(1e5) < 0.25)
  }

  @Test("refuses what cannot be shared out")
  func errors() {
    let key = RandomKey(1)
    #expect(throws: PartitionError.noNodes(0)) {
      try Partition.iid.indices(of: labels, nodes: 0, key: key)
    }
    #expect(throws: PartitionError.tooFewSamples(600, parts: 601)) {
      try Partition.iid.indices(of: labels, nodes: 601, key: key)
    }
    #expect(throws: PartitionError.tooFewSamples(600, parts: 602)) {
      try Partition.shards(perNode: 2).indices(of: labels, nodes: 301, key: key)
    }
    #expect(throws: PartitionError.tooFewSamples(600, parts: 601)) {
      try Partition.dirichlet(alpha: 1).indices(of: labels, nodes: 601, key: key)
    }
    #expect(throws: PartitionError.invalidShardCount(0)) {
      try Partition.shards(perNode: 0).indices(of: labels, nodes: 2, key: key)
    }
    for alpha in [0, -1, .infinity] {
      #expect(throws: PartitionError.invalidAlpha(alpha)) {
        try Partition.dirichlet(alpha: alpha).indices(of: labels, nodes: 2, key: key)
      }
    }
    #expect(throws: PartitionError.self) {
      try Partition.dirichlet(alpha: .nan).indices(of: labels, nodes: 2, key: key)
    }
    #expect(throws: PartitionError.self) {
      try Partition.shards(perNode: .max).indices(of: labels, nodes: 2, key: key)
    }
  }
}
