// swift-tools-version: 6.2
import PackageDescription

// One list for every Swift target. Swift 6 language mode comes with the tools version.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),  // `any P` is spelled out
  .enableUpcomingFeature("MemberImportVisibility"),  // a file imports what it uses
]

let package = Package(
  name: "ByzKit",
  products: [
    .library(name: "ByzKit", targets: ["ByzKit"]),
    .executable(name: "ps-mnist", targets: ["ps-mnist"]),
    .executable(name: "byzkit-bench", targets: ["byzkit-bench"]),
    .executable(name: "byzkit", targets: ["ByzKitTool"]),
  ],
  dependencies: [
    // Only the executables use it: a package that depends on ByzKit builds none of its targets.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
  ],
  targets: [
    // Kernels in C: what touches all n·d numbers, in three variants chosen at run time.
    .target(name: "CByzKernels"),
    // OpenBLAS, loaded at run time.
    .target(name: "CByzBLAS", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // zlib, loaded at run time.
    .target(name: "CByzZlib", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // Processes, sockets, shared memory: what the system offers and Swift cannot say well.
    .target(name: "CByzSystem", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // Tensors, files, random numbers, shared memory.
    .target(
      name: "ByzTensor", dependencies: ["CByzKernels", "CByzBLAS", "CByzSystem", "CByzZlib"],
      swiftSettings: settings),
    // Graph, scheduler, pool.
    .target(
      name: "ByzRuntime", dependencies: ["ByzTensor", "CByzSystem"], swiftSettings: settings),
    // Rules, attacks, models, data, parameter server.
    .target(name: "ByzKit", dependencies: ["ByzRuntime"], swiftSettings: settings),
    // Golden cases: reads and runs them.
    .target(name: "ByzConformance", dependencies: ["ByzKit"], swiftSettings: settings),
    // The command line, one file for each command.
    .executableTarget(
      name: "ByzKitTool",
      dependencies: [
        "ByzConformance", "ByzKit",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: settings),

    // The bundled MNIST images.
    .target(
      name: "ExampleData", path: "Examples/ExampleData", resources: [.copy("mnist5k")],
      swiftSettings: settings),
    .executableTarget(
      name: "ps-mnist",
      dependencies: [
        "ByzKit", "ExampleData",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Crypto", package: "swift-crypto"),
      ], path: "Examples/ps-mnist", swiftSettings: settings),
    // Speed: every rule beside its yardsticks.
    .executableTarget(
      name: "byzkit-bench",
      dependencies: [
        "ByzKit", "ByzTensor", "CByzBLAS",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Benchmarks/byzkit-bench", swiftSettings: settings),

    .testTarget(
      name: "CByzKernelsTests", dependencies: ["CByzKernels"], swiftSettings: settings),
    .testTarget(
      name: "ByzTensorTests", dependencies: ["ByzTensor", "CByzKernels", "CByzSystem"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzKitTests", dependencies: ["ByzKit", "ByzTensor", "ByzTestSupport"],
      swiftSettings: settings),
    // Counts allocations; never part of a product.
    .target(name: "ByzTestSupport", path: "Tests/ByzTestSupport"),
    // Child processes of the tests run a program of a test instead of all tests.
    .target(
      name: "ByzWorkerHook", path: "Tests/ByzWorkerHook",
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "ByzWorkerSupport", dependencies: ["ByzRuntime", "ByzWorkerHook"],
      path: "Tests/ByzWorkerSupport", swiftSettings: settings),
    .testTarget(
      name: "ByzRuntimeTests",
      dependencies: ["ByzRuntime", "ByzTensor", "ByzWorkerSupport", "CByzSystem"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzConformanceTests", dependencies: ["ByzConformance", "ByzKit"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzKitToolTests", dependencies: ["ByzKitTool", "ByzKit"], swiftSettings: settings),
  ]
)
