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
    .library(name: "ByzTCP", targets: ["ByzTCP"]),
    .library(name: "ByzUCX", targets: ["ByzUCX"]),
    .library(name: "ByzLaunch", targets: ["ByzLaunch"]),
    .library(name: "ByzTesting", targets: ["ByzTesting"]),
    .executable(name: "actor-demo", targets: ["actor-demo"]),
    .executable(name: "ps-mnist", targets: ["ps-mnist"]),
    .executable(name: "p2p-mnist", targets: ["p2p-mnist"]),
    .executable(name: "distributed-mnist", targets: ["distributed-mnist"]),
    .executable(name: "mpi-ps", targets: ["mpi-ps"]),
    .executable(name: "byzkit-bench", targets: ["byzkit-bench"]),
    .executable(name: "byzkit-simulate", targets: ["byzkit-simulate"]),
    .executable(name: "byzkit-faults", targets: ["byzkit-faults"]),
    .executable(name: "byzkit", targets: ["ByzKitTool"]),
  ],
  dependencies: [
    // A package that depends on product ByzKit builds none of their targets: argument parsing is the
    // executables', cryptography the executables' and the proof of a token's.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    // Only ByzTCP uses them.
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    // Only programs that host workers use them: byzkit worker.
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
  ],
  targets: [
    // Kernels in C: what touches all n·d numbers, in three variants chosen at run time.
    .target(name: "CByzKernels"),
    // OpenBLAS, loaded at run time.
    .target(
      name: "CByzBLAS", dependencies: ["CByzSystem"],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
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
    // The proof that both ends of a link hold the same token.
    .target(
      name: "ByzAuthentication",
      dependencies: ["ByzRuntime", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings),
    // Links between machines.
    .target(
      name: "ByzTCP",
      dependencies: [
        "ByzAuthentication", "ByzRuntime", "ByzTensor",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ], swiftSettings: settings),
    // UCX, loaded at run time.
    .target(
      name: "CByzUCX", dependencies: ["CByzSystem"],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    // Child processes of tests, which run a program of a test instead of all tests.
    .target(
      name: "CByzTesting", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "ByzTesting", dependencies: ["ByzKit", "ByzRuntime", "CByzTesting"],
      swiftSettings: settings),
    // Links over fast networks.
    .target(
      name: "ByzUCX",
      dependencies: ["ByzAuthentication", "ByzRuntime", "ByzTensor", "CByzSystem", "CByzUCX"],
      swiftSettings: settings),
    // Rules, attacks, models, data, parameter server.
    .target(name: "ByzKit", dependencies: ["ByzRuntime"], swiftSettings: settings),
    // Backends by name, and what launchers tell: for command lines.
    .target(
      name: "ByzLaunch",
      dependencies: [
        "ByzAuthentication", "ByzKit", "ByzRuntime", "ByzTCP", "ByzUCX",
        .product(name: "CoreMetrics", package: "swift-metrics"),
      ], swiftSettings: settings),
    // Golden cases: reads and runs them.
    .target(name: "ByzConformance", dependencies: ["ByzKit"], swiftSettings: settings),
    // Pool, connections and training in virtual time, on hosts and networks that fail.
    .target(
      name: "ByzSimulation", dependencies: ["ByzKit", "ByzRuntime", "ByzTensor"],
      swiftSettings: settings),
    .executableTarget(
      name: "byzkit-simulate",
      dependencies: [
        "ByzSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/ByzSimulate", swiftSettings: settings),
    // Pools and training on processes and sockets that fail.
    .executableTarget(
      name: "byzkit-faults",
      dependencies: [
        "ByzKit", "ByzRuntime", "ByzTCP", "ByzTensor", "ByzUCX", "CByzSystem",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/ByzFaults", swiftSettings: settings),
    // The command line, one file for each command.
    .executableTarget(
      name: "ByzKitTool",
      dependencies: [
        "ByzAuthentication", "ByzConformance", "ByzKit", "ByzLaunch", "ByzRuntime", "ByzTCP",
        "ByzUCX",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: settings),

    // The bundled MNIST images.
    .target(
      name: "ExampleData", path: "Examples/ExampleData", resources: [.copy("mnist5k")],
      swiftSettings: settings),
    // What the examples share: flags, nodes, reports.
    .target(
      name: "ExampleSupport",
      dependencies: [
        "ByzAuthentication", "ByzKit", "ByzLaunch", "ByzTCP", "ByzTensor", "ByzUCX", "ExampleData",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Crypto", package: "swift-crypto"),
      ], path: "Examples/ExampleSupport", swiftSettings: settings),
    .executableTarget(
      name: "actor-demo",
      dependencies: [
        "ByzKit", "ByzLaunch", "ByzTCP", "ByzUCX", "ExampleSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Examples/actor-demo", swiftSettings: settings),
    .executableTarget(
      name: "ps-mnist",
      dependencies: [
        "ByzKit", "ByzLaunch", "ExampleSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Examples/ps-mnist", swiftSettings: settings),
    .executableTarget(
      name: "mpi-ps",
      dependencies: [
        "ByzKit", "ByzLaunch", "ByzTCP", "ExampleSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Examples/mpi-ps", swiftSettings: settings),
    .executableTarget(
      name: "p2p-mnist",
      dependencies: [
        "ByzKit", "ByzLaunch", "ExampleSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Examples/p2p-mnist", swiftSettings: settings),
    .executableTarget(
      name: "distributed-mnist",
      dependencies: [
        "ByzKit", "ByzLaunch", "ExampleSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Examples/distributed-mnist", swiftSettings: settings),
    // What the machine can do at best.
    .target(name: "CByzRates", path: "Benchmarks/CByzRates"),
    // Speed: every rule beside other libraries, floors and yardsticks.
    .executableTarget(
      name: "byzkit-bench",
      dependencies: [
        "ByzKit", "ByzRuntime", "ByzTCP", "ByzTensor", "ByzUCX", "CByzBLAS", "CByzRates",
        "CByzSystem",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Benchmarks/byzkit-bench", swiftSettings: settings),

    .testTarget(
      name: "CByzKernelsTests", dependencies: ["CByzKernels"], swiftSettings: settings),
    .testTarget(
      name: "ByzTensorTests", dependencies: ["ByzTensor", "CByzKernels", "CByzSystem"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzKitTests",
      dependencies: [
        "ByzKit", "ByzRuntime", "ByzRuntimeTestSupport", "ByzTCP", "ByzTensor", "ByzTestSupport",
        "ByzTesting", "ByzUCX",
      ],
      swiftSettings: settings),
    // Counts allocations; never part of a product.
    .target(name: "ByzTestSupport", path: "Tests/ByzTestSupport"),
    // What tests of the runtime and of what runs on it share: a clock that a test moves, a worker that does not do as it should, the
    // distributed methods of the program.
    .target(
      name: "ByzRuntimeTestSupport", dependencies: ["ByzRuntime", "ByzTensor"],
      path: "Tests/ByzRuntimeTestSupport", swiftSettings: settings),
    .testTarget(
      name: "ByzRuntimeTests",
      dependencies: [
        "ByzRuntime", "ByzRuntimeTestSupport", "ByzTensor", "ByzTesting", "CByzSystem",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "ByzAuthenticationTests", dependencies: ["ByzAuthentication", "ByzRuntime"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzTCPTests",
      dependencies: [
        "ByzTCP", "ByzAuthentication", "ByzRuntime", "ByzTensor",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      exclude: ["Certificates"], swiftSettings: settings),
    .testTarget(
      name: "ByzUCXTests",
      dependencies: ["ByzUCX", "ByzAuthentication", "ByzRuntime", "ByzTensor", "CByzUCX"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzLaunchTests",
      dependencies: [
        "ByzAuthentication", "ByzKit", "ByzLaunch", "ByzRuntime", "ByzTCP", "ByzTensor", "ByzUCX",
        "ByzTesting", "mpi-ps",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "ByzSimulationTests", dependencies: ["ByzSimulation"], swiftSettings: settings),
    .testTarget(
      name: "ByzConformanceTests", dependencies: ["ByzConformance", "ByzKit"],
      swiftSettings: settings),
    .testTarget(
      name: "ByzKitToolTests",
      dependencies: [
        "ByzAuthentication", "ByzKit", "ByzKitTool", "ByzLaunch", "ByzRuntime", "ByzTCP", "ByzUCX",
      ],
      swiftSettings: settings),
    .testTarget(name: "ByzBenchTests", dependencies: ["byzkit-bench"], swiftSettings: settings),
    .testTarget(
      name: "ExampleTests",
      dependencies: [
        "ByzAuthentication", "ByzKit", "ByzLaunch", "ByzRuntime", "ByzTCP", "ByzUCX",
        "ExampleSupport", "actor-demo", "ps-mnist", "p2p-mnist", "distributed-mnist",
        "byzkit-faults",
      ], path: "Tests/ExampleTests", swiftSettings: settings),
  ]
)
