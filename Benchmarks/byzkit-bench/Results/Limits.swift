import Foundation

extension RowReport {
  /// Every promise about the rows, on Gaussian data unless it says otherwise.
  package var verdicts: [Verdict] {
    answers + speed + floors + yardsticks + pools + trainingVerdicts
  }

  private var published: [RowResult] { results.filter(\.isPublished) }
  private var gaussian: [RowResult] { published.filter { $0.data == .gaussian } }
  /// The rows of ByzPy's table that are kernels.
  private var kernels: [RowResult] {
    let later = ["Bulyan", "MDA 20x"]
    return gaussian.filter { row in !later.contains { row.row.hasPrefix($0) } }
  }
  private var isSearch: (RowResult) -> Bool {
    { $0.row.hasPrefix("MDA") || $0.row.hasPrefix("SMEA") }
  }

  private var answers: [Verdict] {
    [
      Verdict(
        "every answer is that of the plain computation, with the same bits in every way of calling",
        each: results.map { ("\($0.row) (\($0.data.rawValue))", $0.wrong ?? "", $0.wrong == nil) })
    ]
  }

  // MARK: Beside peers

  private var speed: [Verdict] {
    guard !peers.isEmpty else {
      return [Verdict("faster than every peer", found: "no peers took part", isKept: nil)]
    }
    let libraries = ["byzpy", "byzfl"]
    let all = ["byzpy", "byzfl", "torch", "numpy", "krum"]
    return [
      mean("ByzPy or ByzFL, the faster: geometric mean of the kernel rows", 25, kernels, libraries),
      mean(
        "the same without MDA and SMEA", 12, kernels.filter { !isSearch($0) }, libraries),
      Verdict(
        "ByzPy or ByzFL, the faster: every row >= 5x or within 1.5x of its floor",
        each: kernels.compactMap { row in
          factor(row, libraries).map {
            (row.row, "\(ratio($0))x", $0 >= 5 || row.floorRatio <= 1.5)
          }
        }),
      mean("the fastest of all peers: geometric mean of the kernel rows", 8, kernels, all),
      Verdict(
        "no row slower than any peer",
        each: published.compactMap { row in
          factor(row, all + peers.filter { $0.hasPrefix("byzpy ") }).map {
            ("\(row.row) (\(row.data.rawValue))", "\(ratio($0))x", $0 >= 1)
          }
        }),
    ]
  }

  private func mean(
    _ promise: String, _ least: Double, _ rows: [RowResult], _ names: [String]
  ) -> Verdict {
    let factors = rows.compactMap { factor($0, names) }
    guard !factors.isEmpty else { return Verdict(promise, found: "not measured", isKept: nil) }
    let mean = factors.geometricMean
    let minima = rows.compactMap { row in
      names.compactMap { row.peers[$0]?.minimum }.min().map { $0 / row.own.minimum }
    }.geometricMean
    return Verdict(
      "\(promise) >= \(ratio(least))x",
      found: "\(ratio(mean))x of \(factors.count) rows (minima \(ratio(minima))x)",
      isKept: mean >= least)
  }

  private func factor(_ row: RowResult, _ names: [String]) -> Double? {
    row.fastest(of: names).map { $0.median / row.own.median }
  }

  // MARK: Beside the machine

  private var floors: [Verdict] {
    [
      Verdict(
        "every row within 2.5x of its floor, on any data",
        each: published.map {
          ("\($0.row) (\($0.data.rawValue))", "\(ratio($0.floorRatio))x", $0.floorRatio <= 2.5)
        }),
      // Else the floor is none: what it was measured by was slower than what it is to hold.
      Verdict(
        "no call of a row or of its mean takes less than its floor",
        each: results.flatMap { row in
          var calls = [(name: row.row, minimum: row.own.minimum, floor: row.floor)]
          if let yardstick = row.yardstick, let floor = row.meanFloor {
            calls.append(("mean of \(row.row)", yardstick.minimum, floor))
          }
          return calls.map { call in
            (
              "\(call.name) (\(row.data.rawValue))", "\(ratio(call.minimum / call.floor.seconds))x",
              call.minimum >= call.floor.seconds
            )
          }
        }),
    ]
  }

  private var yardsticks: [Verdict] {
    let limited = results.filter { $0.yardstickLimit != nil }
    return [
      ("median", "a plain mean of the data"), ("trimmed mean", "a plain mean of the data"),
      ("mean around the median", "a plain mean of the data"),
      ("distances", "OpenBLAS ssyrk"),
    ].map { prefix, yardstick in
      Verdict(
        "\(prefix) within its limit beside \(yardstick)",
        each: limited.filter { !$0.isPublished && $0.row.hasPrefix(prefix) }.compactMap { row in
          guard let ratioOfRow = row.yardstickRatio, let limit = row.yardstickLimit else {
            return nil
          }
          return (row.row, "\(ratio(ratioOfRow))x", ratioOfRow <= limit)
        })
    }
  }

  // MARK: Pools

  private var pools: [Verdict] {
    let large = gaussian.filter { $0.own.median > 2e-3 && $0.ways[.thread2] != nil }
    let small = gaussian.filter { $0.own.median <= 2e-3 && $0.ways[.thread2] != nil }
    return [
      Verdict(
        "two threads gain 0.9x of what two cores do (1.7x at least if bound by arithmetic), rows > 2 ms",
        each: large.compactMap { row in
          gain(row, .thread2).map { gain in
            let least =
              row.floor.bound == .memory
              ? 0.9 * row.gainOfTwo : Swift.max(1.7, 0.9 * row.gainOfTwo)
            return (row.row, "\(ratio(gain))x of \(ratio(least))x", gain >= least)
          }
        }),
      Verdict(
        "small work loses no more than 5 % by a pool of two threads, rows <= 2 ms",
        each: small.compactMap { row in
          gain(row, .thread2).map { (row.row, "\(ratio(1 / $0))x", $0 >= 1 / 1.05) }
        }),
      Verdict(
        "two processes keep 90 % of the threads' gain on shared inputs, rows > 2 ms",
        each: large.compactMap { row in
          guard let threads = gain(row, .thread2), let processes = gain(row, .process2) else {
            return nil
          }
          return (
            row.row, "\(ratio(processes))x of \(ratio(threads))x", processes >= 0.9 * threads
          )
        }),
    ]
  }

  private func gain(_ row: RowResult, _ way: Way) -> Double? {
    row.ways[way].map { row.own.median / $0.median }
  }

  // MARK: Training

  private var trainingVerdicts: [Verdict] {
    let limits: [(row: String, peer: String, limit: Double)] = [
      ("CNN step", "torch", 0.5), ("CNN step", "torch channels_last", 0.6),
      ("ParameterServer, 2 cores", "byzpy", 0.45), ("ParameterServer, 2 cores", "byzfl", 0.45),
      ("ParameterServer, 2 cores", "torch", 0.55),
    ]
    return limits.map { prefix, peer, limit in
      let promise = "\(prefix) <= \(limit)x of \(peer)'s time"
      guard let row = training.first(where: { $0.isNamed(prefix) }),
        let other = row.peers[peer]
      else { return Verdict(promise, found: "not measured", isKept: nil) }
      let share = row.own.median / other.median
      return Verdict(promise, found: "\(ratio(share))x", isKept: share <= limit)
    }
      + training.compactMap { row in
        row.aggregation.map {
          Verdict(
            "\(row.row): aggregation at most 10 % of a round",
            found: String(format: "%.1f %%", 100 * $0), isKept: $0 <= 0.1)
        }
      }
  }
}

extension TrainingResult {
  /// Whether the row's name begins with the first part and ends with the others, which stand behind commas.
  fileprivate func isNamed(_ name: String) -> Bool {
    let parts = name.split(separator: ",")
    return row.hasPrefix(parts[0]) && row.split(separator: ",").dropFirst() == parts.dropFirst()
  }
}
