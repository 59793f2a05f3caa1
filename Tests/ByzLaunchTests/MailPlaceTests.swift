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
