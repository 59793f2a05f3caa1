import ByzRuntime
import NIOCore
import NIOPosix
import NIOTLS

/// The end of a connection's pipeline: bytes in, messages out, and the other way round. All of it
/// runs on the connection's event loop.
final class LinkHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// The link, once TLS is done or the connection stands; or why there is none. Nil when that is told, since it keeps the link.
  private var ready: EventLoopPromise<TCPLink>?

  private let settings: LinkSettings
  private var context: ChannelHandlerContext?
  /// It keeps this handler, so it is let go of when the channel has closed.
  private var link: TCPLink?
  private var receiver: (any LinkReceiver)?

  private var reader: FrameReader
  private var progress: FrameProgress?
  private var rate: RateLimit?
  /// What arrived before there was a receiver, or faster than it may; reading stops at once then.
  private var early: [ByteBuffer] = []
  /// Set while nothing is taken, because too much has come.
  private var pause: Scheduled<Void>?
  private var isReceiving = true
  private var patience = Patience()
  /// Set while the event loop does not sleep, since the next message may be on its way.
  private var isLooking = false

  private var outgoing = Outgoing()
  private var isWriting = false
  /// Why the connection ends when everything has been written.
  private var lastWord: RuntimeError?

  private var isAuthenticated: Bool
  private var hasFirstMessage = false
  private var admission: Scheduled<Void>?
  private var readiness: Scheduled<Void>?
  private var progressCheck: Scheduled<Void>?
  /// Why the connection ended.
  private var end: RuntimeError?

  private init(settings: LinkSettings, ready: EventLoopPromise<TCPLink>) {
    self.settings = settings
    self.ready = ready
    isAuthenticated = !settings.mustAuthenticate
    reader = FrameReader(
      limits: settings.mustAuthenticate ? settings.limits.ofStrangers : settings.limits)
    rate = settings.rate
    progress = settings.progress.map {
      FrameProgress(
        interval: UInt64($0.interval.timeAmount.nanoseconds),
        minimumByteCount: Int(Double($0.minimumBytesPerSecond) * ($0.interval / .seconds(1))))
    }
  }

  /// Puts a handler at the end of the pipeline of a channel, on whose event loop this is called.
  static func install(
    in channel: any Channel, settings: LinkSettings
  ) throws -> EventLoopFuture<TCPLink> {
    let ready = channel.eventLoop.makePromise(of: TCPLink.self)
    let handler = LinkHandler(settings: settings, ready: ready)
    do {
      try channel.pipeline.syncOperations.addHandler(handler)
    } catch {
      // The channel has closed already.
      ready.fail(error)
      throw error
    }
    return ready.futureResult
  }

  // MARK: - From beginning to end

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    readiness = schedule(settings.readyTimeout) { $0.giveUp(ChannelError.connectTimeout($1)) }
    if let timeout = settings.admissionTimeout {
      admission = schedule(timeout) { handler, _ in handler.refuse(after: timeout) }
    }
    if context.channel.isActive, !settings.isTLS { becomeReady() }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    finish(closedByPeer)
    tellReceiver()
    giveUp(ChannelError.eof)
    self.context = nil
    link = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    if !settings.isTLS { becomeReady() }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { becomeReady() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    // What had come by the end counts, however fast it came.
    rate = nil
    endPause()
    finish(closedByPeer)
    tellReceiver()
    giveUp(ChannelError.eof)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    giveUp(error)
    finish(failure(of: peerName, error) ?? closedByPeer)
  }

  /// Tells the receiver that the link has ended, once.
  private func tellReceiver() {
    guard let end else { return }
    receiver?.linkClosed(end)
    receiver = nil
  }

  private func becomeReady() {
    guard let context, link == nil, end == nil else { return }
    readiness?.cancel()
    let link = TCPLink(
      peerName: peerName, limits: settings.limits, handler: self, eventLoop: context.eventLoop)
    self.link = link
    ready?.succeed(link)
    ready = nil
  }

  /// Fails what waits for the link, if there is none yet.
  private func giveUp(_ error: any Error) {
    readiness?.cancel()
    guard link == nil else { return }
    ready?.fail(error)
    ready = nil
    context?.close(promise: nil)
  }

  private func refuse(after timeout: Duration) {
    giveUp(ChannelError.connectTimeout(timeout.timeAmount))
    finish(
      RuntimeError(
        .deadlineExceeded,
        """
        \(peerName) did not say who it is within \(timeout): see \
        TCPListenerOptions.handshakeTimeout.
        """
      ))
  }

  /// Ends the connection and tells the receiver, once. Not called from within `receive`.
  ///
  /// - Parameter lingers: Whether the other side is to have what was written. A socket that is closed with something unread resets
  ///   the connection, and the other side then loses what it has not read; so this one goes on reading, for nothing, until the other
  ///   side has closed, and the receiver is told then.
  func finish(_ reason: RuntimeError, lingers: Bool = false) {
    guard end == nil else { return }
    end = reason
    isReceiving = false
    early = []
    reader.drop()
    outgoing.removeAll()
    for timer in [admission, readiness, progressCheck, pause] { timer?.cancel() }
    if pause != nil {
      pause = nil
      setAutoRead(true)
    }
    link?.markClosed(reason)
    if lingers, let context {
      context.close(mode: .output, promise: nil)
      _ = schedule(Self.lingerTime) { handler, _ in handler.context?.close(promise: nil) }
    } else {
      context?.close(promise: nil)
      tellReceiver()
    }
  }

  private var peerName: String {
    TCPAddress(context?.channel.remoteAddress).map { "tcp://\($0)" } ?? "tcp://unknown"
  }

  private var closedByPeer: RuntimeError {
    let moment = reader.isAmidMessage ? " in the middle of a message" : ""
    return RuntimeError(
      .workerLost, "\(link?.peerName ?? peerName) closed the connection\(moment).")
  }

  // MARK: - In

  func start(_ receiver: any LinkReceiver) {
    if let end { return receiver.linkClosed(end) }
    self.receiver = receiver
    takeEarly()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    patience.end()
    guard isReceiving else { return }
    let buffer = unwrapInboundIn(data)
    rate?.received(bytes: buffer.readableBytes, at: NIODeadline.now().uptimeNanoseconds)
    take(buffer)
  }

  /// Now, or later.
  private func take(_ buffer: ByteBuffer) {
    guard isReceiving else { return }
    guard receiver == nil || pause != nil else { return receive(buffer) }
    if early.isEmpty { setAutoRead(false) }
    early.append(buffer)
  }

  private func takeEarly() {
    let buffers = early
    guard !buffers.isEmpty else { return }
    early = []
    for buffer in buffers { take(buffer) }
    if pause == nil { setAutoRead(true) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    patience.begin()
    if !isLooking { lookAgain() }
    context.fireChannelReadComplete()
  }

  /// With a timer that is about to ring the event loop looks at its sockets and goes on; with a task that is due it would not look.
  private func lookAgain() {
    isLooking = context != nil && patience.lasts()
    guard isLooking, let context else { return }
    context.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(1)) { self.lookAgain() }
  }

  private func setAutoRead(_ isOn: Bool) {
    context?.channel.setOption(.autoRead, value: isOn).whenFailure { _ in }
  }

  private func receive(_ buffer: ByteBuffer) {
    var buffer = buffer
    let byteCount = buffer.readableBytes
    var completed = false
    do {
      completed = try takeMessages()
      while buffer.readableBytes > 0, isReceiving, pause == nil {
        _ = try reader.fill { room in
          buffer.readWithUnsafeReadableBytes { bytes in
            let count = min(bytes.count, room.count)
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            return (count, count)
          }
        }
        if try takeMessages() { completed = true }
      }
    } catch {
      let peer = link?.peerName ?? peerName
      let error = error as? RuntimeError
      return finish(
        RuntimeError(
          error?.code ?? .malformedMessage, "\(peer) sent what cannot be accepted.", cause: error))
    }
    if !completed, isReceiving { receiver?.heard() }
    admitIfKnown()
    watch(byteCount - buffer.readableBytes, completed: completed)
    pauseIfTooFast()
    if buffer.readableBytes > 0, isReceiving { early.append(buffer) }
  }

  /// Hands over what is whole, as much as may come now.
  ///
  /// - Returns: whether there was anything.
  private func takeMessages() throws -> Bool {
    var hasAny = false
    while isReceiving, pause == nil, let message = try reader.next() {
      hasAny = true
      hasFirstMessage = true
      receiver?.receive(message)
      guard rate != nil else { continue }
      rate?.receivedMessage(at: NIODeadline.now().uptimeNanoseconds)
      pauseIfTooFast()
    }
    return hasAny
  }

  func stopReceiving() { isReceiving = false }

  func authenticated() {
    isAuthenticated = true
    reader.limits = settings.limits
    admitIfKnown()
  }

  private func admitIfKnown() {
    guard admission != nil, hasFirstMessage, isAuthenticated else { return }
    admission?.cancel()
    admission = nil
  }

  // MARK: - How fast it comes in

  /// The other side waits for as long as it is ahead: what it sends stays in its socket.
  private func pauseIfTooFast() {
    guard let rate, pause == nil, isReceiving else { return }
    let time = rate.pause(at: NIODeadline.now().uptimeNanoseconds)
    guard time > 0 else { return }
    setAutoRead(false)
    pauseOn(for: time)
  }

  /// In parts, since the other side, which can say nothing, does not count as silent.
  private func pauseOn(for time: Int64) {
    pause = schedule(.nanoseconds(min(time, Self.longestSilence))) { handler, _ in
      handler.receiver?.heard()
      let left = handler.rate?.pause(at: NIODeadline.now().uptimeNanoseconds) ?? 0
      if left > 0 { handler.pauseOn(for: left) } else { handler.endPause() }
    }
  }

  private static let longestSilence: Int64 = 50_000_000

  private func endPause() {
    guard pause != nil, isReceiving else { return }
    pause?.cancel()
    pause = nil
    // The time was not the other side's.
    progress?.received(
      0, completed: true, isAmidMessage: reader.isAmidMessage,
      at: NIODeadline.now().uptimeNanoseconds)
    // What is whole already comes first.
    early.insert(ByteBuffer(), at: 0)
    takeEarly()
  }

  private func watch(_ byteCount: Int, completed: Bool) {
    guard progress != nil, isReceiving else { return }
    progress?.received(
      byteCount, completed: completed, isAmidMessage: reader.isAmidMessage,
      at: NIODeadline.now().uptimeNanoseconds)
    if progressCheck == nil, reader.isAmidMessage { checkProgress() }
  }

  /// One timer for as long as messages follow each other, not one for each.
  private func checkProgress() {
    progressCheck = nil
    // It goes on when more comes.
    guard pause == nil else { return }
    let now = NIODeadline.now().uptimeNanoseconds
    switch progress?.verdict(at: now) {
    case .wait(let time)?:
      progressCheck = schedule(.nanoseconds(Int64(time - now))) { handler, _ in
        handler.checkProgress()
      }
    case .tooSlow(let byteCount)?:
      finish(
        RuntimeError(
          .deadlineExceeded,
          """
          \(link?.peerName ?? peerName) sent only \(byteCount) bytes of a message in \
          \(settings.progress?.interval ?? .zero): see TCPListenerOptions.minimumBytesPerSecond.
          """
        ))
    case .idle?, nil:
      break
    }
  }

  private func schedule(
    _ time: Duration, _ body: @escaping (LinkHandler, TimeAmount) -> Void
  ) -> Scheduled<Void>? {
    let amount = time.timeAmount
    // A timer does not keep the handler of a connection that has gone.
    return context?.eventLoop.assumeIsolated().scheduleTask(in: amount) { [weak self] in
      if let self { body(self, amount) }
    }
  }

  // MARK: - Out

  /// What one chunk holds at most: large enough for few system calls, small enough to stay in the
  /// processor's cache between being copied and being written.
  private static let chunkByteCount = 256 << 10
  /// What is written before the other connections of the event loop have their turn.
  private static let turnByteCount = 4 << 20

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { write() }
    context.fireChannelWritabilityChanged()
  }

  /// Ends the connection once everything has been written.
  func finishWhenWritten(_ reason: RuntimeError) {
    lastWord = reason
    write()
  }

  private static let lingerTime = Duration.seconds(1)

  private func finishAfterWrites(_ reason: RuntimeError, _ context: ChannelHandlerContext) {
    lastWord = nil
    // Behind all others, so that it succeeds when they have.
    let done = context.eventLoop.makePromise(of: Void.self)
    done.futureResult.assumeIsolated().whenComplete { _ in
      self.finish(reason, lingers: true)
    }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: done)
  }

  /// Writes what the channel takes.
  func write() {
    // Writing can make the channel writable again, which comes back here.
    guard let context, let link, end == nil, !isWriting else { return }
    isWriting = true
    defer { isWriting = false }
    outgoing.append(link.fetch())
    var written = 0
    while outgoing.byteCount > 0, context.channel.isWritable, written < Self.turnByteCount {
      let chunk = outgoing.chunk(
        capacity: Self.chunkByteCount, allocator: context.channel.allocator)
      written += chunk.readableBytes
      context.writeAndFlush(wrapOutboundOut(chunk), promise: nil)
    }
    link.wrote(written)
    if outgoing.byteCount > 0, context.channel.isWritable {
      context.eventLoop.assumeIsolated().execute { self.write() }
    }
    if outgoing.byteCount == 0, let lastWord { finishAfterWrites(lastWord, context) }
  }
}
