/// What one process may ask another to do: the body of a call.
package enum Service: Sendable {
  /// Make an actor. The answer is its number. With a key, it is kept for a while when the connection breaks.
  case spawn(type: String, arguments: WireValue, key: UInt64?)
  /// Call a method of an actor. The answer is what it returns.
  case invoke(actor: UInt64, target: String, substitutions: [String], arguments: [WireValue])
  /// Run a subtask. The answer is its output, with the rows it wrote as segments.
  case subtask(WireValue)
  /// Keep values that later subtasks refer to. The answer is null.
  case keep(set: UInt64, index: UInt64, type: String, value: WireValue)
  /// Put a message into a mailbox. The answer, null, comes when there was room for it.
  case put(host: UInt64, mailbox: String, sender: UInt64, message: WireValue)
  /// Bring the caller together with another worker of the same client. The answer is whether they are connected, or null when the other
  /// one's connection is broken.
  case meet(host: UInt64, lost: UInt64)
  /// Be connected to another worker. The answer, null, comes when it is, or when it waits.
  case join(host: UInt64, ticket: UInt64, Meeting)
  /// Take the caller for the worker that was announced with this ticket. The answer is null.
  case present(ticket: UInt64)
  /// Have this connection take the place of one that broke, under whose key actors are kept, unless that of a later attempt has. The
  /// answer is null.
  case resume(key: UInt64, attempt: UInt64)

  /// The body.
  package var value: WireValue {
    switch self {
    case .spawn(let type, let arguments, let key):
      .array([.unsigned(1), .string(type), arguments] + (key.map { [.unsigned($0)] } ?? []))
    case .invoke(let actor, let target, let substitutions, let arguments):
      .array([
        .unsigned(2), .unsigned(actor), .string(target),
        .array(substitutions.map(WireValue.string)), .array(arguments),
      ])
    case .subtask(let request): .array([.unsigned(3), request])
    case .keep(let set, let index, let type, let value):
      .array([.unsigned(4), .unsigned(set), .unsigned(index), .string(type), value])
    case .put(let host, let mailbox, let sender, let message):
      .array([.unsigned(5), .unsigned(host), .string(mailbox), .unsigned(sender), message])
    case .meet(let host, let lost): .array([.unsigned(6), .unsigned(host), .unsigned(lost)])
    case .join(let host, let ticket, let meeting):
      .array([.unsigned(7), .unsigned(host), .unsigned(ticket), meeting.value])
    case .present(let ticket): .array([.unsigned(8), .unsigned(ticket)])
    case .resume(let key, let attempt):
      .array([.unsigned(9), .unsigned(key), .unsigned(attempt)])
    }
  }

  /// What a body asks for.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage``.
  package init(_ value: WireValue) throws(RuntimeError) {
    guard case .array(let parts) = value else { throw Self.malformed }
    switch (parts.first, parts.count) {
    case (.unsigned(1), 3):
      guard case .string(let type) = parts[1] else { throw Self.malformed }
      self = .spawn(type: type, arguments: parts[2], key: nil)
    case (.unsigned(1), 4):
      guard case .string(let type) = parts[1], case .unsigned(let key) = parts[3] else {
        throw Self.malformed
      }
      self = .spawn(type: type, arguments: parts[2], key: key)
    case (.unsigned(2), 5):
      guard case .unsigned(let actor) = parts[1], case .string(let target) = parts[2],
        case .array(let names) = parts[3], case .array(let arguments) = parts[4]
      else { throw Self.malformed }
      var substitutions: [String] = []
      for name in names {
        guard case .string(let name) = name else { throw Self.malformed }
        substitutions.append(name)
      }
      self = .invoke(
        actor: actor, target: target, substitutions: substitutions, arguments: arguments)
    case (.unsigned(3), 2):
      self = .subtask(parts[1])
    case (.unsigned(4), 5):
      guard case .unsigned(let set) = parts[1], case .unsigned(let index) = parts[2],
        case .string(let type) = parts[3]
      else { throw Self.malformed }
      self = .keep(set: set, index: index, type: type, value: parts[4])
    case (.unsigned(5), 5):
      guard case .unsigned(let host) = parts[1], case .string(let mailbox) = parts[2],
        case .unsigned(let sender) = parts[3]
      else { throw Self.malformed }
      self = .put(host: host, mailbox: mailbox, sender: sender, message: parts[4])
    case (.unsigned(6), 3):
      guard case .unsigned(let host) = parts[1], case .unsigned(let lost) = parts[2] else {
        throw Self.malformed
      }
      self = .meet(host: host, lost: lost)
    case (.unsigned(7), 4):
      guard case .unsigned(let host) = parts[1], case .unsigned(let ticket) = parts[2],
        let meeting = Meeting(parts[3])
      else { throw Self.malformed }
      self = .join(host: host, ticket: ticket, meeting)
    case (.unsigned(8), 2):
      guard case .unsigned(let ticket) = parts[1] else { throw Self.malformed }
      self = .present(ticket: ticket)
    case (.unsigned(9), 3):
      guard case .unsigned(let key) = parts[1], case .unsigned(let attempt) = parts[2] else {
        throw Self.malformed
      }
      self = .resume(key: key, attempt: attempt)
    default: throw Self.malformed
    }
  }

  private static var malformed: RuntimeError {
    RuntimeError(.malformedMessage, "The call asks for nothing that is known here.")
  }
}

extension Service {
  /// Whom a call is for, as far as the first bytes of its body tell.
  enum Destination: Equatable {
    case actor(UInt64)
    case subtasks

    /// Nil when it is for neither, or the body is none; the reader of the whole body says what is wrong with it.
    init?(ofBody body: [UInt8]) {
      // An array whose first element is the number of the service.
      guard body.count > 4, body[0] == WireValue.Tag.array.rawValue,
        body[2] == WireValue.Tag.unsigned.rawValue
      else { return nil }
      switch (body[1], body[3]) {
      case (5, 2):
        guard body[4] == WireValue.Tag.unsigned.rawValue else { return nil }
        var number: UInt64 = 0
        for (index, byte) in body[5...].prefix(10).enumerated() {
          number |= UInt64(byte & 0x7F) << (7 * UInt64(index))
          if byte < 0x80 {
            self = .actor(number)
            return
          }
        }
        return nil
      case (2, 3): self = .subtasks
      default: return nil
      }
    }
  }
}
