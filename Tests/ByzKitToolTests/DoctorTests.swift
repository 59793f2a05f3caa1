import Foundation
import Testing

@Suite("byzkit doctor", .timeLimit(.minutes(2)))
struct DoctorTests {
  @Test("doctor makes a round trip over every backend")
  func doctor() throws {
    struct Diagnosis: Decodable {
      struct Backend: Decodable {
        let name: String
        let works: Bool
        let problem: String?
        let subtasks: Int
        let needs: String
      }
      struct Missing: Decodable {
        let what: String
      }
      let backends: [Backend]
      let missing: [Missing]
    }
    let tool = try Tool()
    defer { tool.remove() }
    let result = try tool("doctor", "--format", "json")
    let diagnosis = try JSONDecoder().decode(Diagnosis.self, from: Data(result.output.utf8))
    // What nothing here uses is not missing.
    #expect(diagnosis.missing.allSatisfy { ["OpenBLAS", "NUMA", "UCX"].contains($0.what) })
    let backends = diagnosis.backends
    #expect(backends.map(\.name) == ["thread", "process", "tcp", "ucx"])
    for backend in backends {
      #expect(backend.works == (backend.problem == nil))
      // 4,097 numbers in parts of 1,024.
      #expect(backend.subtasks == (backend.works ? 5 : 0))
      // UCX may be missing, and nothing else.
      let problem = backend.problem ?? ""
      let isMissing = backend.name == "ucx" && problem.contains("UCX is not available")
      #expect(backend.works || isMissing, "\(backend.name): \(problem)")
    }
  }
}
