import ByzKit
import Testing

@Suite("Catalog")
struct CatalogTests {
  @Test(
    "suggests the nearest name",
    arguments: [("medain", "median"), ("krumm", "krum"), ("bulian", "bulyan")])
  func suggestion(wrong: String, right: String) {
    #expect(throws: CatalogError.unknownName(wrong, kind: "aggregator", nearest: right)) {
      try Catalog.aggregator(wrong)
    }
  }

  @Test("finds names whatever their case and hyphens")
  func spelling() throws {
    #expect(try Catalog.aggregator("Trimmed-Mean").name == "trimmedMean")
    #expect(try Catalog.attack("sign_flip").name == "signFlip")
  }

  @Test("refuses a parameter that a rule does not take, and names those it takes")
  func unknownParameter() throws {
    #expect(throws: CatalogError.unknownParameter("g", of: "krum", known: ["f", "neighbors"])) {
      try Catalog.aggregator("krum").make(["f": .integer(1), "g": .integer(2)])
    }
  }

  @Test("refuses a parameter of the wrong kind, and one that is missing")
  func wrongParameter() throws {
    #expect(throws: CatalogError.wrongParameter(name: "f", expected: "a whole number")) {
      try Catalog.aggregator("krum").make(["f": .number(1.5)])
    }
    #expect(throws: CatalogError.missingParameter("f")) { try Catalog.aggregator("krum").make([:]) }
  }

  @Test("refuses two parameters of which one stands for the other, and gives no default beside it")
  func contradiction() throws {
    #expect(throws: CatalogError.contradictingParameters("f", "ratio")) {
      try Catalog.aggregator("trimmedMean").make(["f": .integer(1), "ratio": .number(0.1)])
    }
    #expect(throws: CatalogError.contradictingParameters("permutation", "seed")) {
      try Catalog.preAggregator("bucketing").make([
        "size": .integer(2), "permutation": .integers([1, 0]), "seed": .integer(1),
      ])
    }
    let entry = try Catalog.aggregator("trimmedMean")
    var specification = try RuleSpecification("trimmedMean:ratio=0.1")
    specification.setDefaults(["f": .integer(1)], for: entry)
    #expect(specification.values == ["ratio": .number(0.1)])
    specification = try RuleSpecification("trimmedMean:f=1")
    specification.setDefaults(["ratio": .number(0.1), "f": .integer(2)], for: entry)
    #expect(specification.values == ["f": .integer(1)])
    specification = try RuleSpecification("trimmedMean")
    specification.setDefaults(["ratio": .number(0.1), "f": .integer(2)], for: entry)
    #expect(throws: CatalogError.contradictingParameters("f", "ratio")) {
      try entry.make(specification.parameters)
    }
  }

  @Test("reads a specification with numbers, words, lists and pairs")
  func specification() throws {
    let specification = try RuleSpecification(
      "x:f=2,tau=0.5,init=zero,permutation=1/0/2,mapping=3>5/5>3")
    #expect(specification.name == "x")
    #expect(
      specification.values == [
        "f": .integer(2), "tau": .number(0.5), "init": .text("zero"),
        "permutation": .integers([1, 0, 2]),
        "mapping": .mapping([3: 5, 5: 3]),
      ])
    #expect(throws: CatalogError.self) { try RuleSpecification("x:f") }
    #expect(throws: CatalogError.self) { try RuleSpecification("x:f=1,f=2") }
  }

  @Test("checks the parameters that a rule is made with only when it is used")
  func lateCheck() throws {
    let rule = try Catalog.aggregator("krum").make(["f": .integer(-1)])
    #expect(throws: AggregationError.self) { try rule.validate(n: 5) }
  }
}
