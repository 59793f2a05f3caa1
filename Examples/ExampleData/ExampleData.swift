import Foundation

/// The folder with the bundled 5,000 MNIST images: 4,000 to learn from, 1,000 to test on. The split is ours.
public var bundledMNIST: String { Bundle.module.bundlePath + "/mnist5k" }
