import ByzKit

/// One entry of `cases.json`: an input, an operator and the output it must have.
struct GoldenCase: Decodable {
  enum DType: String, Decodable {
    case f32
    case f64
  }

  let id: String
  let `operator`: String
  let parameters: [String: CaseValue]
  let dtype: DType
  let n: Int
  let d: Int
  let category: String
  let input: String
  let expected: String
  let rtol: Double
  let atol: Double

  /// A range that not everyone accepts: a refusal is right as well.
  var mayBeRefused: Bool { category == "extended" }
}

/// One entry of `invalid.json`: a call that must be refused.
struct InvalidCase: Decodable {
  enum Expectation: String, Decodable {
    case reject
    case rejectOrNonfinite = "reject-or-nonfinite"
  }

  let id: String
  let `operator`: String
  let parameters: [String: CaseValue]
  let expect: Expectation
  let contents: [[CaseValue]]?
  let n: Int?
  let d: Int?
}

/// One entry of `statistical.json`: bounds for random draws.
struct StatisticalCase: Decodable {
  let `operator`: String
  let parameters: [String: CaseValue]
  let d: Int
  let meanTolerance: Double
  let stdTolerance: Double
  let ksMax: Double
}

/// A value of a case file, as JSON has it; NaN and the infinities are strings there.
struct CaseValue: Decodable {
  let value: ParameterValue

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let integer = try? container.decode(Int.self) {
      value = .integer(integer)
    } else if let number = try? container.decode(Double.self) {
      value = .number(number)
    } else if let text = try? container.decode(String.self) {
      value = Self.nonFinite[text].map(ParameterValue.number) ?? .text(text)
    } else if let integers = try? container.decode([Int].self) {
      value = .integers(integers)
    } else if let numbers = try? container.decode([Double].self) {
      value = .numbers(numbers)
    } else if let pairs = try? container.decode([Int: Int].self) {
      value = .mapping(pairs)
    } else {
      throw DecodingError.dataCorruptedError(
        in: container,
        debugDescription: "not a number, a word, a list of numbers or pairs of numbers")
    }
  }

  private static let nonFinite: [String: Double] = [
    "NaN": .nan, "Inf": .infinity, "-Inf": -.infinity,
  ]
}

extension [String: CaseValue] {
  /// The values as the catalogue takes them.
  var parameterValues: [String: ParameterValue] { mapValues(\.value) }
}
