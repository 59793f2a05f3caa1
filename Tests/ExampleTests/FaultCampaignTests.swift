import Foundation
import Testing

@Suite("byzkit-faults", .serialized, .timeLimit(.minutes(10)))
struct FaultCampaignTests {
  private struct Summary: Decodable {
    struct Counts: Decodable {
      let rightBits: Int
      let typedEndings: Int
      let losses: Int
      let typedErrors: Int
    }
    let runs: Int
    let counts: Counts
    let failures: [String]
  }

  private func run(seed: Int) async throws -> Summary {
    let program = try ExampleProgram("byzkit-faults")
    let run = try await program(["--runs", "1", "--seed", "\(seed)", "--json"])
    #expect(run.status == 0, "\(run.output)\(run.errors)")
    let line = run.output.split(separator: "\n").last ?? ""
    return try JSONDecoder().decode(Summary.self, from: Data(line.utf8))
  }

  @Test("where work can be done it has the right bits, though workers and links fail")
  func rightBits() async throws {
    // On a machine that stands still for seconds, no worker may be left in a run, which then ends in the error that says so.
    var rightBits = 0
    for seed in [1, 2, 4] where rightBits == 0 {
      let summary = try await run(seed: seed)
      #expect(summary.counts.rightBits + summary.counts.typedEndings == 1)
      #expect(summary.counts.losses > 0 && summary.failures.isEmpty)
      rightBits = summary.counts.rightBits
    }
    #expect(rightBits == 1)
  }

  @Test("where nobody is left, or no quorum can be, the typed error comes out", arguments: [3, 7])
  func typedErrors(seed: Int) async throws {
    let summary = try await run(seed: seed)
    #expect(summary.counts.rightBits == 0 && summary.counts.typedEndings == 1)
    #expect(summary.counts.typedErrors > 0 && summary.failures.isEmpty)
  }

  @Test(
    "a number that cannot be is refused by the name of its flag",
    arguments: [
      ("--runs", "-1"), ("--runs", "0"), ("--seed", "18446744073709551615"),
    ])
  func wrongNumbers(flag: String, number: String) async throws {
    let program = try ExampleProgram("byzkit-faults")
    let run = try await program(["\(flag)=\(number)"])
    #expect(run.status != 0 && run.errors.contains("\(flag) is \(number)"), "\(run.errors)")
  }
}
