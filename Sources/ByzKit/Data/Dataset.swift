import ByzTensor

/// Labelled images of one size, in memory.
///
/// ```swift
/// let (train, test) = try Dataset.mnist(at: "Examples/ExampleData/mnist5k")
/// let shares = try Partition.dirichlet(alpha: 0.5).indices(
///   of: train.labels, nodes: 10, key: RandomKey(1))
/// ```
public struct Dataset: Sendable {
  /// Pixels in 0…1, of shape (count, rows, columns), row-major.
  public let images: [Float]
  /// The class of each image, in `0 ..< classes`.
  public let labels: [Int]
  /// Pixels from top to bottom.
  public let rows: Int
  /// Pixels from left to right.
  public let columns: Int
  /// How many classes there are.
  public let classes: Int

  /// The number of images.
  public var count: Int { labels.count }

  /// A data set from arrays.
  ///
  /// - Throws: ``DatasetError/wrongPixelCount(pixels:images:rows:columns:)``,
  ///   ``DatasetError/labelOutOfRange(_:at:classes:)``.
  public init(
    images: [Float], labels: [Int], rows: Int, columns: Int, classes: Int
  ) throws(DatasetError) {
    let (size, overflow) = rows.multipliedReportingOverflow(by: columns)
    let (pixels, overflow2) = size.multipliedReportingOverflow(by: labels.count)
    guard rows > 0, columns > 0, !overflow, !overflow2, pixels == images.count else {
      throw .wrongPixelCount(
        pixels: images.count, images: labels.count, rows: rows, columns: columns)
    }
    for (i, label) in labels.enumerated() where label < 0 || label >= classes {
      throw .labelOutOfRange(label, at: i, classes: classes)
    }
    self.images = images
    self.labels = labels
    self.rows = rows
    self.columns = columns
    self.classes = classes
  }
}

// MARK: - MNIST

extension Dataset {
  /// Loads the four files of MNIST, or of a set in its format such as Fashion-MNIST: ten classes,
  /// images of one size.
  ///
  /// They are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same with `t10k`, each
  /// as it is or with `.gz`.
  ///
  /// - Throws: ``DatasetError``, which names the file, and what to install if there is none.
  public static func mnist(
    at folder: String
  ) throws(DatasetError) -> (train: Dataset, test: Dataset) {
    let train = try load("train", from: folder)
    let test = try load("t10k", from: folder)
    guard train.rows == test.rows, train.columns == test.columns else {
      throw .sizesDiffer(
        folder: folder, train: [train.rows, train.columns], test: [test.rows, test.columns])
    }
    return (train, test)
  }

  private static func load(_ part: String, from folder: String) throws(DatasetError) -> Dataset {
    let (images, imagePath) = try read("\(part)-images-idx3-ubyte", rank: 3, from: folder)
    let (labels, labelPath) = try read("\(part)-labels-idx1-ubyte", rank: 1, from: folder)
    // A table, because there are only 256 quotients to compute.
    let scaled = (0...255).map { Float($0) / 255 }
    do throws(DatasetError) {
      return try Dataset(
        images: images.values.map { scaled[Int($0)] }, labels: labels.values.map(Int.init),
        rows: images.dimensions[1], columns: images.dimensions[2], classes: 10)
    } catch {
      throw .inFiles([imagePath, labelPath], error)
    }
  }

  private static func read(
    _ name: String, rank: Int, from folder: String
  ) throws(DatasetError) -> (IDX, path: String) {
    for path in ["\(folder)/\(name)", "\(folder)/\(name).gz"] {
      let file: FileMapping
      do throws(FileError) { file = try FileMapping(reading: path) } catch {
        guard error.isMissing else { throw .unreadable(error) }
        continue
      }
      let contents: IDX
      do throws(IDXError) { contents = try file.withUnsafeBytes(IDX.parse) } catch {
        throw .invalidFile(path: path, error)
      }
      guard contents.dimensions.count == rank else {
        throw .wrongRank(path: path, expected: rank, actual: contents.dimensions.count)
      }
      return (contents, path)
    }
    throw isFolder(folder) ? .missingFile(folder: folder, name: name) : .missingFolder(folder)
  }

  /// Mapping a folder fails for another reason than that it is missing.
  private static func isFolder(_ path: String) -> Bool {
    do throws(FileError) {
      _ = try FileMapping(reading: path)
      return false
    } catch {
      return !error.isMissing
    }
  }
}
