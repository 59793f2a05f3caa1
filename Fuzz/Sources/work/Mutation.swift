import ByzRuntime
import FuzzSupport

/// A change to a tree of values, as the input says.
struct Mutation {
  private let place: Int
  private let kind: UInt8
  private let number: UInt64

  init(_ input: inout Bytes) {
    place = Int(input.next()) << 8 | Int(input.next())
    kind = input.next()
    // Mostly small; any of eight bytes now and then.
    number = kind & 128 == 0 ? UInt64(input.next()) : input.number()
  }

  /// The tree with the change; one that has become large is left as it is.
  func callAsFunction(_ value: WireValue) -> WireValue {
    let count = Self.count(value)
    // The longest change makes 64 of one.
    guard count < 4096, Self.size(value) < 16 << 10 else { return value }
    var left = place % count
    return change(value, &left).first ?? .null
  }

  /// How many values there are, this one included.
  private static func count(_ value: WireValue) -> Int {
    switch value {
    case .array(let values): values.reduce(1) { $0 + count($1) }
    case .map(let entries): entries.reduce(1) { $0 + count($1.value) }
    default: 1
    }
  }

  /// How many numbers and characters there are, at least one for each value.
  private static func size(_ value: WireValue) -> Int {
    switch value {
    case .array(let values): values.reduce(1) { $0 + size($1) }
    case .map(let entries): entries.reduce(1) { $0 + size($1.value) }
    case .ints(let numbers): numbers.count + 1
    case .doubles(let numbers): numbers.count + 1
    case .floats(let numbers): numbers.count + 1
    case .bytes(let bytes): bytes.count + 1
    case .string(let text): text.utf8.count + 1
    default: 1
    }
  }

  /// What takes the place of the value: one as a rule, none or two in an array.
  private func change(_ value: WireValue, _ left: inout Int) -> [WireValue] {
    defer { left -= 1 }
    guard left != 0 else { return replaced(value) }
    var rest = left - 1
    defer { left = rest + 1 }
    switch value {
    case .array(let values): return [.array(values.flatMap { change($0, &rest) })]
    case .map(let entries):
      return [
        .map(
          entries.compactMap { entry in
            change(entry.value, &rest).first.map { WireValue.Entry(key: entry.key, value: $0) }
          })
      ]
    default: return [value]
    }
  }

  private func replaced(_ value: WireValue) -> [WireValue] {
    let signed = Int64(bitPattern: number)
    // One more or less is where limits are.
    let small =
      kind & 64 == 0 ? (number & 1 == 0 ? 1 : -1) : Int64(Int8(truncatingIfNeeded: number))
    let step = kind & 128 == 0 ? small : signed
    switch kind & 15 {
    case 0: return [.unsigned(number)]
    case 1: return [.int(step)]
    case 2: return [.double(Double(bitPattern: number))]
    case 3: return [.null]
    case 4: return []
    case 5: return [value, value]
    case 6: return [.array(Array(repeating: value, count: Int(number % 64)))]
    case 7: return [.ints(Array(repeating: step, count: Int(number >> 8 % 64)))]
    default: return [moved(value, by: step)]
    }
  }

  /// The same kind of value, and another one.
  private func moved(_ value: WireValue, by step: Int64) -> WireValue {
    switch value {
    case .int(let old): return .int(old &+ step)
    case .unsigned(let old): return .unsigned(old &+ UInt64(bitPattern: step))
    case .bool(let old): return .bool(!old)
    case .double(let old): return .double(old * Double(step))
    case .float(let old): return .float(old * Float(step))
    case .string(let old): return .string(String(old.dropLast(Int(number % 8))))
    case .ints(var all) where !all.isEmpty:
      if number & 2 == 0 { return .ints(all.map { $0 &+ step }) }
      all[Int(number >> 2) % all.count] &+= step
      return .ints(all)
    case .doubles(var all) where !all.isEmpty:
      all[Int(number >> 2) % all.count] *= Double(step)
      return .doubles(all)
    case .array(let all): return .array(Array(all.reversed()))
    default: return value
    }
  }
}
