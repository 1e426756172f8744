internal import LaneCore
internal import LaneTelemetry
internal import LinuxIO

/// The flight recorder and its writer.
struct Recorder {
  let recorder: FlightRecorder
  private let writer: EvidenceWriter

  /// Nil where the configuration names no directory. One that cannot be used is told by an event, and stops nothing.
  init?(_ configuration: Configuration, process: UInt64) throws(SystemFailure) {
    guard let directory = configuration.recorder.directory else { return nil }
    let bounds = EvidenceWriter.Bounds(
      files: configuration.recorder.maxFiles, bytes: configuration.recorder.maxBytes, age: configuration.recorder.maxAge.wholeNanoseconds)
    writer = try EvidenceWriter(directory: directory, suffix: FlightRecorder.suffix, bounds: bounds)
    recorder = FlightRecorder(writer: writer, node: configuration.node, process: process, payload: configuration.recorder.payload)
  }

  /// For metrics.
  var figures: RecorderFigures {
    let status = writer.status
    return RecorderFigures(files: status.counters, skipped: recorder.skipped, isFailing: status.failure != nil)
  }

  /// Writes what waits, at most this long, and tells what became of it.
  func finish(_ sink: any EventSink, timeout: Nanoseconds) {
    _ = writer.close(timeout: timeout)
    recorder.tick(sink)
  }
}

/// What the flight recorder has done.
struct RecorderFigures: Sendable, Equatable {
  var files: EvidenceWriter.Counters
  /// Events without a file because there were too many at once.
  var skipped: UInt64
  var isFailing: Bool
}
