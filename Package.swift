// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// The data path runs on one thread: the compiler's law of exclusivity is checked where the tests run, in debug, and costs
/// nothing per packet in release.
let dataPath = strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let strictC: [CSetting] = [
  .treatAllWarnings(as: .error),
  .enableWarning("all"),
  .enableWarning("extra"),
]

// The arrows between these targets point down only; `.ci/arrows` holds the imports to this table.
let package = Package(
  name: "lanekeeper",
  products: [
    .executable(name: "lanekeeper", targets: ["lanekeeper"]),
    .executable(name: "lanekeeper-bench", targets: ["LaneBench"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
  ],
  targets: [
    // System libraries and kernel structures: no logic.
    .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
    .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "COpenSSLSystem", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "COpenSSL", dependencies: ["COpenSSLSystem"], cSettings: strictC),
    .target(name: "CLinux", cSettings: strictC),

    // What a packet is, what to decide about it, and how bytes move: three modules that do not know each other's concerns.
    .target(name: "NetEndpoint", swiftSettings: strict),
    .target(name: "CubeFSWire", dependencies: ["CISAL"], swiftSettings: dataPath),
    .target(
      name: "LaneCore",
      dependencies: ["CubeFSWire", "NetEndpoint", .product(name: "DequeModule", package: "swift-collections")],
      swiftSettings: dataPath),
    .target(name: "LinuxIO", dependencies: ["CLinux", "COpenSSL", "NetEndpoint"], swiftSettings: dataPath),

    .target(
      name: "LaneProxy",
      dependencies: ["CubeFSWire", "LaneCore", "LinuxIO", "NetEndpoint"],
      swiftSettings: dataPath),
    .target(name: "LaneJSON", swiftSettings: strict),
    .target(name: "LaneTelemetry", dependencies: ["LaneCore", "LinuxIO", "NetEndpoint", "LaneJSON"], swiftSettings: dataPath),
    // The only part of the program that uses SwiftNIO: HTTP for operators, on a thread of its own.
    .target(
      name: "LaneAdmin",
      dependencies: [
        "NetEndpoint",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .target(
      name: "LaneControl",
      dependencies: ["CubeFSWire", "LaneCore", "LinuxIO", "LaneProxy", "LaneTelemetry", "LaneAdmin", "LaneJSON", "NetEndpoint", "CYaml"],
      swiftSettings: strict),

    // Models around the delivery gate and the conflict guard, explored by seed: for tests.
    // Optimised in debug, too: it runs millions of steps.
    .target(
      name: "LaneSimulator", dependencies: ["LaneCore", "NetEndpoint"],
      swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]),

    // The lab shares the packet codec with the program, and nothing else: an oracle must not copy the catalogue.
    .target(name: "LaneLab", dependencies: ["CubeFSWire", "NetEndpoint", "LaneJSON"], swiftSettings: strict),

    .executableTarget(
      name: "lanekeeper", dependencies: ["LaneControl", "LaneProxy", "LaneTelemetry", "LinuxIO", "LaneLab", "CubeFSWire", "LaneJSON"],
      swiftSettings: strict),
    .executableTarget(
      name: "LaneBench", dependencies: ["CubeFSWire", "CLinux", "LaneCore", "LinuxIO", "LaneTelemetry", "NetEndpoint", "LaneJSON"],
      swiftSettings: dataPath),

    // What tests of several targets need of the kernel.
    .target(name: "LinuxTestSupport", path: "Tests/LinuxTestSupport", swiftSettings: strict),
    // Certificates of every kind, good and bad, made by the openssl command-line tool.
    .target(name: "CertificateTestSupport", path: "Tests/CertificateTestSupport", swiftSettings: strict),
    // Bytes, checksums and seeds, not the program's own. Optimised in debug, too: some tests make megabytes within a time limit.
    .target(name: "TestBytes", path: "Tests/TestBytes", swiftSettings: strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    .testTarget(name: "CubeFSWireTests", dependencies: ["CubeFSWire", "TestBytes"], swiftSettings: strict),
    .testTarget(name: "NetEndpointTests", dependencies: ["NetEndpoint"], swiftSettings: strict),
    .testTarget(name: "LaneCoreTests", dependencies: ["LaneCore", "CubeFSWire", "TestBytes"], swiftSettings: strict),
    .testTarget(
      name: "LinuxIOTests",
      dependencies: ["LinuxIO", "COpenSSL", "NetEndpoint", "LinuxTestSupport", "CertificateTestSupport", "TestBytes"],
      swiftSettings: strict),
    .testTarget(name: "LaneJSONTests", dependencies: ["LaneJSON"], swiftSettings: strict),
    .testTarget(
      name: "LaneTelemetryTests",
      dependencies: ["LaneTelemetry", "LaneCore", "LinuxIO", "NetEndpoint", "CubeFSWire", "CertificateTestSupport", "TestBytes"],
      swiftSettings: strict),
    .testTarget(name: "LaneAdminTests", dependencies: ["LaneAdmin", "NetEndpoint"], swiftSettings: strict),
    .testTarget(
      name: "LaneControlTests",
      dependencies: ["LaneControl", "LaneCore", "LaneProxy", "LaneTelemetry", "LinuxIO", "CubeFSWire", "NetEndpoint", "TestBytes"],
      swiftSettings: strict),
    .testTarget(name: "LaneSimulatorTests", dependencies: ["LaneSimulator"], swiftSettings: strict),
    .testTarget(name: "LaneLabTests", dependencies: ["LaneLab", "CubeFSWire", "NetEndpoint", "LaneJSON"], swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "CubeFSWire", "NetEndpoint", "LinuxTestSupport", "CertificateTestSupport", "TestBytes", "lanekeeper", "LaneBench",
      ],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
