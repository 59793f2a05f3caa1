extension Tensor {
  /// Independent uniform draws from [0, 1): element j depends on the key and j alone.
  ///
  /// - Precondition: no extent of the shape is negative.
  public static func uniform(shape: [Int], key: RandomKey) -> Tensor {
    Tensor(shape: shape) { key.fillUniforms($0) }
  }

  /// Independent draws from N(mean, deviation²): element j depends on the key and j alone.
  ///
  /// - Precondition: no extent of the shape is negative.
  public static func normal(
    shape: [Int], mean: Double = 0, deviation: Double = 1, key: RandomKey
  ) -> Tensor {
    Tensor(shape: shape) { key.fillNormals($0, mean: mean, deviation: deviation) }
  }
}
