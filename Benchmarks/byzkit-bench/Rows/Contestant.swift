/// Something that is timed in turn with others.
struct Contestant {
  let name: String
  /// Calls it once on the input of this number and returns the seconds that took. An error ends its part, not the others'.
  let run: (Int) async throws -> Double

  /// In seconds.
  private static let turn = 1e-3

  /// The times of all contestants, which take turns on all inputs.
  ///
  /// Each begins with the input after its predecessor's last, so no one finds in the cache what another has just read. A turn is as many calls
  /// as begin within ``turn``, one for each input at most: with a single short call it would be the way back from others' work
  /// that is timed. One that is slow sits out some rounds, but for three: `seconds` is what each may use in all.
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
    var turns = contestants.map { _ in 0 }
    for round in 0..<rounds {
      let start = cursor
      for (k, contestant) in contestants.enumerated()
      where results[k].error == nil && round % strides[k] == 0 {
        // Who sits out rounds still goes on to the next input each time.
        let first = strides[k] == 1 ? cursor : turns[k] + k
        turns[k] += 1
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
      // Steps without a common factor: everyone sees every input.
      while greatestCommonDivisor(abs(cursor - start), inputs) > 1 { cursor += 1 }
    }
    return results
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}
