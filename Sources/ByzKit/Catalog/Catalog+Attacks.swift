extension Catalog {
  /// All attacks, in the order of the documentation.
  public static let attacks: [CatalogEntry<any Attack>] = [
    CatalogEntry(
      "empire", "a multiple of the honest mean", [ParameterInfo("scale", "finite", default: "-1")],
      tolerates: "sees the honest gradients", paper: "Xie et al. 2020", cost: "O(nd)"
    ) { p throws(CatalogError) in Empire(scale: try p.number("scale", default: -1)) },
    CatalogEntry(
      "ipm", "the honest mean turned round and stretched",
      [ParameterInfo("tau", "finite", default: "2")],
      tolerates: "sees the honest gradients", paper: "Xie et al. 2020", cost: "O(nd)"
    ) { p throws(CatalogError) in InnerProductManipulation(tau: try p.number("tau", default: 2)) },
    CatalogEntry(
      "twoFaced", "among peers, a multiple of the honest mean to some and its opposite to others",
      [ParameterInfo("scale", "finite", default: "2")],
      tolerates: "sees the honest models", paper: "El-Mhamdi et al. 2021", cost: "O(nd)"
    ) { p throws(CatalogError) in
      let scale = try p.number("scale", default: 2)
      return TwoFaced(even: Empire(scale: scale), odd: Empire(scale: -scale))
    },
    CatalogEntry(
      "signFlip", "its own gradient turned round",
      [ParameterInfo("scale", "finite", default: "-1")],
      tolerates: "sees its own gradient", paper: "Li et al. 2019", cost: "O(d)"
    ) { p throws(CatalogError) in SignFlip(scale: try p.number("scale", default: -1)) },
    CatalogEntry(
      "labelFlip", "trains on wrong labels",
      [
        ParameterInfo("mapping", "old:new pairs", default: "y → K - 1 - y"),
        ParameterInfo("scale", "finite", default: "1"),
      ],
      tolerates: "sees its own data and labels", paper: "Biggio et al. 2012", cost: "one gradient"
    ) { p throws(CatalogError) in
      LabelFlip(mapping: try p.mapping("mapping"), scale: try p.number("scale", default: 1))
    },
    CatalogEntry(
      "little", "the mean plus the published number of deviations",
      [
        ParameterInfo("f", "0 ≤ f ≤ N"),
        ParameterInfo("N", "the number of workers", default: "n + f"),
      ],
      tolerates: "sees the honest gradients", paper: "Baruch et al. 2019", cost: "O(nd)"
    ) { p throws(CatalogError) in
      Little(f: try p.integer("f"), workers: p.names.contains("N") ? try p.integer("N") : nil)
    },
    CatalogEntry(
      "alie", "the mean plus a given number of deviations",
      [ParameterInfo("tau", "finite", default: "1.5")],
      tolerates: "sees the honest gradients", paper: "Baruch et al. 2019", cost: "O(nd)"
    ) { p throws(CatalogError) in ALIE(tau: try p.number("tau", default: 1.5)) },
    CatalogEntry(
      "gaussian", "normal draws",
      [
        ParameterInfo("mu", "finite", default: "0"),
        ParameterInfo("sigma", "finite, ≥ 0", default: "1"),
      ],
      tolerates: "sees a gradient's shape", paper: "folklore", cost: "O(d)"
    ) { p throws(CatalogError) in
      Gaussian(mean: try p.number("mu", default: 0), deviation: try p.number("sigma", default: 1))
    },
    CatalogEntry(
      "random", "uniform draws", [ParameterInfo("scale", "finite, ≥ 0", default: "1")],
      tolerates: "sees a gradient's shape", paper: "folklore", cost: "O(d)"
    ) { p throws(CatalogError) in UniformNoise(scale: try p.number("scale", default: 1)) },
    CatalogEntry(
      "inf", "infinity everywhere", tolerates: "sees the honest gradients", paper: "folklore",
      cost: "O(d)"
    ) { _ in Infinity() },
    CatalogEntry(
      "mimic", "a copy of one honest worker",
      [ParameterInfo("epsilon", "0 ≤ epsilon < n", default: "0")],
      tolerates: "sees the honest gradients", paper: "Karimireddy et al. 2022", cost: "O(d)"
    ) { p throws(CatalogError) in Mimic(index: try p.integer("epsilon", default: 0)) },
    CatalogEntry(
      "scaling", "its own update, boosted", [ParameterInfo("scale", "finite", default: "10")],
      tolerates: "sees its own gradient", paper: "Bagdasaryan et al. 2020", cost: "O(d)"
    ) { p throws(CatalogError) in Scaling(scale: try p.number("scale", default: 10)) },
    CatalogEntry(
      "modelReplacement", "an update that lands an average on a target",
      [ParameterInfo("gamma", "finite")],
      tolerates: "sees the global model", paper: "Bagdasaryan et al. 2020", cost: "O(d)"
    ) { p throws(CatalogError) in ModelReplacement(gamma: try p.number("gamma")) },
    CatalogEntry(
      "optimalALIE", "ALIE with the strength that hurts the rule most", searchParameters,
      tolerates: "sees the honest gradients and the rule", paper: "Allouah et al. 2023",
      cost: "20 aggregations"
    ) { p throws(CatalogError) in try search(.alie, p) },
    CatalogEntry(
      "optimalIPM", "IPM with the strength that hurts the rule most", searchParameters,
      tolerates: "sees the honest gradients and the rule", paper: "Allouah et al. 2023",
      cost: "20 aggregations"
    ) { p throws(CatalogError) in try search(.innerProduct, p) },
  ]

  private static let searchParameters = [
    ParameterInfo("evals", "≥ 1", default: "20"), ParameterInfo("start", "finite", default: "0"),
    ParameterInfo("delta", "finite, not 0", default: "10"),
    ParameterInfo("ratio", "between 0.5 and 1", default: "0.8"),
  ]

  private static func search(
    _ family: OptimizedAttack.Family, _ p: Parameters
  ) throws(CatalogError) -> OptimizedAttack {
    OptimizedAttack(
      family, evaluations: try p.integer("evals", default: 20),
      start: try p.number("start", default: 0),
      delta: try p.number("delta", default: 10), ratio: try p.number("ratio", default: 0.8))
  }
}
