import ByzRuntime
import ByzRuntimeTestSupport
import Distributed
import Testing

@Suite("A worker that is found again", .timeLimit(.minutes(3)))
struct FoundAgainTests {
  private static let registry = Registry(actors: [Ledger.self])
  /// No connection ends but those that the tests end.
  private static let patience = Liveness(interval: .seconds(1), timeout: .seconds(600))

  @Test("is brought together with others though it asks before its client has taken note of it")
  func early() async throws {
    let system = ByzActorSystem(
      registry: Self.registry, liveness: Self.patience, introductionLimit: .seconds(600))
    let otherHost = Monitor<UInt64>(0)
    let questions = Monitor<[Task<WireValue, any Error>]>([])
    let backend = ScriptedBackend { service, peer in
      switch service {
      case .spawn: return .unsigned(1)
      case .invoke: return .int(0)
      case .resume:
        let question = Service.meet(host: otherHost.withLock { $0 }, lost: 0)
        let isAsking = Signal()
        let answer = Task {
          isAsking.send()
          let answer = try await peer.call(body: question.value.serialized())
          return try answer.result(registry: Registry(), limits: WireLimits())
        }
        questions.withLock { $0.append(answer) }
        await isAsking.wait()
        // Meanwhile the client hears the question, before the answer that it waits for.
        let mail = Service.put(host: 0, mailbox: "none", sender: 0, message: .null)
        for _ in 0..<3 { _ = try? await peer.call(body: mail.value.serialized()) }
        return .null
      default: return .null
      }
    }
    do {
      let one = try await system.spawn(Ledger.self, 0, on: backend)
      let other = try await system.spawn(Ledger.self, 0, on: backend)
      otherHost.withLock { $0 = other.id.host }
      for _ in 0..<20 {
        let peer = try #require(system.connection(to: one.id.host))
        peer.link.close(RuntimeError(.workerLost, "The test breaks the connection."))
        _ = await peer.waitUntilEnded()
        #expect(try await one.add(0) == 0)
        let answer = try #require(questions.withLock { $0.popLast() })
        #expect(try await answer.value == .bool(true))
      }
    } catch {
      Issue.record(error)
    }
    await system.stop()
  }

  @Test(
    "is brought together with others once it is back, though its connection broke when they asked for it"
  )
  func awayMeanwhile() async throws {
    let system = ByzActorSystem(
      registry: Self.registry, liveness: Self.patience, introductionLimit: .seconds(600))
    let otherHost = Monitor<UInt64>(0)
    let answers = Monitor<[WireValue]>([])
    let asking = ScriptedBackend { service, peer in
      switch service {
      case .spawn: return .unsigned(1)
      case .invoke:
        let question = Service.meet(host: otherHost.withLock { $0 }, lost: 0)
        let answer = try? await peer.call(body: question.value.serialized())
        let value = try? answer?.result(registry: Registry(), limits: WireLimits())
        answers.withLock { $0.append(value ?? .string("nothing")) }
        return .int(0)
      default: return .null
      }
    }
    let breaks = Monitor(true)
    let breaking = ScriptedBackend { service, _ in
      switch service {
      case .spawn: return .unsigned(1)
      case .invoke: return .int(0)
      case .join:
        if breaks.withLock({ $0 }), let peer = system.connection(to: otherHost.withLock { $0 }) {
          peer.link.close(RuntimeError(.workerLost, "The test breaks the connection."))
          _ = await peer.waitUntilEnded()
        }
        return .null
      default: return .null
      }
    }
    do {
      let one = try await system.spawn(Ledger.self, 0, on: asking)
      let other = try await system.spawn(Ledger.self, 0, on: breaking)
      otherHost.withLock { $0 = other.id.host }
      for _ in 0..<20 {
        #expect(try await one.add(0) == 0)
        #expect(answers.withLock { $0.popLast() } == .null)
        #expect(try await other.add(0) == 0)
      }
      breaks.withLock { $0 = false }
      #expect(try await one.add(0) == 0)
      #expect(answers.withLock { $0.popLast() } == .bool(true))
    } catch {
      Issue.record(error)
    }
    await system.stop()
  }

  @Test("is not told goodbye when who looks for it gives up: the next one finds it")
  func hasty() async throws {
    // Who gives up holds up nobody, for as long as that.
    let system = ByzActorSystem(registry: Self.registry, liveness: Self.patience)
    let (arrived, attempts) = (Signal(), Monitor(0))
    let end = Promise<RuntimeError>()
    let backend = ScriptedBackend { service, peer in
      switch service {
      case .spawn: return .unsigned(1)
      case .invoke: return .int(7)
      case .resume:
        let attempt = attempts.withLock { attempts in
          attempts += 1
          return attempts
        }
        guard attempt == 1 else { return .null }
        arrived.send()
        end.settle(.success(await peer.waitUntilEnded()))
        return .null
      default: return .null
      }
    }
    do {
      let ledger = try await system.spawn(Ledger.self, 0, on: backend)
      let peer = try #require(system.connection(to: ledger.id.host))
      peer.link.close(RuntimeError(.workerLost, "The test breaks the connection."))
      _ = await peer.waitUntilEnded()
      let hasty = Task { try await ledger.add(0) }
      await arrived.wait()
      hasty.cancel()
      try await #require(throws: CancellationError.self) { try await hasty.value }
      #expect(try await end.result.get().code == .workerLost)
      #expect(try await ledger.add(0) == 7)
    } catch {
      Issue.record(error)
    }
    await system.stop()
  }
}
