internal import LaneCore

/// Everything that an operator is told about alerts and reasons, in one place. The switches have no default: an event or a reason
/// that is added does not compile without its texts, and the tests hold rules, schema and examples to the same sets.
///
/// Texts are written for somebody who was woken by the alert. They say what the code does; whoever changes the code changes them.
enum AlertCatalogue {
  /// What is said about an alert's code.
  struct Advice {
    /// One line, for lists.
    let summary: String
    /// What happened.
    let happened: String
    /// What Lanekeeper did about it.
    let did: String
    /// What to look at, in this order.
    let look: [String]
    /// What may be done without a developer.
    let safe: [String]
    /// When to wake a developer.
    let developer: String
    /// It must go on for so many minutes before the rule for Prometheus fires.
    var patienceMinutes = 0
    /// It is told once, at start, and holds for as long as the process lives.
    var lasts = false
  }

  /// What is said about a reason.
  struct Cause {
    /// The events that bear it, the most telling one first.
    let events: [LaneEvent.Name]
    /// What happened.
    let happened: String
    /// What Lanekeeper did about it.
    let did: String
    /// What to do.
    let advice: String
    /// What a line of it has under `expected` and `observed`.
    var values: (expected: FieldValue, observed: FieldValue)?
    /// What a line of it has under `detail`.
    var detail: String?
  }

  // MARK: Alerts

  /// Nil where the event is never an alert.
  static func advice(_ name: LaneEvent.Name) -> Advice? {
    switch name {
    case .replyDropped:
      Advice(
        summary: "A reply that was not the answer to the request was dropped",
        happened: """
          A reply came that is no correct answer to the operation in flight: reason names the rule that it breaks, expected and \
          observed are the two values. Without Lanekeeper the caller could have taken it for its own (CubeFS issue 3337).
          """,
        did: """
          The reply went no further. What was in flight on that connection failed, in order: with a CubeFS error reply (action \
          error-reply), or, where the caller had part of a reply already or would take an error for success, with a reset (action \
          reset). The connection to the peer was closed and is never used again. CubeFS tries the operation again by itself.
          """,
        look: [
          "lanekeeper alerts explain REASON, with the line's reason; lanekeeper explain EVIDENCE, with its evidence: what was asked and what came.",
          "Is it one peer, one partition, or all of them? The lines' peer, class, partition and extent; in Prometheus "
            + "sum by (instance, reason, class) (increase(lanekeeper_events_total{event=\"reply.dropped\"}[1h])).",
          "The datanode's log on the host of peer, around ts, for the line's partition: repairs that ended early, deletes of the extent.",
          "Do operations still succeed? lanekeeper_operations_ended_total by outcome: delivered must go on rising.",
        ],
        safe: [
          "Nothing has to be repaired: the wrong data was kept out.",
          "Where one peer goes on sending them, restart the datanode there, provided that no other datanode of its partitions is down.",
          "Leave judge.mode on enforce and the sidecar in the path: without either, such replies reach the datanode.",
        ],
        developer: """
          At once where they come from many peers since an upgrade of CubeFS or of Lanekeeper, and operations fail: a rule may be \
          wrong for that release (judge.classes with the class at observe lets replies through until then, and gives the \
          protection up). By day, with the lines, in any other case: the peer or its connection has a fault.
          """)
    case .replyObserved:
      Advice(
        summary: "A reply that is not the answer was passed on, because judge.mode is observe",
        happened: """
          A reply came that is no correct answer to the operation in flight; reason names the rule. Its class is in mode observe.
          """,
        did: "It was passed on, right or wrong: the caller may have taken it for its own. In mode enforce it would have been dropped.",
        look: [
          "lanekeeper alerts explain REASON, with the line's reason.",
          "The datanode's log around ts for the line's partition: errors such as \"unavali reply\" or \"unmarshal\" belong to such replies.",
          "increase(lanekeeper_events_total{event=\"reply.observed\"}[1d]) by reason and class: a reason that real replies of this "
            + "cluster's release give would show in all of its operations, a stray reply only now and then.",
        ],
        safe: [
          "Set judge.mode (or judge.classes for the line's class) to enforce and restart the sidecar, once nothing in the list surprises.",
          "The extent of the line may hold wrong data where the class is repair-stream: have CubeFS compare the replicas of the partition.",
        ],
        developer: "By day, before enforcing, where every operation of an opcode is reported: that is a wrong rule, not a stray reply.")
    case .replyUnsolicited:
      Advice(
        summary: "Bytes came on a connection that had no operation",
        happened: """
          A peer sent a reply, or a part of one, that nobody had asked for: on an idle connection of the pool, or behind the last \
          reply that was due. observed shows its head. The next operation on a plain connection would have read it as its own.
          """,
        did: "The bytes were dropped and the connection to the peer was closed. No operation saw them and none failed.",
        look: [
          "The line's peer, and the opcode, partition and extent in observed: which operation was it an answer to? belongsTo says it where "
            + "it is known, and lanekeeper explain EVIDENCE, with the line's evidence, shows what came before.",
          "sum by (instance, class) (increase(lanekeeper_events_total{event=\"reply.unsolicited\"}[1h])).",
          "The datanode's log on the host of peer for that partition, around ts.",
        ],
        safe: [
          "Nothing has to be repaired.",
          "Where one peer goes on, restart the datanode there, provided that no other datanode of its partitions is down.",
        ],
        developer: "By day, with the line. At once only where operations fail besides.")
    case .callerDirtyReuse:
      Advice(
        summary: "A caller went on to another operation with replies of the last one unread",
        happened: """
          The local datanode (inbound: another node) left an operation, put its connection back into its pool and asked for \
          something else on it, with replies of the first on the way or in its own receive queue. It would have read them as the \
          answer: that is the fault of CubeFS issue 3337, at its origin. Operation is the one it left, observed the one it began.
          """,
        did: "The caller's connection was reset, so that the leftover can never be completed. Both operations failed; CubeFS repeats them.",
        look: [
          "The caller's datanode log around ts for the line's partition: why did the repair give up? Disk full, extent deleted, CRC.",
          "lanekeeper explain EVIDENCE, with the line's evidence: what it had asked for, and what had come.",
          "lanekeeper_gate_resets_total{reason=\"dirty-reuse\"}, and increase(lanekeeper_events_total{event=\"caller.dirty-reuse\"}[1h]).",
          "Disk space and disk errors on the caller's host: a repair that fails again and again makes one such line each time.",
        ],
        safe: [
          "Nothing has to be repaired: no wrong reply was read.",
          "Remove the cause: free the disk, or take the broken disk out of service as CubeFS's manual says.",
          "Do not set gate.mode to off: that switches this protection off.",
        ],
        developer:
          "By day: CubeFS 3.3.2 and later close such connections, so an upgrade makes most of these go. Never by night for this alone.")
    case .gateDisabled:
      Advice(
        summary: "The delivery gate does not work: callers are not protected from their own leftovers",
        happened: """
          At start the kernel's socket diagnostics could not be used (reason gate-unsupported; detail says what failed), or the \
          configuration says gate.mode: off (reason gate-off; a warning only). It is said once, at start.
          """,
        did: """
          The sidecar runs without the gate: replies are judged and restored as before, but replies of repair streams go out as they \
          come. A caller that leaves a stream and reuses its connection is reset when that shows, which may be too late.
          """,
        look: [
          "The line's detail: which step of the self-test failed.",
          "Does the sidecar run under a seccomp filter or a security module that refuses NETLINK_SOCK_DIAG? Is the kernel's module "
            + "tcp_diag (inet_diag) there: modprobe tcp_diag, as root on the host.",
          "lanekeeper check --config FILE: is gate.mode what you want?",
        ],
        safe: [
          "Load the module or allow the socket family, then restart the sidecar; the log must say gate.ready.",
          "Running on without the gate is no worse than running without a sidecar.",
        ],
        developer: "By day, where the self-test fails on a host whose kernel and container settings are those of hosts where it works.",
        lasts: true)
    case .callerBlind:
      Advice(
        summary: "A caller cannot be watched: its replies are not gated",
        happened: """
          The kernel does not show the socket of this caller, so that nobody can tell whether it reads; reason says why, detail names \
          the addresses. It is said once for each connection.
          """,
        did: "Its replies go out as they come. A reuse of its connection with replies unread is found when the next request comes, or not.",
        look: [
          "lanekeeper alerts explain REASON, with the line's reason; lanekeeper_gate_blind_callers_total by reason.",
          "Does the sidecar run in the datanode's network namespace? nsenter -t PID -n ss -tn shows the caller's socket if so.",
          "With interception: do the rules send connections to 127.77.0.1-127.77.255.254, as Deploy/interception/lanekeeper.nft does? "
            + "A redirect to one address makes the kernel rewrite source ports.",
        ],
        safe: ["Load Deploy/interception/lanekeeper.nft in place of rules of your own; restart the sidecar in the right namespace."],
        developer: "By day, where single connections of a caller are blind and others of it are not.")
    case .callerSlowStream:
      Advice(
        summary: "A caller has left a reply unread for as long as gate.slowStream",
        happened:
          "The reader of a repair stream has not read a reply that is ready for it. A rate limit in the datanode may pause so long.",
        did: "Nothing but telling. The reply waits; at gate.resourceLimit the connection is reset (caller.reset, reason reply-unread).",
        look: [
          "Disk and CPU of the caller's host: iostat -x 5, and the datanode's repair and write limits.",
          "lanekeeper_gate_waiting_replies and lanekeeper_gate_slow_streams_total: one stream, or all of them?",
        ],
        safe: ["Wait. Raise gate.slowStream above the pauses of the datanode's own rate limit where they are wanted."],
        developer: "By day, where the datanode is not busy and the same stream stands still until it is reset.")
    case .callerProtocol:
      Advice(
        summary: "Somebody sent what is no CubeFS request",
        happened: """
          Bytes from a caller cannot be framed as CubeFS packets (reason bad-magic, limit-exceeded) or are a packet with a result \
          code where a request must be (caller-protocol). observed shows what came.
          """,
        did: "The connection was reset. Nothing of what could not be read was passed on.",
        look: [
          "The line's caller: who connects from there? A port scan, a health check, TLS without tls.inbound, a client of another protocol.",
          "cubefsRelease in the configuration: at a release with other header flags than configured, packets of right callers look broken.",
          "With limit-exceeded: limits.argument and limits.OPCODE in lanekeeper check --print-default.",
        ],
        safe: [
          "Take a health check off this port; /readyz of metrics.listen is made for that.",
          "Where a right request is over a limit, raise that limit and restart the sidecar.",
        ],
        developer: "At once where datanodes or clients of the cluster are refused so since an upgrade of CubeFS. Else by day or never.")
    case .callerReset:
      Advice(
        summary: "A caller that does not read was reset",
        happened: """
          A caller left a reply unread for as long as gate.resourceLimit (reason reply-unread), or let a packet stand still for \
          timeouts.backPressure (reason back-pressure): a CubeFS server that is left unread for 5 s writes an error into the middle \
          of its own packet. Resets for other reasons are no alerts.
          """,
        did: "The caller's connection and the one to the peer were closed; the operation failed and CubeFS repeats it.",
        look: [
          "The line's caller, class and operation; CPU, disk and memory pressure of the caller's host at ts.",
          "increase(lanekeeper_events_total{event=\"caller.reset\"}[1h]) by reason and class.",
          "Is the caller's process stopped or swapped out? ps -o stat,wchan,cmd -p PID; dmesg.",
        ],
        safe: ["Relieve the host: repairs can be slowed down in CubeFS. A limit may be raised where readers are known to pause longer."],
        developer: "By day, where an idle host's caller is reset for back-pressure again and again.")
    case .peerDown:
      Advice(
        summary: "A peer cannot be reached",
        happened: """
          A dial of the line's peer failed (dial-failed), took longer than outbound.dialTimeout (dial-timeout), or TLS could not be \
          had (tls-...), where the last dial had worked. Inbound: the local datanode is not there. It is said once until peer.up.
          """,
        did: """
          The operation that asked got an error reply or a reset. Dials pause from outbound.backOff.initial up to \
          outbound.backOff.maximum; until then new connections to that peer are refused, as the peer itself would (peer-back-off).
          """,
        look: [
          "Has the log a later peer.up for that peer? Then it is over.",
          "On the host of peer: is the datanode running (systemctl status, its log), does it listen (ss -ltn)? Can this host reach it: "
            + "nc -vz ADDRESS PORT.",
          "Only this node, or all? count by (instance) (lanekeeper:alerts:recent{code=\"peer.down\"}): one means its network, all mean the peer.",
          "With a tls- reason: lanekeeper certs show FILE... on both hosts.",
        ],
        safe: ["Start the datanode or repair the network; nothing has to be done to the sidecar, the next operation dials again."],
        developer: "Where the peer answers to nc from the same network namespace and peer.down comes all the same.")
    case .deleteUnreadable:
      Advice(
        summary: "The body of a delete could not be read",
        happened: """
          Somebody deletes extents, and the list of them is not what Lanekeeper knows of it. Whether a repair runs on one of them \
          is then not known.
          """,
        did: "The request was passed on unchanged, and was held for nothing.",
        look: [
          "Which release does the node at caller run? lanekeeper_build_info says for which one this sidecar is configured.",
          "increase(lanekeeper_events_total{event=\"delete.unreadable\"}[1d]): once, or for every delete?",
        ],
        safe: ["Nothing has to be done at once."],
        developer: "By day, with the line and the CubeFS release.")
    case .conflictDetected:
      Advice(
        summary: "Operations on one extent that should not run at the same time did",
        happened: """
          While one operation ran on an extent, another came that spoils it; reason says what the two do to each other, operation is \
          the later one, observed the earlier. With guard.mode serialize only pairs are told of that must never be held.
          """,
        did: "Nothing: both went on.",
        look: [
          "Under guard.mode detect: how often, and of which reason? sum by (reason) (increase(lanekeeper_events_total{event=\"conflict.detected\"}[1d])).",
          """
          Reason ghost-extent: the datanode has created an empty extent that was deleted; compare the replicas of partition, and have \
          the extent checked by fsck.
          """,
          "Reason partition-removal: was the partition to be removed, or its repair to be stopped, just now?",
        ],
        safe: ["guard: {mode: serialize} holds the later one, within limits, where that can be done."],
        developer: "Where ghost-extent goes on with guard.mode serialize.")
    case .conflictLimit:
      Advice(
        summary: "An operation was held for another on its extent for as long as it may be",
        happened: """
          An operation waited for one that it must not run beside, and that one was not over in time: the longest hold is a fraction \
          of its caller's own deadline.
          """,
        did: """
          With guard.atLimit forward (action forwarded) it went on beside the other one. With refuse (action error-reply) its caller \
          was told to try again.
          """,
        look: [
          "Observed names the operation that does not end: does its repair move? curl -s localhost:15320/holds tells who waits for whom now.",
          "Is the datanode, or its disk, slow? A repair of a large extent takes as long as the disk needs.",
          """
          A repair that its datanode gave up with a reply unread counts until that connection is used again or closed, 30 s later at most. \
          One that a task asked for ends with the task's answer; one that a leader does for itself has no such end.
          """,
        ],
        safe: ["Nothing has to be done: a delete that spoils a repair has it done again by the next round."],
        developer: "Where the operation in observed has ended long ago by the datanode's own log.")
    case .taskUnreadable:
      Advice(
        summary: "The body of a NotifyReplicasToRepair could not be read",
        happened: """
          A leader told the local datanode to repair, and the task is not what Lanekeeper knows of it. Where its reader of \
          tiny-delete records will stop is then not known, nor which extents it repairs.
          """,
        did: """
          The request was passed on unchanged. That reader is watched by the delivery gate alone, and the conflict guard holds no \
          delete for this task.
          """,
        look: [
          "Which release does the node at caller run? lanekeeper_build_info says for which one this sidecar is configured.",
          "increase(lanekeeper_events_total{event=\"task.unreadable\"}[1d]): once, or for every task?",
        ],
        safe: ["Nothing has to be done at once."],
        developer: "By day, with the release of CubeFS, where it comes for every task: its format has changed.")
    case .listenerExhausted:
      Advice(
        summary: "No connection can be accepted: the process is out of descriptors or memory",
        happened: "accept failed; detail names the listener and the error.",
        did: "Accepting pauses and is tried again; listener.recovered says when it worked. Open connections go on. /readyz says 503.",
        look: [
          "lanekeeper_caller_connections, lanekeeper_inbound_connections, sum(lanekeeper_upstream_connections): what has grown?",
          "ls /proc/PID/fd | wc -l and grep 'open files' /proc/PID/limits, of the sidecar's process.",
          "free -m and dmesg for memory.",
        ],
        safe: [
          "Raise the hard limit (LimitNOFILE= in systemd) and restart the sidecar: it raises its soft limit by itself.",
          "Until then callers wait in the backlog or are refused; loading no interception rules sends new connections past the sidecar: "
            + "nft delete table ip lanekeeper.",
        ],
        developer: "Where the number of descriptors is far above the number of connections: that is a leak, keep ls -l /proc/PID/fd.")
    case .listenerFailed:
      Advice(
        summary: "A listener has stopped for good",
        happened: "accept failed with an error that does not pass; detail names the listener and the error.",
        did: "This listener accepts nothing any more; the others and all open connections go on. /readyz says 503.",
        look: ["The line's detail; curl http://METRICS.LISTEN/readyz names the listeners that do not accept.", "dmesg around ts."],
        safe: [
          "Restart the sidecar: SIGTERM lets operations finish. That opens all listeners again.",
          "If it cannot be restarted at once and connections are intercepted: nft delete table ip lanekeeper sends new ones past it, "
            + "and without protection.",
        ],
        developer: "By day, with the line. At once where a restart does not help.")
    case .connectionRefused:
      Advice(
        summary: "A caller's connection was refused at once",
        happened: """
          A connection was accepted and reset before anything was read; reason says why: the peer is in back-off or down, a limit is \
          reached, the source may not connect, the sidecar is stopping, or the destination is not known.
          """,
        did: "The connection was reset, which its caller sees as a refused one. Nothing was lost on the way.",
        look: [
          "lanekeeper alerts explain REASON, with the line's reason.",
          "increase(lanekeeper_events_total{event=\"connection.refused\"}[15m]) by reason; lanekeeper_caller_connections against "
            + "limits.maxConnections, lanekeeper_inbound_connections against inbound.maxConnections.",
          "With peer-back-off or dial-failed: the alert peer.down of the same peer has the cause.",
        ],
        safe: ["A few while a datanode or a sidecar restarts are as it should be. Raise a limit only where the connections are wanted."],
        developer: "With proxy-loop or no-original-destination on rules that came from Deploy/interception unchanged.",
        patienceMinutes: 15)
    case .logLost:
      Advice(
        summary: "The log could not take some lines",
        happened: """
          The log's disk or pipe did not keep up (dropped: lines that found log.queue full) or failed (failed; detail has the last \
          error). Both counts are since the start of the process.
          """,
        did:
          "The data path went on. Lines were lost, counts were not: lanekeeper_events_total and lanekeeper_alerts_total have every event.",
        look: [
          "df -h and df -i for the log's file system; is its directory there, and writable?",
          "lanekeeper_log_lines_total by result, lanekeeper_log_events_folded_total.",
          "With log.path \"-\": does whoever reads standard output (journald, a pipe) keep up?",
        ],
        safe: [
          "Make room. Lines are written again as soon as a write succeeds.",
          "After moving the file or its directory: kill -USR1 PID reopens it.",
          "log.level: warning, or a larger log.queue, where the volume is the reason.",
        ],
        developer: "By day, where the disk has room and failed goes on rising.")
    case .recorderFailed:
      Advice(
        summary: "Evidence of alerts cannot be written",
        happened: """
          The flight recorder could not write into recorder.directory: the disk is full, the directory is gone or not writable. \
          detail has the error.
          """,
        did:
          "The data path went on. Alerts come as before; the files that their lines name under evidence are not there until recorder.recovered.",
        look: [
          "df -h and df -i for recorder.directory; is it there, and does it belong to the sidecar's user?",
          "lanekeeper_evidence_files_total by result.",
        ],
        safe: [
          "Make room, or make the directory again: the next alert tries anew, and a file that can be written ends this one.",
          "A smaller recorder.maxBytes or recorder.maxAge, where evidence itself fills the disk.",
        ],
        developer: "By day, where the directory can be written to and the error stays.")
    case .tlsExpiring:
      Advice(
        summary: "A certificate in force ends soon, or has ended",
        happened:
          "The node's certificate, one of its chain or a CA ends in less than a number of days of tls.expiryWarning; detail says which.",
        did: "Nothing. Once it has ended, new TLS connections are refused (tls-expired); those that are open stay.",
        look: [
          "lanekeeper certs show FILE..., with the files of tls.certificate and tls.ca: not after.",
          "lanekeeper_tls_first_expiry_seconds - time(), in all nodes.",
          "Whatever renews the certificates (cert-manager, SPIRE, your PKI): why did it not?",
        ],
        safe: [
          "Put the renewed certificate and key in place: they are looked at each second; kill -HUP PID loads them at once. "
            + "The log must say tls.loaded.",
          "A new CA goes into tls.ca of all nodes, beside the old one, before any certificate of it is used.",
        ],
        developer: "Never; it is the PKI's matter. At night only where less than a day is left.")
    case .configurationRefused:
      Advice(
        summary: "The configuration was read again and cannot be used; the one before stays in force",
        happened:
          "SIGHUP came, and the file cannot be read, is wrong, or names certificates that cannot be loaded: detail says where and why.",
        did: "Nothing changed: everything goes on as the configuration before has it. The certificates in force were looked at again.",
        look: [
          "The line's detail: file, line, key, what is there and what would be right.",
          "lanekeeper check --config FILE says the same before the sidecar is asked to read it.",
        ],
        safe: [
          "Correct the file and kill -HUP PID. The log must say configuration.loaded.",
          "Do not restart before that: the sidecar would not start, and datanode traffic that is intercepted would be refused.",
        ],
        developer: "Never by night; by day where check finds nothing wrong with a file that is refused.")
    case .tlsReloadFailed:
      Advice(
        summary: "New certificates could not be used; the old ones stay in force",
        happened: "The files changed, or SIGHUP came, and the set cannot be loaded: detail says which file and why.",
        did: "Nothing changed: new and open connections use the old set for as long as it is valid.",
        look: [
          "The line's detail: no such file, no permission, key and certificate of different pairs, a chain that does not lead to tls.ca.",
          "lanekeeper certs show FILE... for each of the files; lanekeeper check --config FILE.",
          "lanekeeper_tls_certificate_expiry_seconds - time(): so long the old one lasts.",
        ],
        safe: [
          "Put a matching set in place and kill -HUP PID. The log must say tls.loaded.",
          "There is no need to restart; a restart would fail.",
        ],
        developer: "Where the set is right for openssl verify and openssl x509 and is refused all the same.")
    case .tlsRefused:
      Advice(
        summary: "A TLS connection was refused",
        happened: """
          A handshake failed, on our side or the other's, or plain bytes came where TLS is wanted; reason says why, detail whose \
          certificate it was.
          """,
        did: "The connection was closed before a byte of CubeFS was taken. Outbound, the operation failed as if the peer were down.",
        look: [
          "lanekeeper alerts explain REASON, with the line's reason.",
          "lanekeeper certs show FILE... on both hosts: dates, names, issuer. date on both hosts.",
          "increase(lanekeeper_tls_refused_total[15m]) by direction and instance: one node has the fault, or one certificate that all see.",
        ],
        safe: [
          "Renew or replace the certificate; add its name to tls.allow; put the CA into tls.ca. kill -HUP PID loads files and the "
            + "section tls at once.",
          "tls.outbound.mode prefer and tls.inbound.mode permissive let nodes that speak plain go on during a roll-out; certificates "
            + "that are refused stay refused.",
        ],
        developer: "With tls-protocol, where both sides are Lanekeeper. A source that is none of your nodes is a matter for security.")
    case .tlsDowngraded:
      Advice(
        summary: "A peer that should speak TLS does not, and is spoken to in plain",
        happened: "tls.outbound is prefer, and this peer did not answer a handshake as TLS does. Anybody on the way can bring that about.",
        did: "It is spoken to in plain for tls.downgradeMemory, then TLS is tried again; each time this alert comes.",
        look: [
          "Does the sidecar of that host run, and is its tls.inbound permissive or strict? Is tls.outbound.port right?",
          "lanekeeper_tls_plain_addresses; curl http://METRICS.LISTEN/readyz names who is spoken to in plain.",
        ],
        safe: ["Start the other host's sidecar. Set tls.outbound to strict once /readyz names nobody: then nothing is spoken in plain."],
        developer: "Never by night, unless the peer had spoken TLS before and nothing was changed on it: then it is a matter for security.")
    case .operationFailed:
      Advice(
        summary: "An operation found no connection to its peer in time",
        happened: """
          All connections of the lane (peer and class) are in use, and the queue is full (queue-full) or the wait was longer than \
          lanes.queueTimeout (queue-timeout). Operations that fail for other reasons are told of and are no alerts.
          """,
        did: "The operation got an error reply, or a reset where its caller does not look at errors. It was never sent.",
        look: [
          "lanekeeper_lane_waiting_callers and lanekeeper_upstream_connections{state=\"leased\"} by class.",
          "Is the peer slow? Its disks and its log; lanekeeper_operations_ended_total by outcome.",
          "lanes.default and lanes.CLASS in the configuration: maxConnections, queueLimit, queueTimeout.",
        ],
        safe: ["Relieve the peer. Raise maxConnections of the class where the peer has room; restart the sidecar."],
        developer: "Where connections stay leased with no operation in flight: started minus ended in lanekeeper_operations_*_total is 0.")
    case .accounting:
      Advice(
        summary: "The process ended with operations that have no outcome",
        happened: "unfinished is not 0: operations begun and not counted as delivered, failed, reset, abandoned or due nothing.",
        did: "The process ended with status 1. Its connections were closed, so that callers saw a reset at the latest.",
        look: ["The line's counts by class; lines before it in the log, from process.draining on.", "lanekeeper --version."],
        safe: ["Start the sidecar again. No caller is left waiting."],
        developer: "By day, always, with the whole log of that process: this is a fault of Lanekeeper.")
    case .tunnelEnded:
      Advice(
        summary: "A tunnel refused a connection: limits.maxConnections is reached",
        happened: "A tunnel has as many connections as limits.maxConnections allows. Other ends of a tunnel's connections are no alerts.",
        did: "The connection was closed at once; raft dials again by itself. The tunnel's open connections go on.",
        look: [
          "lanekeeper_tunnel_connections by listen and peer; ss -tn sport = :PORT shows who holds them.",
          "increase(lanekeeper_tunnel_connections_opened_total[5m]): somebody who connects in a loop?",
        ],
        safe: ["Stop whoever connects without need. Raise limits.maxConnections and restart the sidecar where all are wanted."],
        developer: "By day, where connections stay that neither end knows any more.")
    case .started, .draining, .stopped, .listenerOpened, .listenerRecovered, .gateReady, .metricsOpened, .peerUp, .operationFinished,
      .callerAbandoned, .conflictHeld, .upstreamRetired, .datanodeClosed, .surplusDropped, .configurationLoaded, .tlsLoaded,
      .recorderRecovered:
      nil
    }
  }

  /// The reason that an alert of that name most often bears; nil where it bears none.
  static func typicalReason(_ name: LaneEvent.Name, _ severity: LaneEvent.Severity) -> Reason? {
    let candidates = Reason.allCases.filter { LaneEvent(name, reason: $0).severity == severity && cause($0).events.contains(name) }
    return candidates.first { cause($0).events.first == name } ?? candidates.first
  }

  // MARK: Reasons

  static func cause(_ reason: Reason) -> Cause {
    switch reason {
    // A reply's header.
    case .stampUnknown:
      reply(
        "The reply's ReqID is that of no operation in flight on its connection: it answers something else, or nothing.",
        "One stray reply is what Lanekeeper is for. Look for the operation it belonged to in the peer's log, by partition and time.",
        .signed(895_625_437_131_051_772), .signed(1))
    case .replyOutOfOrder:
      reply(
        "A successful reply came for an operation that is not the next one due on its connection. Only errors may overtake.",
        "Look at the peer's release: a server that answers out of order cannot be paired by position. See reply.dropped.",
        .signed(7), .signed(8))
    case .replySurplus:
      Cause(
        events: [.replyDropped, .replyObserved, .replyUnsolicited, .surplusDropped, .operationFailed, .callerReset, .upstreamRetired],
        happened: "The operation has had all the replies that it is due, and one more came.",
        did: """
          It was dropped: see the event. surplus.dropped is the one that OpSnapshotExtentRepairRead is known to send too many, and \
          no alert.
          """,
        advice: "Nothing for surplus.dropped. Else see reply.dropped: the next operation would have read it.",
        values: (.signed(7), .signed(7)))
    case .replyUnsolicited:
      Cause(
        events: [.replyUnsolicited, .replyObserved, .operationFailed, .callerReset],
        happened: "Bytes came on a connection with no operation in flight.",
        did: "They were dropped and the connection was closed; in mode observe, inbound, they were passed on.",
        advice: "See reply.unsolicited.",
        values: (.text("nothing"), .text("OpExtentRepairRead OpOk ReqID 7 partition 12 extent 1025, 131129 bytes")))
    case .replyBeforeRequest:
      reply(
        "A reply came before its request was sent whole. In mode observe, too, it is dropped.",
        "A peer that answers what it has not read is broken, or the reply is of an older operation. See reply.dropped.",
        .text("the whole request sent"), .text("a reply"))
    case .resultMissing:
      reply(
        "The result code is 0, which is that of a request and which one of CubeFS's readers takes for success.",
        "Look at the peer's datanode: its reply was not filled in, or these bytes are no reply. See reply.dropped.",
        .text("OpOk"), .text("OpInitResultCode"))
    case .opcodeMismatch:
      reply(
        "The reply's opcode is not that of a reply to this request.",
        "Since an upgrade, and for every operation of the opcode: a rule may be wrong, see reply.dropped. Else a stray reply.",
        .text("OpExtentRepairRead"), .text("OpGetAllWatermarks"))
    case .extentTypeMismatch:
      reply(
        "The reply is about a tiny extent where the request was about a normal one, or the other way.",
        "See reply.dropped.", .unsigned(1), .unsigned(0))
    case .partitionMismatch:
      reply(
        "The reply is about another partition than the request.",
        "Compare observed with the partitions that the peer holds: the other operation was about that one. See reply.dropped.",
        .unsigned(12), .unsigned(13))
    case .extentMismatch:
      reply(
        "The reply is about another extent than the request.", "The other operation was about the extent in observed. See reply.dropped.",
        .unsigned(1025), .unsigned(1026))
    case .offsetMismatch:
      reply(
        "The reply's offset is not the request's, or not that of the next block: a block is missing, or came twice.",
        "The extent's data was not taken. See reply.dropped; look at the peer's disk where it happens on one extent again and again.",
        .signed(131_072), .signed(262_144))
    case .crcEchoMismatch:
      reply(
        "The server returns the request's CRC field with its reply, and it is another one.", "See reply.dropped.",
        .unsigned(305_419_896), .unsigned(0))
    case .kernelOffsetMismatch:
      reply(
        "The server returns the request's KernelOffset with its reply, and it is another one.", "See reply.dropped.",
        .unsigned(0), .unsigned(4096))
    case .sizeOutOfBounds:
      reply(
        "The reply's payload is longer or shorter than a reply of this operation can be.",
        "Since an upgrade, and for every operation of the opcode: a rule may be wrong, see reply.dropped. Else a stray reply.",
        .range(0, 4096), .unsigned(131_072))
    case .argumentMismatch:
      reply(
        "The reply's Arg is not of the length or content that a reply of this operation has.",
        "Since an upgrade, and for every operation of the opcode: a rule may be wrong, see reply.dropped. Else a stray reply.",
        .unsigned(17), .unsigned(0))
    case .emptyReplies:
      reply(
        "The server sends blocks without contents, one after the other: a broken extent file makes it do so for ever.",
        "Look at the extent of the line on the peer: its file is damaged. Have CubeFS repair it from another replica.",
        .range(0, 8), .unsigned(9))
    case .payloadCRC:
      reply(
        "The payload's crc32 is not the CRC of its header: the bytes were damaged on the peer's disk, in its memory or on the way.",
        """
        Look at disk and memory of peer (smartctl -a, dmesg, EDAC) and at the network's error counters (ip -s link). More than one \
        from one peer: take its disk out of service as CubeFS's manual says.
        """,
        .unsigned(3_735_928_559), .unsigned(305_419_896))
    // A stream that cannot be framed.
    case .badMagic:
      stream(
        "A packet does not begin with 0xFF: what follows cannot be read as packets.",
        "From a caller: see caller.protocol. From a peer: see reply.dropped; its stream broke off inside an earlier packet.",
        .text("bad magic 0x00, expected 0xFF"))
    case .limitExceeded:
      stream(
        "A length in a header is over its configured limit.",
        "Where the packet is right, raise limits.argument, limits.errorText or limits.OPCODE and restart. Else as bad-magic.",
        .text("Size 4294967295 of OpExtentRepairRead is over the limit of 8388608 bytes"))
    // The peer.
    case .upstreamClosed:
      Cause(
        events: [.operationFailed, .callerReset, .upstreamRetired, .datanodeClosed],
        happened: "The peer closed the connection with replies due on it: its process ended, or it refused what it was asked.",
        did: "Its operations failed with an error reply or a reset; CubeFS repeats them. Nothing is sent a second time by Lanekeeper.",
        advice: "See the peer's datanode log at that time. A few at a restart of a datanode are ordinary.")
    case .upstreamTruncated:
      Cause(
        events: [.operationFailed, .callerReset, .upstreamRetired],
        happened: "The peer closed the connection in the middle of a packet.",
        did: "The reply was not completed; its operation failed with a reset, or with an error reply where the caller had nothing of it.",
        advice: "See the peer's datanode log at that time: it ended, or gave up writing after 5 s.")
    case .upstreamReset:
      Cause(
        events: [.operationFailed, .callerReset, .upstreamRetired, .tunnelEnded],
        happened: "The connection to the peer failed: it was reset, or timed out (timeouts.tcpUser, timeouts.keepAlive).",
        did: "Its operations failed with an error reply or a reset; a tunnel's other side was reset, too.",
        advice: "See whether the peer restarted. Else look at the network between the hosts: ss -ti, ip -s link.")
    case .backPressure:
      Cause(
        events: [.callerReset, .upstreamRetired],
        happened: "The caller let a packet stand still for timeouts.backPressure: at 5 s the server would corrupt its own stream.",
        did: "The caller and the peer's connection were reset before that. The operation failed; CubeFS repeats it.",
        advice: "See caller.reset: the caller's host is overloaded, or its process stands still.")
    case .dialFailed:
      Cause(
        events: [.peerDown, .operationFailed, .connectionRefused, .callerReset, .tunnelEnded],
        happened: "Nobody listens at the peer, it cannot be reached, or the socket could not be made; detail has the error.",
        did: "The operation or connection failed at once; further dials pause as outbound.backOff says.",
        advice: "See peer.down: start the datanode, repair the network.", detail: "connect: ECONNREFUSED (Connection refused)")
    case .dialTimeout:
      Cause(
        events: [.peerDown, .operationFailed, .connectionRefused, .callerReset, .tunnelEnded],
        happened: "The peer did not take the connection within outbound.dialTimeout (inbound.dialTimeout for the local datanode).",
        did: "The operation or connection failed; further dials pause as outbound.backOff says.",
        advice: "See peer.down: a host that is down, or packets that a filter drops without an answer.")
    case .peerBackOff:
      Cause(
        events: [.connectionRefused, .operationFailed, .callerReset],
        happened: "The peer failed a moment ago, and its pause is not over.",
        did: "The connection was refused at once, or the operation failed, as the dead peer itself would have it.",
        advice: "See peer.down of the same peer. It ends by itself, at most outbound.backOff.maximum after the peer is back.")
    // Bounds.
    case .deadline:
      Cause(
        events: [.operationFailed, .callerReset, .upstreamRetired, .tunnelEnded],
        happened: "The operation had no answer in 80% of the time that its caller waits; or a half-closed tunnel lingered too long.",
        did: "The operation failed with an error reply or a reset, before its caller gives up. A tunnel's connection was reset.",
        advice: "The peer is slow or stands still: its log, its disks, its load.")
    case .queueFull:
      Cause(
        events: [.operationFailed, .callerReset],
        happened: "As many operations as lanes.queueLimit already wait for a connection of this peer and class.",
        did: "The operation failed at once and was never sent.", advice: "See operation.failed.")
    case .queueTimeout:
      Cause(
        events: [.operationFailed, .callerReset, .upstreamRetired],
        happened: "No connection of this peer and class became free within lanes.queueTimeout.",
        did: "The operation failed and was never sent.", advice: "See operation.failed.")
    case .connectionLimit:
      Cause(
        events: [.connectionRefused, .tunnelEnded],
        happened: "There are as many connections as limits.maxConnections (inbound.maxConnections) allows.",
        did: "The new one was refused; the others go on.",
        advice: "See who holds them: ss -tn. Raise the limit where all are wanted, and restart.")
    case .descriptorLimit:
      Cause(
        events: [.listenerExhausted, .connectionRefused, .operationFailed, .callerReset],
        happened: "The process is out of descriptors or memory.",
        did: "Accepting pauses, or the operation that needed a connection failed.", advice: "See listener.exhausted.",
        detail: "0.0.0.0:15310: accept4: EMFILE (Too many open files)")
    case .pendingOutput:
      Cause(
        events: [.callerReset, .upstreamRetired],
        happened: "A reader is too slow: as many bytes as limits.pendingOutput are held for it.",
        did: "The connection was reset; its operations failed.",
        advice: "Look at the host of the slow side. Raise limits.pendingOutput only for a class that is known to need it.")
    // The release gate.
    case .singleUse:
      retired("A connection of this class serves one operation, so that nothing of it can reach another.", isOrdinary: true)
    case .errorReply:
      Cause(
        events: [.upstreamRetired, .datanodeClosed],
        happened: "The connection carried an error reply: the server stops such a connection.",
        did: "It was not used again. Inbound, the caller saw the same end as without a sidecar.",
        advice: "Nothing. Where there are many, the datanode's log says what fails.")
    case .inFlight:
      Cause(
        events: [.callerAbandoned, .upstreamRetired],
        happened: "A caller left an operation whose replies were due, before it had any of them.",
        did: "The operation was given up and its connection to the peer closed; the caller's next request was served.",
        advice: "Nothing for a few: that is how repairs give up. Many: the caller's log says why.")
    case .unreadBytes:
      retired("Bytes that belong to nobody were buffered or readable on it.", isOrdinary: false)
    case .requestIncomplete:
      retired("A request on it was not sent whole, because its caller ended or it failed before.", isOrdinary: false)
    case .idleTimeout:
      Cause(
        events: [.upstreamRetired, .tunnelEnded],
        happened: "Nothing went through the connection for as long as lanes.idleTimeout.",
        did: "It was closed.", advice: "Nothing: that is ordinary.")
    case .maxLifetime:
      retired("It is as old as lanes.maxLifetime or tls.maxConnectionAge.", isOrdinary: true)
    case .reconfigured:
      retired("tls has changed since it was opened.", isOrdinary: true)
    case .peerClosed:
      retired("The peer closed it while it was idle.", isOrdinary: true)
    // The caller.
    case .callerClosed:
      Cause(
        events: [.callerAbandoned, .upstreamRetired],
        happened: "The caller closed its connection with operations in flight.",
        did: "They were given up, and the connection to the peer was closed.",
        advice: "Nothing for a few. Many: the caller's deadlines pass, and its log says for which peer.")
    case .callerReset:
      Cause(
        events: [.callerAbandoned, .connectionRefused, .upstreamRetired, .tunnelEnded],
        happened: "The connection to the caller failed, or was gone before it could be taken.",
        did: "What was in flight on it was given up, and the other side was closed.",
        advice: "See whether the caller's process ended. connection.refused with a detail such as EMFILE is about this process.",
        detail: "getpeername: ENOTCONN (Transport endpoint is not connected)")
    case .callerDirtyReuse:
      Cause(
        events: [.callerDirtyReuse, .callerReset, .replyObserved, .upstreamRetired],
        happened: "A lock-step caller sent a request with replies of its last one due: it would read them as the answer.",
        did: "The caller was reset; in mode observe, inbound, it was only told.", advice: "See caller.dirty-reuse.",
        values: (.text("the rest of the replies read first"), .text("OpNotifyReplicasToRepair for partition 13 extent 0")))
    case .callerTruncated:
      Cause(
        events: [.callerAbandoned, .upstreamRetired],
        happened: "The caller ended its connection in the middle of a request.",
        did: "The operation was given up; the half request never looks like a whole one.",
        advice: "Nothing for a few: a process that ended. Many: the network between caller and sidecar.")
    case .callerProtocol:
      Cause(
        events: [.callerProtocol, .callerReset, .upstreamRetired],
        happened: "A caller sent a packet with a result code: a reply where a request must be.",
        did: "Its connection was reset.", advice: "See caller.protocol.", values: (.text("OpInitResultCode"), .text("OpOk")))
    case .replyUnread:
      Cause(
        events: [.callerSlowStream, .callerReset, .upstreamRetired],
        happened: "The caller has left a reply unread for gate.slowStream, and then for gate.resourceLimit.",
        did: "First it was told only (caller.slow-stream), in the end the connection was reset (caller.reset).",
        advice: "See caller.slow-stream.")
    case .taskUnreadable:
      Cause(
        events: [.taskUnreadable],
        happened: "The body of a NotifyReplicasToRepair is not the task that a leader writes.",
        did: "It was passed on unchanged.", advice: "See task.unreadable.")
    case .deleteUnreadable:
      Cause(
        events: [.deleteUnreadable],
        happened: "The body of a delete does not name extents as CubeFS writes them.",
        did: "It was passed on unchanged.", advice: "See delete.unreadable.")
    // Conflicts.
    case .deleteDuringRepair:
      conflict(
        """
        A delete, and a repair that writes the extent at the same datanode: its file is closed under the repair, and v3.3.0 puts \
        the connection back into its pool with replies due.
        """,
        "OpExtentRepairRead, running for 1.204 s")
    case .deleteDuringRepairRead:
      conflict(
        "A delete, and a read of the extent for another datanode's repair: the read ends in an error in mid-stream.",
        "OpExtentRepairRead, running for 0.318 s")
    case .deleteDuringRepairTask:
      conflict(
        "A delete, and a NotifyReplicasToRepair that names the extent and is not answered yet.",
        "OpNotifyReplicasToRepair, running for 12.000 s")
    case .deleteDuringRepairRound:
      conflict(
        """
        A delete came after a leader had asked the datanode what it has, and before the leader said what is to be repaired: what is \
        deleted between the two would be created again, empty.
        """,
        "OpGetAllWatermarks, running for 0.012 s")
    case .ghostExtent:
      Cause(
        events: [.conflictDetected],
        happened:
          "A NotifyReplicasToRepair creates an extent which is being deleted, or was a moment ago: CubeFS does not ask whether it was.",
        did: "It was passed on: a notification is never held.",
        advice: "Compare the replicas of the partition: the extent may be there with size 0.",
        values: (
          .text("no delete of its extents just before"), .text("OpMarkDelete, begun 0.120 s ago")
        ))
    case .partitionRemoval:
      Cause(
        events: [.conflictDetected],
        happened: "The partition is taken away, or its repair stopped, while operations run on it.",
        did: "Nothing: the master's task is never held.",
        advice: "Errors of operations on this partition are to be expected now.",
        values: (.text("nothing running that conflicts"), .text("OpExtentRepairRead, running for 1.204 s")))
    // The delivery gate cannot watch a caller.
    case .gateUnsupported:
      Cause(
        events: [.gateDisabled, .callerBlind],
        happened: "The kernel, a seccomp filter or a security module does not allow socket diagnostics.",
        did: "The sidecar runs without the delivery gate.", advice: "See gate.disabled.",
        detail: "socket: EPERM (Operation not permitted)")
    case .gateOff:
      Cause(
        events: [.gateDisabled],
        happened: "The configuration says gate.mode: off.", did: "The sidecar runs without the delivery gate.",
        advice: "Set gate.mode to auto and restart, unless it is off on purpose.")
    case .callerNotFound:
      blind(
        "The caller's socket was not found: it is in another network namespace, or a redirect has rewritten its port.",
        "See caller.blind: namespace first, then the interception's rules.")
    case .callerOwnSocket:
      blind("The caller's addresses lead to a socket of the sidecar's own.", "See caller.blind: the interception's rules.")
    case .callerUpperLayer:
      blind(
        "Kernel TLS or MPTCP stands above the caller's socket, whose queue is then not what the caller reads.",
        "Switch MPTCP off for the datanode (sysctl net.mptcp.enabled=0, or its unit), and restart it.")
    case .callerShortInfo:
      blind("This kernel does not tell enough of a socket.", "A newer kernel: Debian 12's (6.1) is enough.")
    case .callerSockmap:
      blind(
        "Bytes reach the caller past its socket's counters: a BPF program (sockmap) shortens the way.",
        "Exclude the datanode from socket acceleration of the service mesh or CNI on this host.")
    case .callerQueryFailed:
      blind("The kernel answers for this caller with errors, again and again.", "See dmesg; with other hosts well, restart the sidecar.")
    // TLS.
    case .tlsNoCertificate:
      tls("The other end showed no certificate.", "Configure tls.certificate and tls.key there, or that client is none of your nodes.")
    case .tlsExpired:
      tls("The validity of the other end's certificate has ended.", "Renew it there; check that both hosts' clocks are right (date).")
    case .tlsNotYetValid:
      tls("The validity of the other end's certificate has not begun.", "Check both hosts' clocks (date, chronyc tracking).")
    case .tlsRevoked:
      tls("The other end's certificate is revoked.", "Issue a new one there, if the node is still trusted.")
    case .tlsRevocationUnknown:
      tls(
        "No usable revocation list of the certificate's CA is loaded: it is missing from tls.crl, or its time is over.",
        "Put fresh lists of every CA of the chain into tls.crl of this node; they are loaded within tls.reloadInterval.")
    case .tlsUnknownIssuer:
      tls(
        "No CA of tls.ca has issued the other end's certificate.",
        "Give both hosts the same tls.ca; intermediates go behind the certificate.")
    case .tlsWrongUsage:
      tls("The other end's certificate is not for this use.", "Issue it for serverAuth and clientAuth both: each node is either.")
    case .tlsWrongName:
      tls(
        "None of the other end's names is in tls.allow, or is the wanted tls.outbound.peerName; detail names them.",
        "Add the name to tls.allow here and kill -HUP PID, or issue a certificate with the right name there.")
    case .tlsBadCertificate:
      tls("The other end's certificate is bad in another way; detail has OpenSSL's words.", "Issue a new one there.")
    case .tlsNotSpoken:
      tls(
        "What the other end sent is no TLS.", "See tls.downgraded: is the other host's sidecar there, and is it the right port?",
        downgrades: true)
    case .tlsNothingInCommon:
      tls(
        "The two ends have no version or cipher suite in common.", "Compare tls.minVersion of both; 1.3 on one side needs it on the other.")
    case .tlsRefusedByPeer:
      tls("The other end refused with an alert; detail says which.", "The other host's log has the reason: it is about our certificate.")
    case .tlsLost:
      tls(
        "The connection was lost in the handshake.", "A few at a restart are ordinary. Else: is it plain CubeFS that listens there?",
        downgrades: true)
    case .tlsTimeout:
      tls("The handshake took longer than tls.handshakeTimeout.", "See the load of the other host, and who connects without speaking.")
    case .tlsProtocol:
      tls("The protocol was violated, or OpenSSL failed; detail has its words.", "See tls.refused.")
    case .proxyHeader:
      doorstep(
        "A peer that says it is a Lanekeeper (ALPN lanekeeper/1) did not begin with a PROXY header as it must, or closed before that.",
        "Which version runs on the other host? lanekeeper --version on both.")
    case .tlsRequired:
      doorstep(
        "Plain CubeFS came from an address of tls.inbound.requireFrom.",
        "Set tls.outbound on that host, or take its address out of requireFrom.")
    case .tlsSourceRefused:
      Cause(
        events: [.connectionRefused],
        happened: "The source is not in tls.inbound.requireFrom, and tls.inbound.others is refuse.",
        did: "Its connection was reset before anything was read.",
        advice: "Where it is a client or a node of the cluster, add it to requireFrom or set others to plain.")
    case .firstByteUnknown:
      doorstep(
        "The first byte is neither TLS's nor CubeFS's.", "Who connects from there? A port scan or a health check: see caller.protocol.")
    case .handshakeLimit:
      doorstep(
        "As many handshakes as tls.maxHandshakes are in flight, or as many from this address as tls.maxHandshakesPerSource; detail says which.",
        "Many nodes that come at once after a restart: it passes. Else see who connects without finishing: ss -tn.")
    // Lanekeeper itself.
    case .shutdown:
      Cause(
        events: [.callerReset, .connectionRefused, .upstreamRetired, .tunnelEnded, .operationFailed],
        happened: "The process is stopping; outbound.shutdownTimeout is over, or the connection came too late.",
        did: "The connection was reset or refused.",
        advice: "Nothing, where somebody stopped it. Remove interception rules before, so that new connections go directly.")
    case .noOriginalDestination:
      Cause(
        events: [.connectionRefused],
        happened: "Where an intercepted connection wanted to go is not known: it was not redirected, or conntrack lost it.",
        did: "It was reset.", advice: "Nobody should connect to this listener itself. Load Deploy/interception/lanekeeper.nft anew.",
        detail: "getsockopt SO_ORIGINAL_DST: ENOENT (No such file or directory)")
    case .proxyLoop:
      Cause(
        events: [.connectionRefused],
        happened: "Somebody connected to the intercepting listener itself: to dial that would come back here.",
        did: "It was reset.",
        advice: "Callers must connect to the peer. Look for a health check or a datanode that has the sidecar's port as its peer's.")
    }
  }

  /// A conflict of which one operation can wait.
  private static func conflict(_ happened: String, _ earlier: String) -> Cause {
    Cause(
      events: [.conflictDetected, .conflictHeld, .conflictLimit, .operationFailed, .upstreamRetired], happened: happened,
      did: "With guard.mode serialize the later one was held until the earlier one was over, or for as long as it may be.",
      advice: "See conflict.limit.", values: (.text("nothing running that conflicts"), .text(earlier)))
  }

  private static func reply(
    _ happened: String, _ advice: String, _ expected: FieldValue, _ observed: FieldValue
  ) -> Cause {
    Cause(
      events: [.replyDropped, .replyObserved, .operationFailed, .callerReset, .upstreamRetired],
      happened: happened,
      did: "The reply was dropped, what was in flight failed, and the connection was closed; in mode observe it was passed on.",
      advice: advice, values: (expected, observed))
  }

  private static func stream(_ happened: String, _ advice: String, _ observed: FieldValue) -> Cause {
    Cause(
      events: [.replyDropped, .callerProtocol, .operationFailed, .callerReset, .upstreamRetired],
      happened: happened,
      did: "The connection was closed or reset, in mode observe as well: where the next packet begins is not known.",
      advice: advice, values: (.text("a CubeFS packet within the limits"), observed))
  }

  private static func retired(_ happened: String, isOrdinary: Bool) -> Cause {
    Cause(
      events: [.upstreamRetired], happened: happened, did: "The connection to the peer was closed and is not used again.",
      advice: isOrdinary ? "Nothing: that is ordinary, and told at log.level debug only." : "Nothing: no operation saw it.")
  }

  private static func blind(_ happened: String, _ advice: String) -> Cause {
    Cause(
      events: [.callerBlind], happened: happened, did: "The caller's replies go out as they come, without the delivery gate.",
      advice: advice, detail: "192.0.2.1:41952 to 192.0.2.7:17310")
  }

  private static func tls(_ happened: String, _ advice: String, downgrades: Bool = false) -> Cause {
    Cause(
      events: [.tlsRefused] + (downgrades ? [.tlsDowngraded] : []) + [.peerDown, .operationFailed, .callerReset],
      happened: happened,
      did: "The connection was closed before a byte of CubeFS was taken"
        + (downgrades ? "; where tls.outbound is prefer, it was made again in plain." : "."),
      advice: advice, detail: "the reason in OpenSSL's words, and whose certificate it was")
  }

  private static func doorstep(_ happened: String, _ advice: String) -> Cause {
    Cause(events: [.tlsRefused], happened: happened, did: "The connection was reset before anything was passed on.", advice: advice)
  }
}
