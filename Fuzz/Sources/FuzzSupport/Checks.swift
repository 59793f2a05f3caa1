import CAllocations

/// What a reader may always take from the heap, whatever the input says.
public let allowance = 64 << 10

/// Ends the process when a promise is not kept; libFuzzer then keeps the input as a finding.
public func check(
  _ condition: Bool, _ promise: @autoclosure () -> String, file: StaticString = #fileID,
  line: UInt = #line
) {
  if !condition { fatalError("Not kept: \(promise())", file: file, line: line) }
}

/// What `body` returns, and the most bytes it had on the heap at any time.
public func measuring<R>(_ body: () -> R) -> (R, peak: Int) {
  byz_allocations_begin()
  let result = body()
  return (result, byz_allocations_end())
}

/// What `body` returns, having checked that it had at most 64 KiB and `implied` bytes on the heap.
public func bounded<R>(
  implied: Int = 0, _ reader: String = "the reader", by body: () -> R
) -> R {
  let (result, peak) = measuring(body)
  check(
    peak <= allowance + implied,
    "\(reader) takes at most \(allowance) + \(implied) bytes, but took \(peak)")
  return result
}
