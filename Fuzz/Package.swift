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

/// A reader under test that is no part of the library's interface: what is `package` there belongs to the package of that name,
/// which is its folder's.
func internalFuzzer(_ name: String, products: [String] = ["ByzKit"]) -> Target {
  let folder = Context.packageDirectory.split(separator: "/").dropLast().last ?? ""
  let packageName = String(
    folder.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
  return .executableTarget(
    name: name,
    dependencies: ["FuzzSupport"] + products.map { .product(name: $0, package: "ByzKit") },
    packageAccess: false,
    swiftSettings: settings + [.unsafeFlags(["-package-name", packageName])])
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
    internalFuzzer("frame"),
    internalFuzzer("wire-value"),
    internalFuzzer("message"),
    internalFuzzer("work"),
    internalFuzzer("ucx-parts", products: ["ByzKit", "ByzUCX"]),
    internalFuzzer("proof", products: ["ByzKit", "ByzUCX"]),
  ]
)
