#if os(Linux)
  import ByzKit
  import ByzRuntime
  import ByzRuntimeTestSupport
  import Testing

  @Suite("The actor that hosts a node on a worker", .timeLimit(.minutes(3)))
  struct GossipHostTests {
    @Test("refuses the methods of all other actors of the program, and goes on")
    func wrongMethods() async throws {
      let plan = try clusterPlan(deadline: .milliseconds(300))
      try await withActorSystem(.byzKit) { (system) async throws -> Void in
        let arguments = try GossipHost.Arguments(node: 0, of: plan, starter: system.host)
        let node = try await system.spawn(GossipHost.self, arguments, on: .thread)
        let methods = try DistributedRecords.names()
        let others = methods.filter { !$0.hasPrefix("$s6ByzKit10GossipHostC") }
        #expect(methods.count - others.count == 3 && others.count > 20, "\(methods)")
        for method in others {
          for substitutions in [[], ["Swift.Int"]] {
            let error = await #expect(throws: RuntimeError.self, "\(method)") {
              _ = try await system.perform(
                method, on: node.id.number, substitutions: substitutions, arguments: [],
                segments: [])
            }
            #expect(error?.code == .unknownTarget, "\(method)")
          }
        }
        #expect(try await node.open(run: 1).address.host == system.host)
      }
    }
  }
#endif
