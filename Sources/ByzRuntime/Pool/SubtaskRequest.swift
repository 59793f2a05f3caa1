internal import ByzTensor

/// A subtask with the part of its operands that it touches, as it travels to another process and back.
struct SubtaskRequest {
  struct Resident: Hashable {
    let set: UInt64
    let index: Int
  }

  /// The shape of what the subtask writes.
  private struct Output: Codable {
    let elementType: ElementType
    let columns: Int
    let count: Int
    let rows: Range<Int>
  }

  /// The shape of the rows that it reads; `zeros` are the rows that are not sent.
  private struct Input: Codable {
    let elementType: ElementType
    let columns: Int
    let count: Int
    let zeros: [Int]
  }

  let type: String
  let residents: [Resident]
  private let subtask: WireValue
  private let inputs: [WireValue]
  private let rows: Input?
  private let output: Output?

  // MARK: - The side that asks

  /// What travels, and beside it the segments.
  static func encode<S: Subtask>(
    _ subtask: S, _ operands: Operands
  ) throws -> (value: WireValue, segments: [Segment]) {
    let part = subtask as? any FootprintSubtask
    let residents = part?.residents ?? operands.residents.indices
    var encoder = WireEncoder()
    let task = try encoder.encode((part?.moved() as? S) ?? subtask)
    let inputs = try operands.inputs.map { try encoder.encode($0) }
    var rows: Input?
    var rowSegments: [Segment] = []
    if let all = operands.rows {
      let columns = part?.columns ?? 0..<all.columns
      let segments = all.segments(columns: columns)
      rows = Input(
        elementType: all.elementType, columns: columns.count, count: segments.count,
        zeros: segments.indices.filter { segments[$0] == nil })
      rowSegments = segments.compactMap(\.self)
    }
    let output = operands.outputs.map { all in
      Output(
        elementType: all.elementType, columns: part?.columns?.count ?? all.columns,
        count: all.pointers.count, rows: part?.outputRows ?? 0..<all.pointers.count)
    }
    let value = WireValue.array([
      .string(try Registry.name(of: S.self)), task, .array(inputs),
      .array(
        residents.map { .array([.unsigned(operands.residents.id), .unsigned(UInt64($0))]) }),
      try encoder.encode(rows), try encoder.encode(output),
    ])
    return (value, encoder.segments + rowSegments)
  }

  /// Takes the answer: writes the outputs and returns the value.
  static func finish<S: Subtask>(
    _ subtask: S, _ operands: Operands, answer: ByzActorSystem.Answer, system: ByzActorSystem
  ) throws -> S.Output {
    guard let outputs = operands.outputs else {
      return try system.decoder(answer.segments).decode(S.Output.self, from: answer.value)
    }
    let part = subtask as? any FootprintSubtask
    let rows = part?.outputRows ?? 0..<outputs.pointers.count
    let columns = part?.columns ?? 0..<outputs.columns
    guard answer.segments.count == rows.count else {
      throw RuntimeError(
        .malformedMessage, "\(answer.segments.count) rows came back, not \(rows.count).")
    }
    for (segment, row) in zip(answer.segments, rows) {
      try outputs.copy(segment, toRow: row, columns: columns)
    }
    return try WireDecoder(segments: []).decode(S.Output.self, from: answer.value)
  }

  // MARK: - The side that runs it

  init(_ value: WireValue) throws {
    guard case .array(let parts) = value, parts.count == 6, case .string(let type) = parts[0],
      case .array(let inputs) = parts[2], case .array(let residents) = parts[3]
    else { throw Self.malformed }
    self.type = type
    subtask = parts[1]
    self.inputs = inputs
    self.residents = try residents.map { resident in
      guard case .array(let pair) = resident, pair.count == 2, case .unsigned(let set) = pair[0],
        case .unsigned(let index) = pair[1], let index = Int(exactly: index)
      else { throw Self.malformed }
      return Resident(set: set, index: index)
    }
    let decoder = WireDecoder(segments: [])
    rows = try decoder.decode(Input?.self, from: parts[4])
    output = try decoder.decode(Output?.self, from: parts[5])
  }

  /// Runs the subtask in the calling thread and returns the answer.
  func run<S: Subtask>(
    _ type: S.Type, residents: [Int: any Sendable], segments: [Segment], system: ByzActorSystem,
    answeringOn link: any Link
  ) throws -> Message {
    let decoder = system.decoder(segments)
    let subtask = try decoder.decode(S.self, from: subtask)
    let tensors = try inputs.map { try decoder.decode(AnyTensor.self, from: $0) }
    let operands = Operands(
      inputs: tensors, residents: Residents(id: 0, values: residents),
      rows: try receivedRows(segments, link.limits), outputs: try newOutputs(for: link))
    if let part = subtask as? any FootprintSubtask { try check(part, operands, link.limits) }
    let result = try subtask.run(operands)
    var encoder = WireEncoder()
    let value = try encoder.encode(result)
    guard encoder.segments.isEmpty || output == nil else {
      throw RuntimeError(.malformedMessage, "A subtask with outputs returned tensors, too.")
    }
    return Message(
      .reply, body: value.serialized(), segments: operands.outputs?.segments ?? encoder.segments)
  }

  /// The rows are the last segments: tensors in the subtask and among the inputs come before.
  private func receivedRows(_ segments: [Segment], _ limits: WireLimits) throws -> Rows? {
    guard let rows else { return nil }
    guard rows.count >= 0, rows.zeros.count <= rows.count, rows.columns > 0,
      // Rows that are not sent have no length of their own.
      rows.columns <= limits.message / rows.elementType.byteCount,
      Set(rows.zeros).count == rows.zeros.count,
      rows.zeros.allSatisfy({ $0 >= 0 && $0 < rows.count }),
      segments.count >= rows.count - rows.zeros.count
    else { throw Self.malformed }
    var rest = segments.suffix(rows.count - rows.zeros.count)
    let zeros = Set(rows.zeros)
    return try Rows(
      elementType: rows.elementType, columns: rows.columns,
      segments: (0..<rows.count).map { zeros.contains($0) ? nil : rest.removeFirst() })
  }

  private func newOutputs(for link: any Link) throws -> OutputRows? {
    guard let output else { return nil }
    // Far above any use, and below what would overflow.
    guard output.columns >= 0, output.count >= 0, output.count <= 1 << 20,
      output.rows.lowerBound >= 0, output.rows.upperBound <= output.count,
      output.columns <= (1 << 40) / max(1, output.rows.count)
    else { throw Self.malformed }
    // They go back in one message.
    let byteCount = output.rows.count * output.columns * output.elementType.byteCount
    guard output.rows.count <= link.limits.segments else {
      throw RuntimeError(
        .limitExceeded,
        "A subtask asks for \(output.rows.count) rows to write to, more than WireLimits.segments, \(link.limits.segments)."
      )
    }
    guard byteCount <= link.limits.message else {
      throw RuntimeError(
        .limitExceeded,
        "A subtask asks for \(byteCount) bytes to write to, more than WireLimits.message, \(link.limits.message)."
      )
    }
    return OutputRows(
      elementType: output.elementType, columns: output.columns, count: output.count,
      rows: output.rows
    ) { byteCount in
      let storage = link.storage(toSend: byteCount)
      // Rows that the subtask does not write would tell a stranger what lay there before; a parent has seen it all.
      if !(link is ProcessLink) {
        storage.address.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
      }
      return storage
    }
  }

  /// What the subtask will touch must be there, whatever the other side sent.
  private func check(
    _ part: any FootprintSubtask, _ operands: Operands, _ limits: WireLimits
  ) throws {
    let width = operands.rows?.columns ?? operands.outputs?.columns
    if let columns = part.columns, let width {
      guard columns.lowerBound >= 0, columns.upperBound <= width else { throw Self.malformed }
    }
    if let rows = operands.rows, let outputs = operands.outputs {
      guard rows.columns == outputs.columns else { throw Self.malformed }
    }
    try part.check(operands, limits: limits)
  }

  static var malformed: RuntimeError {
    RuntimeError(.malformedMessage, "The subtask does not fit what came with it.")
  }
}
