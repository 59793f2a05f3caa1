/// Something that is timed in turn with others.
struct Contestant {
  let name: String
  /// Calls it once on the input of this number and returns the seconds that took. An error ends its part, not the others'.
  let run: (Int) async throws -> Double

  /// In seconds.
  private static let turn = 1e-3

  /// The times of all contestants, which take turns on all inputs.
  ///
  /// Nobody begins with the input that its predecessor read last, so no one finds in the cache what another has just read. A turn
  /// is as many calls as begin within ``turn``, one for each input at most: with a single short call it would be the way back from
  /// others' work that is timed. One that is slow sits out some rounds, but for three: `seconds` is what each may use in all.
  static func measure(
    _ contestants: [Contestant], inputs: Int, rounds: Int, seconds: Double = 3
  ) async -> [(times: Times, error: (any Error)?)] {
    var results: [(times: Times, error: (any Error)?)] = contestants.map { _ in
      (Times(perInput: Array(repeating: [], count: inputs)), nil)
    }
    var strides: [Int] = []
    for (k, contestant) in contestants.enumerated() {
      do {
        let first = try await contestant.run(k % inputs)
        let most = max(3, Int(seconds / max(first, 1e-9)))
        strides.append(max(1, min(rounds / 3, (rounds + most - 1) / most)))
      } catch {
        results[k].error = error
        strides.append(1)
      }
    }
    // Behind the input that was read last.
    var cursor = 0
    for round in 0..<rounds {
      for (k, contestant) in contestants.enumerated()
      where results[k].error == nil && round % strides[k] == 0 {
        // One that it has tried least often, but not the one that was just read, unless there is no other.
        let tried = results[k].times.perInput.map(\.count)
        let first =
          (cursor..<cursor + max(1, inputs - 1)).min { tried[$0 % inputs] < tried[$1 % inputs] }
          ?? cursor
        do {
          var spent = 0.0
          for input in first..<(first + inputs) where spent < turn {
            let time = try await contestant.run(input % inputs)
            results[k].times.perInput[input % inputs].append(time)
            spent += time
            cursor = input + 1
          }
        } catch {
          results[k].error = error
        }
      }
    }
    return results
  }
}
