import CByzKernels

// One reduction per coordinate: rows in, one row out.
extension Rows {
  /// `out[j] = Σ_i weights[i]·x_ij`; rows of weight 0 are skipped, whatever they hold.
  package func weightedSum(_ weights: [Double], columns range: Range<Int>, into out: OutputRows) {
    precondition(weights.count == count)
    write(range, out, takesZeros: true) { type, rows, n, begin, end, row in
      byz_weighted_sum(type, rows, weights, n, begin, end, row)
    }
  }

  /// `out[j] = c_j + Σ_i weights[i]·(x_ij - c_j)` for the column's median c_j.
  package func weightedSumAboutMedian(
    _ weights: [Double], columns range: Range<Int>, into out: OutputRows
  ) {
    // c + Σ wᵢ(xᵢ - c) = (1 - Σ wᵢ)·c + Σ wᵢxᵢ: the median is one more row, made a block at a time.
    median(lower: false, columns: range, into: out)
    let rest = 1 - weights.reduce(0, +)
    let rows = appending(out)
    rows.weightedSum(weights + [rest], columns: range, into: out)
  }

  /// `out[j]` = the median of column j.
  package func median(lower: Bool, columns range: Range<Int>, into out: OutputRows) {
    write(range, out) { byz_median($0, $1, $2, $3, $4, lower, $5) }
  }

  /// `out[j]` = the mean of column j without its f smallest and f largest values.
  package func trimmedMean(f: Int, columns range: Range<Int>, into out: OutputRows) {
    precondition(f >= 0 && 2 * f < count)
    write(range, out) { byz_trimmed_mean($0, $1, $2, f, $3, $4, $5) }
  }

  /// `out[j]` = the mean of the n - f values of column j nearest to its median.
  package func meanAroundMedian(f: Int, columns range: Range<Int>, into out: OutputRows) {
    precondition(f >= 0 && f < count)
    write(range, out) { byz_mean_around_median($0, $1, $2, f, $3, $4, $5) }
  }

  /// `out[j]` = the mean plus `factor` deviations of column j, which divide by `n - correction`.
  package func meanPlusDeviation(
    factor: Double, correction: Int, columns range: Range<Int>, into out: OutputRows
  ) {
    precondition(correction >= 0 && correction < count)
    write(range, out) { byz_mean_plus_deviation($0, $1, $2, factor, correction, $3, $4, $5) }
  }

  private func write(
    _ range: Range<Int>, _ out: OutputRows, takesZeros: Bool = false,
    _ kernel: (byz_type, byz_rows, Int, Int, Int, UnsafeMutableRawPointer) -> Void
  ) {
    precondition(
      out.elementType == elementType && out.columns == columns && out.pointers.count == 1)
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    precondition(takesZeros || !pointers.contains(nil), "Only a weighted sum takes a row of zeros")
    guard let row = out.pointers[0] else { return }
    pointers.withUnsafeBufferPointer { rows in
      kernel(
        elementType.kernelType, rows.baseAddress!, count, range.lowerBound, range.upperBound, row)
    }
    withExtendedLifetime((self, out)) {}
  }
}

// Rows in, several rows out.
extension Rows {
  /// `outs[k]` = the mean of the rows of set k, which are the bits of its ⌈n/64⌉ words in `members`.
  package func subsetMeans(
    members: [UInt64], overlapping: Bool, columns range: Range<Int>, into out: OutputRows
  ) {
    precondition(members.count == out.pointers.count * ((count + 63) / 64))
    precondition(!pointers.contains(nil), "Only a weighted sum takes a row of zeros")
    precondition(out.elementType == elementType && out.columns == columns)
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    pointers.withUnsafeBufferPointer { rows in
      out.pointers.withUnsafeBufferPointer { outs in
        byz_subset_means(
          elementType.kernelType, rows.baseAddress!, count, members, outs.count, overlapping,
          range.lowerBound, range.upperBound, outs.baseAddress!)
      }
    }
    withExtendedLifetime((self, out)) {}
  }

  /// `outs[i] = factors[i]·x_i`; a factor of 0 gives zeros.
  ///
  /// - Parameter isStreaming: Whether to write past the caches.
  package func scaled(
    by factors: [Double], columns range: Range<Int>, into out: OutputRows, isStreaming: Bool
  ) {
    precondition(factors.count == count && out.pointers.count == count)
    precondition(out.elementType == elementType && out.columns == columns)
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    for (i, factor) in factors.enumerated() {
      guard let row = pointers[i], let outRow = out.pointers[i] else { continue }
      byz_scale(
        elementType.kernelType, row, factor, range.lowerBound, range.upperBound, isStreaming, outRow
      )
    }
    withExtendedLifetime((self, out)) {}
  }
}
