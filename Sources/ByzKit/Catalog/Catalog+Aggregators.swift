extension Catalog {
  /// All aggregators, in the order of the documentation.
  public static let aggregators: [CatalogEntry<any Aggregator>] = [
    CatalogEntry(
      "mean", "average", tolerates: "nothing", paper: "McMahan et al. 2017", cost: "O(nd)"
    ) { _ in Mean() },
    CatalogEntry(
      "weightedMean", "average by number of samples",
      [ParameterInfo("weights", "n numbers ≥ 0 with a positive sum")],
      tolerates: "nothing", paper: "McMahan et al. 2017", cost: "O(nd)"
    ) { p throws(CatalogError) in WeightedMean(weights: try p.numbers("weights")) },
    CatalogEntry(
      "median", "coordinate-wise median",
      [ParameterInfo("middle", "midpoint or lower", default: "midpoint")],
      tolerates: "any minority, 2f < n", paper: "Yin et al. 2018", cost: "O(n log² n · d)"
    ) { p throws(CatalogError) in Median(middle: try p.choice("middle", default: .midpoint)) },
    CatalogEntry(
      "trimmedMean", "coordinate-wise mean without the f smallest and largest",
      [
        ParameterInfo("f", "0 ≤ 2f < n"),
        ParameterInfo("ratio", "0 ≤ ratio < 0.5", default: "none", insteadOf: "f"),
      ],
      bound: .minority, tolerates: "2f < n", paper: "Yin et al. 2018", cost: "O(n log² n · d)"
    ) { p throws(CatalogError) in
      p.names.contains("ratio")
        ? TrimmedMean(ratio: try p.number("ratio")) : TrimmedMean(f: try p.integer("f"))
    },
    CatalogEntry(
      "meamed", "coordinate-wise mean of the n - f values nearest to the median",
      [ParameterInfo("f", "0 ≤ 2f < n")],
      bound: .minority, tolerates: "2f < n", paper: "Xie et al. 2018", cost: "O(n log² n · d)"
    ) { p throws(CatalogError) in MeanAroundMedian(f: try p.integer("f")) },
    CatalogEntry(
      "krum", "the vector nearest to its n - f - 1 neighbours",
      [
        ParameterInfo("f", "0 ≤ 2f < n and f ≤ n - 2"),
        ParameterInfo(
          "neighbors", "standard (n - f - 1) or paper (n - f - 2)", default: "standard"),
      ],
      bound: .minorityOfTwo, tolerates: "2f + 2 < n (proved)", paper: "Blanchard et al. 2017",
      cost: "O(n²d)"
    ) { p throws(CatalogError) in
      Krum(f: try p.integer("f"), neighbors: try p.choice("neighbors", default: .standard))
    },
    CatalogEntry(
      "multiKrum", "mean of the q vectors of smallest Krum score",
      [
        ParameterInfo("f", "0 ≤ 2f < n and f ≤ n - 2"), ParameterInfo("q", "1 ≤ q ≤ n - f"),
        ParameterInfo(
          "neighbors", "standard (n - f - 1) or paper (n - f - 2)", default: "standard"),
      ],
      bound: .minorityOfTwo, tolerates: "2f + 2 < n (proved)", paper: "Blanchard et al. 2017",
      cost: "O(n²d)"
    ) { p throws(CatalogError) in
      MultiKrum(
        f: try p.integer("f"), q: try p.integer("q"),
        neighbors: try p.choice("neighbors", default: .standard))
    },
    CatalogEntry(
      "geometricMedian", "point of smallest summed distance",
      tolerates: "any minority, 2f < n", paper: "Pillutla et al. 2022", cost: "O(n²d)"
    ) { _ in GeometricMedian() },
    CatalogEntry(
      "mda", "mean of the n - f vectors of smallest diameter",
      [ParameterInfo("f", "0 ≤ 2f < n"), ParameterInfo("searchLimit", "≥ 1", default: "1000000")],
      bound: .minority, tolerates: "2f < n", paper: "El Mhamdi et al. 2018",
      cost: "O(n²d), search exponential in f"
    ) { p throws(CatalogError) in
      MDA(f: try p.integer("f"), searchLimit: try p.integer("searchLimit", default: 1_000_000))
    },
    CatalogEntry(
      "monna", "mean of the n - f vectors nearest to a trusted one",
      [
        ParameterInfo("f", "0 ≤ 2f < n"),
        ParameterInfo("reference", "0 ≤ reference < n", default: "0"),
      ],
      bound: .minority, tolerates: "2f < n", paper: "Farhadkhani et al. 2023", cost: "O(nd)"
    ) { p throws(CatalogError) in
      MoNNA(f: try p.integer("f"), reference: try p.integer("reference", default: 0))
    },
    CatalogEntry(
      "smea", "mean of the n - f vectors of smallest top eigenvalue",
      [ParameterInfo("f", "0 ≤ 2f < n"), ParameterInfo("searchLimit", "≥ 1", default: "5000000")],
      bound: .minority, tolerates: "2f < n", paper: "Allouah et al. 2023",
      cost: "O(n²d), search exponential"
    ) { p throws(CatalogError) in
      SMEA(f: try p.integer("f"), searchLimit: try p.integer("searchLimit", default: 5_000_000))
    },
    CatalogEntry(
      "centeredClipping", "a centre moved by clipped offsets",
      [
        ParameterInfo("tau", "finite, ≥ 0"), ParameterInfo("iterations", "≥ 1", default: "10"),
        ParameterInfo("init", "mean, median or zero", default: "mean"),
      ],
      tolerates: "each vector moves the centre by τ/n at most", paper: "Karimireddy et al. 2021",
      cost: "O(n²d)"
    ) { p throws(CatalogError) in
      let start: NamedStart = try p.choice("init", default: .mean)
      return CenteredClipping(
        tau: try p.number("tau"), iterations: try p.integer("iterations", default: 10),
        start: start.start)
    },
    CatalogEntry(
      "cge", "mean of the n - f shortest vectors", [ParameterInfo("f", "0 ≤ f < n")],
      bound: .fewerThanAll, tolerates: "f < n, lengths only", paper: "Gupta et al. 2020",
      cost: "O(nd)"
    ) { p throws(CatalogError) in CGE(f: try p.integer("f")) },
    CatalogEntry(
      "caf", "mean with weights that fall along the widest direction",
      [ParameterInfo("f", "0 ≤ 2f < n")],
      bound: .minority, tolerates: "2f < n", paper: "Allouah et al. 2025", cost: "O(n²d + n⁴)"
    ) { p throws(CatalogError) in CAF(f: try p.integer("f")) },
    CatalogEntry(
      "bulyan", "mean around the median of n - 2f Krum picks", [ParameterInfo("f", "n ≥ 4f + 3")],
      bound: .quarter, tolerates: "n ≥ 4f + 3 (proved)", paper: "El Mhamdi et al. 2018",
      cost: "O(n²d + n³)"
    ) { p throws(CatalogError) in Bulyan(f: try p.integer("f")) },
  ]

  /// The starts of centered clipping that have a name.
  private enum NamedStart: String, CaseIterable {
    case mean
    case median
    case zero

    var start: CenteredClipping.Start {
      switch self {
      case .mean: .mean
      case .median: .median
      case .zero: .zero
      }
    }
  }

  /// All pre-aggregators, in the order of the documentation.
  public static let preAggregators: [CatalogEntry<any PreAggregator>] = [
    CatalogEntry(
      "clipping", "clips to a given length", [ParameterInfo("threshold", "finite, ≥ 0")],
      tolerates: "bounds lengths", paper: "folklore", cost: "O(nd)"
    ) { p throws(CatalogError) in Clipping(threshold: try p.number("threshold")) },
    CatalogEntry(
      "bucketing", "averages groups of vectors",
      [
        ParameterInfo("size", "≥ 1"), ParameterInfo("permutation", "of 0..<n", default: "as given"),
        ParameterInfo(
          "seed", "a whole number: a random order", default: "none", insteadOf: "permutation"),
      ],
      tolerates: "f as before, of ⌈n/size⌉", paper: "Karimireddy et al. 2022", cost: "O(nd)"
    ) { p throws(CatalogError) in
      let size = try p.integer("size")
      if let permutation = try p.integers("permutation") {
        return Bucketing(size: size, permutation: permutation)
      }
      guard p.names.contains("seed") else { return Bucketing(size: size) }
      return Bucketing(size: size, key: RandomKey(UInt64(bitPattern: Int64(try p.integer("seed")))))
    },
    CatalogEntry(
      "nnm", "mixes each vector with its n - f nearest", [ParameterInfo("f", "0 ≤ f < n")],
      bound: .fewerThanAll, tolerates: "f < n", paper: "Allouah et al. 2023", cost: "O(n²d)"
    ) { p throws(CatalogError) in NearestNeighborMixing(f: try p.integer("f")) },
    CatalogEntry(
      "arc", "clips the longest vectors to the next", [ParameterInfo("f", "0 ≤ f < n")],
      bound: .fewerThanAll, tolerates: "f < n", paper: "Allouah et al. 2025", cost: "O(nd)"
    ) { p throws(CatalogError) in ARC(f: try p.integer("f")) },
  ]
}
