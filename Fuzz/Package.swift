// swift-tools-version: 6.2
import PackageDescription

// A package of its own: these programs have libFuzzer's main, so they link only with its sanitizer.
// scripts/fuzz builds and runs them.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  // A file of its own is else taken for a script, which has a main.
  .unsafeFlags(["-parse-as-library"]),
]

/// A reader under test.
func fuzzer(_ name: String) -> Target {
  .executableTarget(
    name: name, dependencies: ["FuzzSupport", .product(name: "ByzKit", package: "ByzKit")],
    swiftSettings: settings)
}

let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "ByzKit", path: "..")],
  targets: [
    // Counts what is on the heap, by the hooks of the address sanitizer.
    .target(name: "CAllocations"),
    .target(
      name: "FuzzSupport",
      dependencies: ["CAllocations", .product(name: "ByzKit", package: "ByzKit")],
      swiftSettings: settings),
    fuzzer("npy-header"),
    fuzzer("npy-tensor"),
    fuzzer("idx"),
    fuzzer("gzip"),
  ]
)
