import ByzTensor

/// Why a data set could not be made.
public enum DatasetError: Error, Hashable, Sendable {
  /// There is no such folder.
  case missingFolder(String)
  /// The folder has no file of this name, with or without `.gz`.
  case missingFile(folder: String, name: String)
  /// The file is there but cannot be read.
  case unreadable(FileError)
  /// The file is not in IDX format, or damaged.
  case invalidFile(path: String, IDXError)
  /// Labels where images belong, or the reverse: images have three dimensions, labels one.
  case wrongRank(path: String, expected: Int, actual: Int)
  /// Training and test images differ in (rows, columns).
  case sizesDiffer(folder: String, train: [Int], test: [Int])
  /// `images` labels want `images · rows · columns` pixels.
  case wrongPixelCount(pixels: Int, images: Int, rows: Int, columns: Int)
  /// A label is not in `0 ..< classes`.
  case labelOutOfRange(Int, at: Int, classes: Int)
  /// An error in what these files hold together.
  indirect case inFiles([String], DatasetError)
}

extension DatasetError: CustomStringConvertible {
  /// What is wrong, where, and what to do about it.
  public var description: String {
    switch self {
    case .missingFolder(let folder):
      """
      There is no folder \(folder). It must hold train-images-idx3-ubyte, train-labels-idx1-ubyte, \
      t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each as it is or with .gz. ByzKit comes with \
      5,000 images in Examples/ExampleData/mnist5k; Debian's package dataset-fashion-mnist installs 70,000 \
      in /usr/share/datasets/fashion-mnist.
      """
    case .missingFile(let folder, let name):
      "The folder \(folder) has neither \(name) nor \(name).gz."
    case .unreadable(let error): error.description
    case .invalidFile(let path, let error): "\(path): \(error)"
    case .wrongRank(let path, let expected, let actual):
      "\(path) has \(actual) dimensions, not \(expected): images have 3, labels 1."
    case .sizesDiffer(let folder, let train, let test):
      "\(folder): training images are \(train) pixels large, test images \(test)."
    case .wrongPixelCount(let pixels, let images, let rows, let columns):
      "\(images) labels need \(images)·\(rows)·\(columns) pixels, but there are \(pixels)."
    case .labelOutOfRange(let label, let position, let classes):
      "Label number \(position) is \(label), which is not in 0..<\(classes)."
    case .inFiles(let paths, let error): "\(paths.joined(separator: ", ")): \(error)"
    }
  }
}
