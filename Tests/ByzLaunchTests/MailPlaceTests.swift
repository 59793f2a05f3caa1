import ByzRuntime
import Testing

@Suite("Mail, wherever its ends are", .serialized, .timeLimit(.minutes(3)))
struct MailPlaceTests {
  /// Hands `body` postmen at two places.
  private func withPostmen(
    _ place: Place, _ otherPlace: Place,
    _ body: (ByzActorSystem, Postman, Postman) async throws -> Void
  ) async throws {
    try await place.withBackend { (backend) async throws -> Void in
      try await otherPlace.withBackend { (otherBackend) async throws -> Void in
        try await withActorSystem(PlaceWorker.registry) { (system) async throws -> Void in
          let one = try await system.spawn(Postman.self, 0, on: backend)
          let other = try await system.spawn(Postman.self, 0, on: otherBackend)
          try await body(system, one, other)
        }
      }
    }
  }

  @Test(
    "arrives once, in order and with its sender, both ways at once, directly or not",
    arguments: Place.all, Place.all)
  func exchange(_ place: Place, _ otherPlace: Place) async throws {
    try await withPostmen(place, otherPlace) { (system, one, other) async throws -> Void in
      let letters = (0..<20).map(String.init)
      let (address, otherAddress) = (try await one.open("one"), try await other.open("other"))
      async let received = one.received(20, from: other.id.host)
      async let otherReceived = other.received(20, from: one.id.host)
      async let delivered: Void = one.deliver(letters, to: otherAddress)
      async let otherDelivered: Void = other.deliver(letters, to: address)
      _ = try await (delivered, otherDelivered)
      #expect(try await received == letters)
      #expect(try await otherReceived == letters)
      // An actor on a thread is in the client's own process. Two that are alike reach each other, but not always in time.
      let isDirect = place == .thread || otherPlace == .thread
      #expect(system.mailPassedOn == (isDirect ? 0 : 40) || place == otherPlace)
    }
  }

  @Test("drives a graph that waits for messages, each once and in order", arguments: Place.all)
  func graph(_ place: Place) async throws {
    try await place.withBackend { (backend) async throws -> Void in
      try await withActorSystem(PlaceWorker.registry) { (system) async throws -> Void in
        let postman = try await system.spawn(Postman.self, 0, on: backend)
        let mailbox = try system.mailbox(named: "news", of: String.self, capacity: 2)
        let inbox = MessageInbox(capacity: 1)
        let (news, graph) = try Self.graphOfNews()
        let letters = (0..<6).map(String.init)
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await postman.deliver(letters, to: mailbox.address) }
          group.addTask {
            for await letter in mailbox { try await inbox.deliver(letter.value, type: "news") }
          }
          for letter in letters {
            let outputs = try await GraphScheduler().run(graph, [:], messages: inbox)
            #expect(try outputs.value(of: news) == letter)
          }
          mailbox.close()
          try await group.waitForAll()
        }
      }
    }
  }

  private static func graphOfNews() throws -> (GraphValue<String>, ComputationGraph) {
    let builder = GraphBuilder()
    let news = builder.message("news", as: String.self)
    return (news, try builder.build(news))
  }

  @Test("to many goes to one at each place, and says of each whether it arrived")
  func broadcast() async throws {
    func spawnAll(
      _ places: ArraySlice<Place>, _ system: ByzActorSystem, _ postmen: [Postman] = [],
      _ body: ([Postman]) async throws -> Void
    ) async throws {
      guard let place = places.first else { return try await body(postmen) }
      try await place.withBackend { (backend) async throws -> Void in
        let postman = try await system.spawn(Postman.self, 0, on: backend)
        try await spawnAll(places.dropFirst(), system, postmen + [postman], body)
      }
    }
    try await withActorSystem(PlaceWorker.registry) { (system) async throws -> Void in
      try await spawnAll(Place.all[...], system) { (postmen) async throws -> Void in
        var addresses: [MailboxAddress] = []
        for postman in postmen { addresses.append(try await postman.open("all")) }
        let nobody = MailboxAddress(host: postmen[1].id.host, name: "nobody")
        addresses.insert(nobody, at: 1)
        let outcomes = await system.broadcast("news", to: addresses)
        #expect(outcomes.count == addresses.count)
        for (index, outcome) in outcomes.enumerated() {
          #expect((outcome == nil) == (index != 1), "\(index): \(String(describing: outcome))")
        }
        for postman in postmen {
          #expect(try await postman.received(1, from: system.host) == ["news"])
        }
      }
    }
  }

  @Test(
    "waits where it comes from while its mailbox is full, and none is lost or comes twice",
    arguments: Place.all, Place.all)
  func backPressure(_ place: Place, _ otherPlace: Place) async throws {
    try await withPostmen(place, otherPlace) { (_, sender, reader) async throws -> Void in
      let letters = (0..<40).map(String.init)
      let (capacity, step) = (4, 6)
      let address = try await reader.open("in")
      async let delivery: Void = sender.deliver(letters, to: address)
      for read in stride(from: 0, to: letters.count, by: step) {
        let most = min(read + capacity, letters.count)
        #expect(try await sender.delivered(atLeast: most) == most)
        // Time for as many letters, were they not waiting.
        for _ in 0..<20 { #expect(try await sender.delivered(atLeast: 0) == most) }
        let next = letters[read..<min(read + step, letters.count)]
        #expect(try await reader.received(next.count, from: sender.id.host) == Array(next))
      }
      try await delivery
      // Nothing was left behind them.
      try await sender.deliver(["last"], to: address)
      #expect(try await reader.received(1, from: sender.id.host) == ["last"])
    }
  }
}
